"""Photos and executions a second, and their processor time: `.venv/bin/python bench/bulk/run.py` prints a table.

A local cloud of its own runs the project's state machines and Lambda functions on a model server that answers at once
(a fifth of its answers are unsure, so that the review queue takes part): measured is what the local cloud costs, not
the model. First all photos in one bulk, then single executions with 8 at a time, each started and then asked for every
20 ms by boto3. Processor time is that of the server, its functions and the model server, and beside it that of the
client; memory is the most that all processes had at a time (proportional set size). `--beside CHECKOUT` measures
another checkout in turns with this one. Nothing else should be running.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shutil
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.cloud import ROOT, Cloud, running

ROLE = "arn:aws:iam::000000000000:role/bulk"
BUCKET = "bulk"
FUNCTIONS = {"SerializeImageArn": ("serialize_image", 25), "ClassifyImageArn": ("classify_image", 35),
             "CheckConfidenceArn": ("check_confidence", 10)}  # fmt: skip
"""Name and time-out of each function, as in workflow/template.yaml."""
AT_A_TIME = 8
ASK_SECONDS = 0.02
PHOTO_BYTES = 2100


@dataclass
class Usage:
    """What processes used between two moments."""

    seconds: float = 0.0
    server: float = 0.0
    others: float = 0.0
    client: float = 0.0
    most_bytes: int = 0
    most_processes: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)


def _processor_seconds(process: psutil.Process, with_ended: bool = False) -> float:
    times = process.cpu_times()
    ended = times.children_user + times.children_system if with_ended else 0.0
    return float(times.user + times.system + ended)


def _others(server: psutil.Process) -> float:
    """Processor seconds of all descendants of the server, also of those that ended."""
    times = server.cpu_times()
    total = float(times.children_user + times.children_system)
    for process in server.children(recursive=True):
        with suppress(psutil.Error):
            total += _processor_seconds(process, with_ended=True)
    return total


@contextmanager
def measured(process: int) -> Iterator[Usage]:
    """What the server, its descendants and this process use until the end of the block."""
    server, client, usage = psutil.Process(process), psutil.Process(), Usage()

    def watch() -> None:
        while not usage._stop.wait(0.5):
            processes = [server, *server.children(recursive=True)]
            size = 0
            for one in processes:
                with suppress(psutil.Error):
                    size += one.memory_full_info().pss
            usage.most_bytes = max(usage.most_bytes, size)
            usage.most_processes = max(usage.most_processes, len(processes))

    watcher = threading.Thread(target=watch)
    began = time.perf_counter(), _processor_seconds(server), _others(server), _processor_seconds(client)
    watcher.start()
    try:
        yield usage
    finally:
        usage._stop.set()
        watcher.join()
        ended = time.perf_counter(), _processor_seconds(server), _others(server), _processor_seconds(client)
        usage.seconds, usage.server, usage.others, usage.client = (b - a for a, b in zip(began, ended, strict=True))


def serve_at_once(image_root: Path) -> None:
    """Write the program `serve` of an image: a model server that answers at once."""
    (image_root / "bin").mkdir(parents=True)
    program = image_root / "bin" / "serve"
    shutil.copy(Path(__file__).parent / "model_server.py", image_root)
    program.write_text(f"#!/bin/sh\nexec python3 {image_root}/model_server.py\n")
    program.chmod(0o755)


def set_up(cloud: Cloud) -> dict[str, str]:
    """The endpoint, the functions and the state machines; the machines' ARNs by name."""
    s3, functions, sagemaker, states = (cloud.client(s) for s in ("s3", "lambda", "sagemaker", "stepfunctions"))
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    artifact = io.BytesIO()
    tarfile.open(fileobj=artifact, mode="w:gz").close()
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=artifact.getvalue())
    container = {"Image": "image", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    sagemaker.create_model(ModelName="bulk", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "AllTraffic", "ModelName": "bulk", "InstanceType": "ml.m5.large",
               "InitialInstanceCount": 1}  # fmt: skip
    capture = {"EnableCapture": True, "InitialSamplingPercentage": 100, "DestinationS3Uri": f"s3://{BUCKET}/captures",
               "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]}  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName="bulk", ProductionVariants=[variant], DataCaptureConfig=capture)
    sagemaker.create_endpoint(EndpointName="bulk", EndpointConfigName="bulk")
    values = {"Partition": "aws", "Bucket": BUCKET}
    values["ReviewQueueUrl"] = cloud.client("sqs").create_queue(QueueName="review")["QueueUrl"]
    for variable, (name, seconds) in FUNCTIONS.items():
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            for file in sorted((ROOT / "lambdas" / name).glob("*.*")):
                files.writestr(f"{name}/{file.name}", file.read_bytes())
        values[variable] = functions.create_function(
            FunctionName=name, Runtime="python3.11", Role=ROLE, Handler=f"{name}.app.handler", Timeout=seconds,
            MemorySize=256, Code={"ZipFile": archive.getvalue()}, Environment={"Variables": {"ENDPOINT_NAME": "bulk"}},
        )["FunctionArn"]  # fmt: skip
    machines = {}
    for name in ("bulk", "inference"):
        definition = (ROOT / "workflow" / f"{name}.asl.json").read_text()
        for variable, value in values.items():
            definition = definition.replace(f"${{{variable}}}", value)
        made = states.create_state_machine(name=name, definition=definition, roleArn=ROLE)
        machines[name] = made["stateMachineArn"]
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="bulk", WaiterConfig={"Delay": 1})
    return machines


def put_photos(cloud: Cloud, number: int) -> None:
    """Objects of 2.1 KB each that begin as PNG does."""
    s3, photo = cloud.client("s3"), b"\x89PNG\r\n\x1a\n" + os.urandom(PHOTO_BYTES)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for made in [
            pool.submit(s3.put_object, Bucket=BUCKET, Key=f"incoming/{n:06}.png", Body=photo + str(n).encode())
            for n in range(number)
        ]:
            made.result()


def run(states: Any, machine: str, given: dict[str, str], every: float = ASK_SECONDS) -> dict[str, Any]:
    """Start an execution and ask until it has ended; what DescribeExecution says then."""
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]
    while True:
        time.sleep(every)
        described: dict[str, Any] = states.describe_execution(executionArn=arn)
        if described["status"] != "RUNNING":
            return described


def measure(checkout: Path, photos: int, executions: int) -> dict[str, str]:
    """The figures of one checkout."""
    figures = {}
    with tempfile.TemporaryDirectory(prefix="bulk-") as folder:
        serve_at_once(Path(folder) / "image")
        with running(Path(folder) / "home", checkout, Path(folder) / "image") as cloud:
            machines = set_up(cloud)
            put_photos(cloud, max(photos, 1))
            states = cloud.client("stepfunctions")
            if photos:
                with measured(cloud.process) as usage:
                    ended = run(states, machines["bulk"], {"bucket": BUCKET, "prefix": "incoming/"}, 0.2)
                if ended["status"] != "SUCCEEDED":
                    raise RuntimeError(f"the bulk ended as {ended['status']}: {ended.get('cause')}")
                figures |= _figures("photo", photos, usage)
            if executions:
                given = {"bucket": BUCKET, "key": "incoming/000000.png"}
                with ThreadPoolExecutor(AT_A_TIME) as pool:
                    list(pool.map(lambda _: run(states, machines["inference"], given), range(5 * AT_A_TIME)))
                    with measured(cloud.process) as usage:
                        ends = list(pool.map(lambda _: run(states, machines["inference"], given), range(executions)))
                wrong = {end["error"] for end in ends if end["status"] == "FAILED"} - {"ConfidenceThresholdNotMet"}
                if wrong:
                    raise RuntimeError(f"executions failed: {wrong}")
                figures |= _figures("execution", executions, usage)
    return figures


def _figures(what: str, number: int, usage: Usage) -> dict[str, str]:
    """Return the figures of a run of `number` photos or executions (`what`), as text by name."""
    each = 1000 / number
    return {
        f"{what}s a second": f"{number / usage.seconds:.1f}",
        f"processor time of the server, ms a {what}": f"{usage.server * each:.1f}",
        f"of functions and model server, ms a {what}": f"{usage.others * each:.1f}",
        f"of the client, ms a {what}": f"{usage.client * each:.1f}",
        f"most memory of all processes, {what}s, MB": f"{usage.most_bytes / 1e6:.0f}",
        f"most processes, {what}s": f"{usage.most_processes}",
    }


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--executions", type=int, default=300)
    parser.add_argument("--beside", type=Path, help="another checkout, with its environments set up")
    given = parser.parse_args()
    measures = {"this checkout": measure(ROOT, given.photos, given.executions)}
    if given.beside:
        measures["beside"] = measure(given.beside.resolve(), given.photos, given.executions)
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load}\n")
    print(f"| {given.photos:,} photos, {given.executions:,} executions | {' | '.join(measures)} |")
    print("|---|" + "---|" * len(measures))
    for name in measures["this checkout"]:
        print(f"| {name} | {' | '.join(figures[name] for figures in measures.values())} |")


if __name__ == "__main__":
    main()
