"""Lambda workers within limits: how many there are, who waits, what is read of their output."""

import io
import json
import os
import re
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.ministack import lambda_workers
from localcloud.ministack.lambda_workers import Workers, limits

GIB = 2**30
CODE = """
import json, os, time
import boto3

def handler(event, context):
    for number in range(event.get("lines", 0)):
        print("line", number)
    if event.get("depth"):
        inner = {"depth": event["depth"] - 1}
        answer = boto3.client("lambda").invoke(FunctionName=context.function_name, Payload=json.dumps(inner))
        return json.loads(answer["Payload"].read()) + 1
    time.sleep(event.get("seconds", 0))
    return os.getpid() if "pid" in event else 0
"""


def function(cloud: Any, name: str) -> Any:
    """Create a function; `call(event)` gives its result."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", CODE)
    cloud.client("lambda").create_function(
        FunctionName=name, Runtime="python3.11", Role="arn:aws:iam::000000000000:role/any", Handler="app.handler",
        Code={"ZipFile": code.getvalue()}, Timeout=60,
    )  # fmt: skip
    client = cloud.client("lambda")

    def call(event: dict[str, Any]) -> Any:
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
        assert "FunctionError" not in answer
        return json.loads(answer["Payload"].read())

    return call


@pytest.mark.parametrize(
    ("cores", "gib", "each", "together"), [(2, 8, 4, 16), (2, 1, 2, 2), (16, 64, 32, 128), (1, 0.25, 1, 1)]
)
def test_limits_follow_cores_and_memory(cores: int, gib: float, each: int, together: int) -> None:
    assert limits(cores, int(gib * GIB)) == (each, together)


def test_invocations_beyond_the_limit_wait_for_a_worker(cloud: Any) -> None:
    call = function(cloud, "many-at-once")

    with ThreadPoolExecutor(24) as pool:
        pids = list(pool.map(call, [{"pid": True, "seconds": 0.1}] * 24))

    assert len(set(pids)) <= 2 * len(os.sched_getaffinity(0))


def test_where_none_becomes_free_workers_are_added_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_workers, "_LONGEST_WAIT_SECONDS", 0.1)
    monkeypatch.setattr(lambda_workers, "limits", lambda cores, memory: (1, 1))
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    started: list[float] = []

    def worker(*_: Any) -> Any:
        started.append(time.monotonic())
        return SimpleNamespace(in_use=False, last_used=0.0)

    runtime = SimpleNamespace(
        __name__="runtime",
        _workers={}, _lock=threading.Lock(), _worker_key=lambda *_: "key", _worker_class_for=lambda _: worker,
        kill_workers=lambda _: None, acquire_worker=None, release_worker=None,
    )  # fmt: skip
    depth = SimpleNamespace(get=lambda: 1)
    workers = Workers(
        runtime, SimpleNamespace(__name__="service", _invoke_depth=depth, acquire_worker=None, release_worker=None)
    )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: workers.acquire("name", {}, b""), range(4)))

    assert len(started) == 4
    assert min(later - earlier for earlier, later in pairwise(started)) >= 0.1


def test_a_function_that_calls_itself_deeper_than_the_limit_ends(cloud: Any) -> None:
    depth = 2 * len(os.sched_getaffinity(0)) + 1

    assert function(cloud, "calls-itself")({"depth": depth}) == depth


def test_all_that_a_function_printed_is_in_its_log(cloud: Any) -> None:
    call = function(cloud, "prints")
    call({"lines": 300})
    call({})

    events = [
        event
        for page in cloud.client("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/prints")
        for event in page["events"]
    ]

    said = [event["message"] for event in events if event["message"].startswith("line")]
    assert said == [f"line {number}" for number in range(300)]
    assert not [event for event in events if "end-of-output" in event["message"]]


def test_the_report_of_an_invocation_leaves_out_the_wait_for_a_worker(cloud: Any) -> None:
    call = function(cloud, "reported")
    call({})

    with ThreadPoolExecutor(24) as pool:
        list(pool.map(call, [{"seconds": 0.5}] * 24))

    found = cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/reported", filterPattern="REPORT")
    durations, memory = zip(
        *(re.findall(r"(?:Duration|Used): ([\d.]+) ", event["message"])[::2] for event in found["events"]), strict=True
    )
    # 24 at once on a few workers wait for several others each.
    assert sorted(map(float, durations))[12] < 0.5 * 24 / (2 * len(os.sched_getaffinity(0))) * 1000
    assert all(5 < int(megabytes) < 200 for megabytes in memory)
