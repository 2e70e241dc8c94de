"""Mixed load on a local cloud that is killed again and again, and a comparison with what was acknowledged.

`.venv/bin/python -m tests.e2e.faults.kill_load --kills 100 --lines 100000 --seed 1` prints what was lost as JSON.
"""

import argparse
import contextlib
import functools
import hashlib
import io
import json
import random
import shutil
import tarfile
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.e2e.faults import kill_resources
from tests.e2e.faults.kill_kind import StackError
from tests.e2e.faults.kill_losses import (
    CAPTURES,
    ENDPOINT,
    GROUP,
    LOG_GROUP,
    MACHINE,
    PLAIN,
    QUEUE,
    ROLE,
    ROUTED,
    STREAM,
    VERSIONED,
    Ledger,
    losses,
    queue_url,
)
from tests.localcloud.conftest import start_cloud
from tests.waiting import soon

ROOT = Path(__file__).resolve().parents[3]
_BATCH = 50
_CHANGING = 2
"""How many threads change resources."""


class Load:
    """Threads that work on a cloud until it is killed; each notes what was acknowledged in the ledger."""

    def __init__(self, cloud: Any, ledger: Ledger, machine: str, seed: int) -> None:
        self._cloud, self._ledger, self._machine, self._seed = cloud, ledger, machine, seed
        self._stop = threading.Event()
        self._clients = threading.local()
        kinds = (
            self._register, self._put, self._put_version, self._send, self._receive, self._start, self._start,
            self._log, self._infer, self._rule,
            *(functools.partial(self._change, number) for number in range(_CHANGING)),
        )  # fmt: skip
        self._threads = [
            threading.Thread(target=self._work, args=(kind, number), daemon=True) for number, kind in enumerate(kinds)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, once the cloud was killed."""
        self._stop.set()
        for thread in self._threads:
            thread.join(70)

    def _work(self, kind: Callable[[random.Random, str], None], number: int) -> None:
        """One thread: work of a kind again and again; what the cloud does not answer is not acknowledged."""
        chance = random.Random(f"{self._seed}-{number}")  # noqa: S311 - a load, not a secret
        turn = 0
        while not self._stop.is_set():
            turn += 1
            try:
                kind(chance, f"{self._seed}-{number}-{turn}")
            except (BotoCoreError, ClientError, StackError):
                # Unanswered, or refused by a cloud that is ending: not acknowledged.
                self._stop.wait(0.05)

    def _client(self, service: str) -> Any:
        made: dict[str, Any] = self._clients.__dict__
        if service not in made:
            made[service] = self._cloud.client(service)
        return made[service]

    def _register(self, chance: random.Random, name: str) -> None:
        """Register a model package and decide on one, noting what was acknowledged."""
        sagemaker = self._client("sagemaker")
        arn = sagemaker.create_model_package(
            ModelPackageGroupName=GROUP,
            ModelPackageDescription=name,
            InferenceSpecification={
                "Containers": [{"Image": "image", "ModelDataUrl": f"s3://{PLAIN}/model.tar.gz"}],
                "SupportedContentTypes": ["image/png"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            ModelApprovalStatus="PendingManualApproval",
        )["ModelPackageArn"]
        self._ledger.packages[arn] = {"PendingManualApproval"}
        after = chance.choice(("Approved", "Rejected"))
        self._ledger.packages[arn].add(after)
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=after)
        self._ledger.packages[arn] = {after}

    def _put(self, chance: random.Random, name: str) -> None:
        """Put an S3 object, noting which contents it may have until the answer is there."""
        key, body = f"photos/{chance.randrange(20)}.png", chance.randbytes(chance.choice((10, 2_000, 400_000)))
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        self._ledger.objects.setdefault(key, {""}).add(digest)
        self._client("s3").put_object(Bucket=PLAIN, Key=key, Body=body)
        self._ledger.objects[key] = {digest}

    def _put_version(self, chance: random.Random, name: str) -> None:
        key, body = f"data/{chance.randrange(5)}.bin", chance.randbytes(chance.choice((1_000, 100_000)))
        answer = self._client("s3").put_object(Bucket=VERSIONED, Key=key, Body=body)
        self._ledger.versions[key, answer["VersionId"]] = hashlib.md5(body, usedforsecurity=False).hexdigest()

    def _send(self, chance: random.Random, name: str) -> None:
        self._client("sqs").send_message(QueueUrl=queue_url(self._cloud, QUEUE), MessageBody=name)
        self._ledger.sent.add(name)

    def _receive(self, chance: random.Random, name: str) -> None:
        """Receive messages and delete them, noting what was acknowledged."""
        sqs, url = self._client("sqs"), queue_url(self._cloud, QUEUE)
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=3, VisibilityTimeout=2).get(
            "Messages", []
        ):
            self._ledger.perhaps_deleted.add(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            self._ledger.deleted.add(message["Body"])
        self._stop.wait(0.02)

    def _start(self, chance: random.Random, name: str) -> None:
        """Start an execution of the state machine, noting the statuses that were told."""
        states = self._client("stepfunctions")
        given = json.dumps({"name": name, "wait": chance.choice((0, 0, 1))})
        arn = states.start_execution(stateMachineArn=self._machine, name=name, input=given)["executionArn"]
        self._ledger.executions[arn] = "RUNNING"
        self._ledger.executions[arn] = states.describe_execution(executionArn=arn)["status"]
        earlier = chance.choice(list(self._ledger.executions))
        self._ledger.executions[earlier] = states.describe_execution(executionArn=earlier)["status"]

    def _log(self, chance: random.Random, name: str) -> None:
        lines = [f"{name} line {number}" for number in range(_BATCH)]
        _put_lines(self._client("logs"), lines)
        self._ledger.lines.update(lines)

    def _infer(self, chance: random.Random, name: str) -> None:
        self._client("sagemaker-runtime").invoke_endpoint(EndpointName=ENDPOINT, Body=b"{}", InferenceId=name)
        self._ledger.inferences.add(name)

    def _rule(self, chance: random.Random, name: str) -> None:
        self._client("events").put_rule(Name=name, EventPattern='{"source": ["kill"]}')
        self._ledger.rules.add(name)
        self._stop.wait(0.2)

    def _change(self, number: int, chance: random.Random, name: str) -> None:
        """Make, change or remove one of this thread's resources, noting which values it may have."""
        kind = chance.choice(list(kill_resources.KINDS))
        resource = kill_resources.name_of(kind, number)
        allowed = self._ledger.resources.setdefault((kind, resource), {None})
        if len(allowed) == 1:
            kill_resources.change(self._client, kind, resource, allowed, chance)
            self._ledger.changed += 1


def prepare(cloud: Any, lines: int) -> str:
    """Buckets, queues, a group, a state machine (its ARN), an endpoint with capture, and lines in a log group."""
    s3, sqs, sagemaker, logs = (cloud.client(name) for name in ("s3", "sqs", "sagemaker", "logs"))
    for bucket in (PLAIN, VERSIONED, CAPTURES):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    for queue in (QUEUE, ROUTED):
        sqs.create_queue(QueueName=queue)
    sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    kill_resources.prepare(cloud.client, _CHANGING)
    definition = {
        "StartAt": "Wait",
        "States": {
            "Wait": {"Type": "Wait", "SecondsPath": "$.wait", "Next": "Route"},
            "Route": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage",
                "Parameters": {"QueueUrl": queue_url(cloud, ROUTED), "MessageBody.$": "$.name"},
                "End": True,
            },
        },
    }
    machine: str = cloud.client("stepfunctions").create_state_machine(
        name=MACHINE, definition=json.dumps(definition), roleArn=ROLE
    )["stateMachineArn"]
    logs.create_log_group(logGroupName=LOG_GROUP)
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=STREAM)
    for start in range(0, lines, 1_000):
        _put_lines(logs, [f"kept {number}" for number in range(start, min(start + 1_000, lines))])
    s3.put_object(Bucket=PLAIN, Key="model.tar.gz", Body=_empty_archive())
    sagemaker.create_model(
        ModelName=ENDPOINT, ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "image", "ModelDataUrl": f"s3://{PLAIN}/model.tar.gz"},
    )  # fmt: skip
    sagemaker.create_endpoint_config(
        EndpointConfigName=ENDPOINT,
        ProductionVariants=[
            {"VariantName": "All", "ModelName": ENDPOINT, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
        DataCaptureConfig={
            "EnableCapture": True, "InitialSamplingPercentage": 100, "DestinationS3Uri": f"s3://{CAPTURES}/kills",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        },
    )  # fmt: skip
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=ENDPOINT)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 1})
    return machine


def _put_lines(logs: Any, lines: list[str]) -> None:
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in lines]
    logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=STREAM, logEvents=events)


def _empty_archive() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz"):
        pass
    return data.getvalue()


def run(folder: Path, kills: int, lines: int, seed: int, load_seconds: float = 1.5) -> dict[str, Any]:
    """Kill a cloud of its own in `folder` at random moments; acknowledged and lost by kind, and seconds of starts."""
    serve = folder / "image" / "bin" / "serve"
    serve.parent.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "localcloud" / "model_server.py", folder / "image")
    serve.write_text(f"#!/bin/sh\nexec python3 {folder}/image/model_server.py\n")
    serve.chmod(0o755)
    ledger, chance = Ledger(), random.Random(seed)  # noqa: S311 - a load, not a secret
    starts: list[float] = []
    lost: dict[str, list[str]] = defaultdict(list)

    def start() -> Any:
        began = time.monotonic()
        cloud = start_cloud(folder / "home", ROOT / ".venv-image", serve.parent.parent)
        starts.append(time.monotonic() - began)
        return cloud

    cloud = start()
    try:
        machine = prepare(cloud, lines)
        for number in range(kills):
            load = Load(cloud, ledger, machine, seed * 1_000 + number)
            load.start()
            time.sleep(chance.uniform(0.2, 2 * load_seconds))
            if number == kills - 1:  # a busy machine may have been too slow for some kinds
                soon(lambda: all(ledger.counts().values()))
            cloud.kill()
            load.stop()
            cloud = start()
            for kind, sentences in losses(cloud, ledger, everything=number == kills - 1).items():
                lost[kind] += [f"kill {number + 1}: {sentence}" for sentence in sentences]
        began = time.monotonic()
        cloud.stop()
        down = time.monotonic() - began
    finally:
        with contextlib.suppress(Exception):
            cloud.kill()
    return {
        "kills": kills, "seed": seed, "kept": lines, "acknowledged": ledger.counts(), "lost": dict(lost),
        "slowest_start": round(max(starts), 2), "down": round(down, 2),
    }  # fmt: skip


def write_report(path: Path, outcome: dict[str, Any]) -> None:
    """Write the figures of `run` that docs/faults.md shows."""
    path.write_text(
        json.dumps({**outcome, "lost": sum(map(len, outcome["lost"].values()))}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(Path(folder), given.kills, given.lines, given.seed), indent=1))
