"""What a killed local cloud acknowledged, and which of it is gone after its next start."""

import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.e2e.faults import kill_resources
from tests.e2e.faults.kill_kind import read

PLAIN, VERSIONED, QUEUE, ROUTED, GROUP, MACHINE, STREAM = (
    "kill-plain", "kill-versioned", "kill-review", "kill-routed", "kill-group", "kill-machine", "kill-stream",
)  # fmt: skip
LOG_GROUP, ENDPOINT, CAPTURES = "/kills", "kill-endpoint", "kill-captures"
ROLE = "arn:aws:iam::000000000000:role/any"
# How the execution of a machine may end that a kill interrupted.
_INTERRUPTED = "States.ServiceRestart"


@dataclass
class Ledger:
    """What the cloud acknowledged, and what was asked without an answer, which may have happened or not."""

    packages: dict[str, set[str]] = field(default_factory=dict)
    """Approval states that a version may have, by ARN."""
    objects: dict[str, set[str]] = field(default_factory=dict)
    """MD5 sums that an object of the plain bucket may have, by key."""
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    """MD5 sum by key and version id."""
    sent: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    perhaps_deleted: set[str] = field(default_factory=set)
    executions: dict[str, str] = field(default_factory=dict)
    """Status that was last told, by ARN."""
    lines: set[str] = field(default_factory=set)
    inferences: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)
    resources: dict[tuple[str, str], set[str | None]] = field(default_factory=dict)
    """Values that a resource may have, by kind and name (see kill_resources)."""
    changed: int = 0
    """How many changes of resources were acknowledged."""

    def counts(self) -> dict[str, int]:
        """How many of each kind were acknowledged."""
        members = {name: getattr(self, name) for name in self.__dataclass_fields__ if not name.startswith("perhaps")}
        return {name: value if isinstance(value, int) else len(value) for name, value in members.items()}


def losses(cloud: Any, ledger: Ledger, everything: bool) -> dict[str, list[str]]:
    """What was acknowledged and is not so: a sentence each, by kind. Only what is quick to look at, or everything."""
    found: dict[str, list[str]] = defaultdict(list)
    _compare_objects(cloud, ledger, found)
    _compare_executions(cloud, ledger, found, None if everything else 50)
    _compare_packages(cloud, ledger, found, None if everything else 20)
    _compare_resources(cloud, ledger, found)
    if everything:
        _compare_messages(cloud, ledger, found)
        _compare_lines(cloud, ledger, found)
        _compare_captures(cloud, ledger, found)
        rules = {
            rule["Name"] for page in _pages(cloud.client("events").list_rules, "NextToken") for rule in page["Rules"]
        }
        found["rules"] += sorted(ledger.rules - rules)
    return {kind: sentences for kind, sentences in found.items() if sentences}


def _compare_objects(cloud: Any, ledger: Ledger, found: dict[str, list[str]]) -> None:
    """Add to `found` the objects whose content was not acknowledged last."""
    s3 = cloud.client("s3")
    for key, allowed in ledger.objects.items():
        try:
            digest = _digest(s3.get_object(Bucket=PLAIN, Key=key))
        except ClientError as error:
            digest = "" if error.response["Error"]["Code"] == "NoSuchKey" else str(error)
        if digest not in allowed:
            found["objects"].append(f"{key} has {digest}, not one of {sorted(allowed)}")
        # Whichever it is, it stays so.
        ledger.objects[key] = {digest}
    for (key, version), expected in ledger.versions.items():
        try:
            digest = _digest(s3.get_object(Bucket=VERSIONED, Key=key, VersionId=version))
        except ClientError as error:
            digest = str(error)
        if digest != expected:
            found["versions"].append(f"{key} {version} has {digest}, not {expected}")


def _digest(answer: Any) -> str:
    body = answer["Body"].read()
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return digest if answer["ETag"].strip('"') == digest else f"{digest}, but the ETag {answer['ETag']}"


def _compare_executions(cloud: Any, ledger: Ledger, found: dict[str, list[str]], newest: int | None) -> None:
    """Add to `found` the executions, or the `newest` of them, that are lost or went back."""
    states = cloud.client("stepfunctions")
    for arn in list(ledger.executions)[-newest if newest else None :]:
        told = ledger.executions[arn]
        try:
            execution = states.describe_execution(executionArn=arn)
        except ClientError as error:
            found["executions"].append(f"{arn}: {error}")
            continue
        reason = execution.get("error", "")
        if told == "SUCCEEDED" and execution["status"] != "SUCCEEDED":
            found["executions"].append(f"{arn} was {told} and is {execution['status']} {reason}")
        elif execution["status"] not in ("SUCCEEDED", "RUNNING") and reason != _INTERRUPTED:
            found["executions"].append(f"{arn} is {execution['status']}: {reason} {execution.get('cause', '')}")
        ledger.executions[arn] = execution["status"]


def _compare_packages(cloud: Any, ledger: Ledger, found: dict[str, list[str]], newest: int | None) -> None:
    """Add to `found` the model packages, or the `newest` of them, with a status that none acknowledged."""
    sagemaker = cloud.client("sagemaker")
    for arn in list(ledger.packages)[-newest if newest else None :]:
        try:
            status = sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"]
        except ClientError as error:
            status = str(error)
        if status not in ledger.packages[arn]:
            found["packages"].append(f"{arn} is {status}, not one of {ledger.packages[arn]}")
        ledger.packages[arn] = {status}


def _compare_resources(cloud: Any, ledger: Ledger, found: dict[str, list[str]]) -> None:
    """Add to `found` the resources that have a value which was not acknowledged last."""
    made: dict[str, Any] = {}

    def clients(service: str) -> Any:
        if service not in made:
            made[service] = cloud.client(service)
        return made[service]

    for (kind, name), allowed in ledger.resources.items():
        value = read(kill_resources.KINDS[kind], clients, name)
        if value not in allowed:
            found["resources"].append(f"{name} is {value}, not one of {sorted(map(str, allowed))}")
        ledger.resources[kind, name] = {value}


def _compare_messages(cloud: Any, ledger: Ledger, found: dict[str, list[str]]) -> None:
    """Add to `found` the messages that are lost, and those that were deleted and are there."""
    waiting = _drain(cloud, QUEUE)
    found["messages"] += [f"{body} is lost" for body in ledger.sent - set(waiting) - ledger.perhaps_deleted]
    found["messages"] += [f"{body} was deleted and is there" for body in ledger.deleted & set(waiting)]
    routed = set(_drain(cloud, ROUTED))
    for arn, status in ledger.executions.items():
        if status == "SUCCEEDED" and arn.rpartition(":")[2] not in routed:
            found["messages"].append(f"the message that {arn} sent is lost")


def _drain(cloud: Any, queue: str) -> list[str]:
    """Receive and delete all messages of a queue; their bodies."""
    sqs, url, bodies = cloud.client("sqs"), queue_url(cloud, queue), []
    # Received before the last kill, and hidden for two seconds since.
    deadline = time.monotonic() + 3
    while True:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600).get("Messages", [])
        bodies += [message["Body"] for message in messages]
        if messages:
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        elif time.monotonic() > deadline:
            return bodies
        else:
            time.sleep(0.2)


def _compare_lines(cloud: Any, ledger: Ledger, found: dict[str, list[str]]) -> None:
    logs, there = cloud.client("logs"), set()
    for page in _pages(logs.filter_log_events, "nextToken", logGroupName=LOG_GROUP):
        there.update(event["message"] for event in page["events"])
    found["lines"] += sorted(ledger.lines - there)


def _compare_captures(cloud: Any, ledger: Ledger, found: dict[str, list[str]]) -> None:
    """Add to `found` the answered requests that are not captured after 15 s."""
    s3, deadline = cloud.client("s3"), time.monotonic() + 15
    read: dict[str, set[str]] = {}
    while True:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=CAPTURES):
            for listed in page.get("Contents", []):
                if listed["Key"] not in read:
                    lines = s3.get_object(Bucket=CAPTURES, Key=listed["Key"])["Body"].read().splitlines()
                    read[listed["Key"]] = {json.loads(line)["eventMetadata"].get("inferenceId") for line in lines}
        lost = ledger.inferences - {identity for identities in read.values() for identity in identities}
        if not lost or time.monotonic() > deadline:
            found["captures"] += sorted(lost)
            return
        time.sleep(0.5)


def _pages(call: Callable[..., dict[str, Any]], token: str, **request: Any) -> Iterator[dict[str, Any]]:
    """Yield the pages of a list whose token is the member `token` of request and answer."""
    page = call(**request)
    yield page
    while page.get(token):
        page = call(**request, **{token: page[token]})
        yield page


def queue_url(cloud: Any, queue: str) -> str:
    return f"{cloud.url}/000000000000/{queue}"
