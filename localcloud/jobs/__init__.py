"""Runs SageMaker jobs as processes: the /opt/ml contract in a directory of each job's own, in the image environment.

`service` queues and bounds them, `run` takes one from its inputs to its outputs, with `processing` and `training` for
what differs. `process` starts and ends processes, `sandbox` gives them their /opt/ml, `transfer` moves files from and
to S3. `archive`, `failure`, `layout` and `metrics` are pure or nearly so.
"""
