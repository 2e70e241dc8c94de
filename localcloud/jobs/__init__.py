"""Runs SageMaker jobs as processes: the /opt/ml contract in a directory of each job's own, in the image environment.

service     queues jobs and bounds how many run at once
run         takes one job from its inputs to its outputs; `processing` and `training` are what differs
requests    makes a job's document from a Create request, and refuses what would not be honoured
layout      the directories and configuration files that a job finds
transfer    moves files from and to S3
archive, failure, metrics, events   model archives, reasons of failure, metrics in logs, events on the bus

The processes themselves are started by `localcloud.sandbox`.
"""
