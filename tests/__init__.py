"""Tests of the project: a folder for each folder that is tested, and what they share.

conftest   takes variables that choose a cloud, credentials or a stage out of the environment
fakes      stand-ins for AWS services, in memory
formats    docs/formats.json: a check for what is written, an example for what reads
events     recorded EventBridge events
browser    the console in a real browser
sdk_pipelines  pipelines in the public's shapes, by SageMaker's SDK, on the local cloud
e2e        the commands against a real local cloud, or AWS
docs       that generated pages are up to date, and links lead somewhere
"""
