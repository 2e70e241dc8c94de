"""Starts a pipeline on a running local cloud and waits for its end, as a client does: `localcloud_run.py NAME`."""

import sys
import time

import boto3

client = boto3.client("sagemaker")
arn = client.start_pipeline_execution(PipelineName=sys.argv[1])["PipelineExecutionArn"]
while (status := client.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"]) in (
    "Executing",
    "Stopping",
):
    time.sleep(0.01)
assert status == "Succeeded", status
