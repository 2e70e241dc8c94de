"""What a long history costs the local cloud: `.venv/bin/python bench/growth/run.py` prints a table.

A home is filled with executions of a pipeline (two steps and jobs each), versions of a model, log lines, executions of
a state machine and objects, once with few and once with many, and a cloud is started on it twice: the first start
looks at all that is new to it. Timed are the starts, from the command until it answers, the processor time until then,
and requests by boto3 on one connection: the median of 50 each and, in brackets, the least. Memory is that of the server
alone, before the requests. Documents, rows and files are copies of those that one execution and one put left; log lines
and versions come over the API. Nothing else should be running.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.cloud import Cloud, running
from bench.growth.copies import OBJECT, STATE_MACHINE, copy_objects, copy_states
from localcloud.engine.records import EXECUTION, STEP
from localcloud.resources.processing_jobs import JOBS
from localcloud.state.store import Store

ROLE = "arn:aws:iam::000000000000:role/growth"
TIMES = 50
LINES_AT_ONCE = 5000
SCRIPT = "print('done')"


def make_one(cloud: Cloud) -> None:
    """A pipeline of two steps, run once: what the history is copied from."""
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    s3.create_bucket(Bucket="growth")
    s3.put_object(Bucket="growth", Key="step.py", Body=SCRIPT)
    code = {"S3Uri": "s3://growth/step.py", "LocalPath": "/opt/ml/processing/code", "S3DataType": "S3Prefix",
            "S3InputMode": "File"}  # fmt: skip
    arguments = {
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
        },
        "AppSpecification": {
            "ImageUri": "image", "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/step.py"]
        },
        "ProcessingInputs": [{"InputName": "code", "S3Input": code}],
        "RoleArn": ROLE,
    }  # fmt: skip
    steps = [{"Name": f"Step{number}", "Type": "Processing", "Arguments": arguments} for number in (1, 2)]
    definition = json.dumps({"Version": "2020-12-01", "Steps": steps})
    sagemaker.create_pipeline(PipelineName="growth", PipelineDefinition=definition, RoleArn=ROLE)
    arn = sagemaker.start_pipeline_execution(PipelineName="growth")["PipelineExecutionArn"]
    while (status := sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn))["PipelineExecutionStatus"] in (
        "Executing",
    ):
        time.sleep(0.1)
    if status["PipelineExecutionStatus"] != "Succeeded":
        raise RuntimeError(f"the pipeline ended as {status['PipelineExecutionStatus']}")
    sagemaker.create_model_package_group(ModelPackageGroupName="growth")
    s3.put_object(Bucket="growth", Key=OBJECT, Body=b"x" * 2000)
    states = cloud.client("stepfunctions")
    machine = states.create_state_machine(name="growth", definition=STATE_MACHINE, roleArn=ROLE)["stateMachineArn"]
    states.start_execution(stateMachineArn=machine)
    while not states.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"]:
        time.sleep(0.1)


def copy_executions(home: Path, number: int) -> None:
    """Copies of the execution, its steps and jobs, each with names and times of their own."""
    store = Store(home / "sagemaker.sqlite")
    [execution] = store.documents(EXECUTION)
    arn = execution["PipelineExecutionArn"]
    steps, jobs = store.documents(STEP, arn), store.documents(JOBS.kind)
    with store.transaction():
        for count in range(1, number):
            suffix = f"{count:08x}"
            copied = arn[: -len(suffix)] + suffix
            time_then = execution["CreationTime"] - count
            store.insert(EXECUTION, copied, _renamed(execution, arn, copied, time_then), parent="growth")
            for step in steps:
                store.insert(STEP, f"{copied}/{step['StepName']}", _renamed(step, arn, copied, None), parent=copied)
            for job in jobs:
                name = f"{job['ProcessingJobName'][:40]}-{suffix}"
                store.insert(JOBS.kind, name, _renamed(job, job["ProcessingJobName"], name, time_then))
    store.close()


def _renamed(document: dict[str, Any], old: str, new: str, created: float | None) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(document).replace(old, new))
    return copied if created is None else {**copied, "CreationTime": created}


def fill(home: Path, executions: int, versions: int, lines: int, others: int) -> None:
    """Make the history."""
    with running(home) as cloud:
        make_one(cloud)
        sagemaker, logs = cloud.client("sagemaker"), cloud.client("logs")
        for _ in range(versions):
            sagemaker.create_model_package(ModelPackageGroupName="growth")
        logs.create_log_group(logGroupName="/growth")
        logs.create_log_stream(logGroupName="/growth", logStreamName="stream")
        now = int(time.time() * 1000)
        for start in range(0, lines, LINES_AT_ONCE):
            events = [
                {"timestamp": now, "message": f"line {n} of the log"} for n in range(start, start + LINES_AT_ONCE)
            ]
            logs.put_log_events(logGroupName="/growth", logStreamName="stream", logEvents=events)
    copy_executions(home, executions)
    copy_states(home, others)
    copy_objects(home, others)


def milliseconds(call: Callable[[], Any]) -> tuple[float, float]:
    """The median and the least of 50 calls, after three that are not counted."""
    took = []
    for _ in range(TIMES + 3):
        began = time.perf_counter()
        call()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took[3:]), min(took[3:])


def processor_time(cloud: Cloud) -> str:
    """What the server has used of it, in seconds."""
    used = psutil.Process(cloud.process).cpu_times()
    return f"{used.user + used.system:.1f}"


def measure(home: Path) -> dict[str, str]:
    """Start a cloud on the home twice, and ask the second."""
    with running(home) as cloud:
        first = {"first start, s": f"{cloud.started:.1f}", "its processor time, s": processor_time(cloud)}
    with running(home) as cloud:
        later = processor_time(cloud)
        sagemaker = cloud.client("sagemaker")
        arn = sagemaker.list_pipeline_executions(PipelineName="growth")["PipelineExecutionSummaries"][0][
            "PipelineExecutionArn"
        ]
        s3, states = cloud.client("s3"), cloud.client("stepfunctions")
        machine = states.list_state_machines()["stateMachines"][0]["stateMachineArn"]
        calls: dict[str, Callable[[], Any]] = {
            "ListPipelineExecutions": lambda: sagemaker.list_pipeline_executions(PipelineName="growth"),
            "ListPipelineExecutionSteps": lambda: sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn),
            "ListProcessingJobs": sagemaker.list_processing_jobs,
            "ListPipelines": sagemaker.list_pipelines,
            "ListModelPackages": lambda: sagemaker.list_model_packages(ModelPackageGroupName="growth"),
            "DescribePipelineExecution": lambda: sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn),
            "ListExecutions": lambda: states.list_executions(stateMachineArn=machine, maxResults=100),
            "StartExecution": lambda: states.start_execution(stateMachineArn=machine),
            "ListObjectsV2": lambda: s3.list_objects_v2(Bucket="growth", MaxKeys=100),
            "ListObjectVersions": lambda: s3.list_object_versions(Bucket="growth", MaxKeys=100),
            "PutObject": lambda: s3.put_object(Bucket="growth", Key="one-more", Body=b"x"),
        }
        memory = psutil.Process(cloud.process).memory_full_info().uss
        figures = {
            **first,
            "second start, s": f"{cloud.started:.1f}",
            "its processor time then, s": later,
            "memory, MB": f"{memory / 1e6:.0f}",
        }
        for name, call in calls.items():
            median, least = milliseconds(call)
            figures[f"{name}, ms"] = f"{median:.1f} ({least:.1f})"
        return figures


def main() -> None:
    """Fill two homes, measure both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--executions", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=1_000)
    parser.add_argument("--log-lines", type=int, default=1_000_000)
    parser.add_argument("--others", type=int, default=100_000, help="executions of a state machine, and objects")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        fill(few, 10, 10, LINES_AT_ONCE, 10)
        fill(many, given.executions, given.versions, given.log_lines, given.others)
        figures = {"few": measure(few), "many": measure(many)}
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    many_head = (
        f"{given.executions:,} executions, {given.versions:,} versions, {given.log_lines:,} log lines, "
        f"{given.others:,} executions of a state machine, {given.others:,} objects"
    )
    few_head = f"10 executions, 10 versions, {LINES_AT_ONCE:,} log lines, 10 executions of a state machine, 10 objects"
    print(f"| | {few_head} | {many_head} |\n|---|---|---|")
    for name, value in figures["few"].items():
        print(f"| {name} | {value} | {figures['many'][name]} |")


if __name__ == "__main__":
    main()
