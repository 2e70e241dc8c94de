"""Tests of the project: a folder for each folder that is tested, and what they share.

fakes      stand-ins for AWS services, in memory
events     recorded EventBridge events
e2e        the commands against a real local cloud, or AWS
docs       that generated pages are up to date, and links lead somewhere
"""
