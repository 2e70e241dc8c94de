"""Runs the benchmark's five-step pipeline, each step a processing job, on a local cloud started for this alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from localcloud.state.credentials import owner_secret

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "bench-engine"
SCRIPT = """
import pathlib
before = pathlib.Path("/opt/ml/processing/before/number")
number = int(before.read_text()) + 1 if before.exists() else 1
pathlib.Path("/opt/ml/processing/out/number").write_text(str(number))
"""


def step(number: int, cache: bool) -> dict[str, Any]:
    """Return step `number` (1 to 5): a job that reads the number written by the previous step, adds 1 and writes it.

    `cache` enables step caching.
    """
    inputs: dict[str, Any] = {"code": f"s3://{BUCKET}/step.py"}
    if number > 1:
        inputs["before"] = {"Get": f"Steps.S{number - 1}.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}
    return {
        "Name": f"S{number}",
        "Type": "Processing",
        "Arguments": {
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
            },
            "AppSpecification": {
                "ImageUri": "image",
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/step.py"],
            },
            "ProcessingInputs": [
                {
                    "InputName": name,
                    "S3Input": {
                        "S3Uri": uri,
                        "LocalPath": f"/opt/ml/processing/{name}",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
                for name, uri in inputs.items()
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "out",
                        "S3Output": {
                            "S3Uri": f"s3://{BUCKET}/out/S{number}",
                            "LocalPath": "/opt/ml/processing/out",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
        },
        "CacheConfig": {"Enabled": cache, "ExpireAfter": "P30d"},
    }


class Ours:
    """A running local cloud with the pipeline `five`."""

    def __init__(self, url: str, secret: str, process: int) -> None:
        self.process = process
        self.environment = {
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "000000000000",
            "AWS_SECRET_ACCESS_KEY": secret,
        }
        session = boto3.Session("000000000000", secret, region_name="us-east-1")
        self.client = session.client("sagemaker", endpoint_url=url)
        s3 = session.client("s3", endpoint_url=url)
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="step.py", Body=SCRIPT)
        self._exists = False

    def define(self, *, cache: bool) -> None:
        """Make the pipeline, with or without caching."""
        text = json.dumps({"Version": "2020-12-01", "Steps": [step(number, cache) for number in range(1, 6)]})
        put = self.client.update_pipeline if self._exists else self.client.create_pipeline
        put(PipelineName="five", PipelineDefinition=text, RoleArn="arn:aws:iam::000000000000:role/bench")
        self._exists = True

    def api_seconds(self) -> float:
        """From StartPipelineExecution to Succeeded, asked every 5 ms by a client that is already running."""
        began = time.perf_counter()
        arn = self.client.start_pipeline_execution(PipelineName="five")["PipelineExecutionArn"]
        while True:
            status = self.client.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"]
            if status == "Succeeded":
                return time.perf_counter() - began
            if status != "Executing":
                raise RuntimeError(f"the local cloud's pipeline ended as {status}")
            time.sleep(0.005)


@contextmanager
def running(home: Path, checkout: Path = ROOT) -> Iterator[Ours]:
    """The local cloud of a checkout on a free port, stopped at the end."""
    home.mkdir(parents=True)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "localcloud", "serve", "--home", home, "--port", "0"),
                *("--image-env", ROOT / ".venv-image", "--image-root", ROOT / "container"),
            ],
            cwd=checkout,
            stderr=log,
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
        )
    try:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"serves (http://\S+)", (home / "log").read_text())):
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"the local cloud did not start: {(home / 'log').read_text()}")
            time.sleep(0.05)
        yield Ours(found.group(1), owner_secret(home, "000000000000"), process.pid)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(home, ignore_errors=True)
