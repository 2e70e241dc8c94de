"""The whole local cloud is killed under load, its model server's queue is filled, and it is sent 10,000 bad bodies."""

import json
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.faults import malformed
from tests.e2e.faults.test_server_faults import configure

pytestmark = pytest.mark.faults

BODIES = 10_000


def test_after_kill_9_of_the_whole_cloud_nothing_that_was_answered_is_lost(site: Any) -> None:
    site.wait_served("good")

    with site.load() as load:
        began = time.monotonic()
        os.kill(site.cloud_pid(), signal.SIGKILL)
        site.bay.cli("up")
        site.wait_served("good")
        load.settle()

    back = min(one.got for one in load.answered() if one.sent > began)
    row = site.record(
        "kill -9 of the whole local cloud, then `loadingbay up`", load, note=f"answers again {back - began:.1f} s later"
    )
    assert (row.wrong, row.captures_lost) == (0, 0)
    assert row.gap < 30
    assert {one.version for one in load.answered()} == {site.fingerprints["good"]}
    assert all(one.sent < back for one in load.failed()), "requests failed after it was back"


def test_a_graceful_stop_answers_what_it_took_and_loses_nothing(site: Any) -> None:
    site.wait_served("good")

    with site.load() as load:
        site.bay.cli("down")
        site.bay.cli("up")
        site.wait_served("good")
        load.settle()

    row = site.record("`loadingbay down`, then `up`", load)
    # Refused by name, or the port was closed: nobody is told that the endpoint is not there, or that its model failed.
    told = {one.error.partition(":")[0] for one in load.failed() if "(ServiceUnavailable)" not in one.error}
    assert told <= {"EndpointConnectionError", "ConnectionClosedError"}, told
    assert (row.wrong, row.captures_lost) == (0, 0)
    assert row.gap < 30


def test_a_full_queue_is_said_at_once_and_what_was_taken_is_answered(site: Any) -> None:
    name = "full-queue"
    sagemaker = site.bay.client("sagemaker")
    limits: dict[str, Any] = {"SERVE_WORKERS": "1", "SERVE_MAX_BATCH": "1", "SERVE_QUEUE": "2"}
    config = configure(site, name, site.upload("good", site.files), **limits)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    site.wait_served("good", name)

    with site.load(name, connections=64, each_per_second=1000) as flood:
        flood.settle(3)
    with site.load(name, connections=2) as after:
        pass

    refused = [one for one in flood.failed() if "server error (503)" in one.error and "try again" in one.error]
    row = site.record(
        "64 connections fill a queue of 2", flood, name, note=f"{len(refused)} refused at once: ModelError, 503 inside"
    )
    sagemaker.delete_endpoint(EndpointName=name)
    assert refused
    assert flood.answered()
    assert row.failed == len(refused), [one.error for one in flood.failed() if one not in refused][:3]
    assert (row.wrong, row.captures_lost) == (0, 0)
    assert after.failed() == []


def test_ten_thousand_bad_bodies_get_a_sentence_each_and_disturb_nobody(site: Any) -> None:
    site.wait_served("good")
    clients = [site.client() for _ in range(4)]
    photo = next(iter(site.photos.values()))

    def send(number: int, body: bytes, content_type: str) -> str:
        members = {"ContentType": content_type} if content_type else {}
        try:
            clients[number % 4].invoke_endpoint(EndpointName="loadingbay", Body=body, **members)
        except ClientError as error:
            return _judged(error)
        return "a photo still"

    servers = site.server_pids()
    with site.load() as load, ThreadPoolExecutor(4) as pool:
        work = enumerate(malformed.bodies(photo, BODIES))
        outcomes = Counter(pool.map(lambda one: send(one[0], *one[1]), work))

    row = site.record(
        f"{BODIES:,} malformed bodies", load, note=", ".join(f"{count:,} {what}" for what, count in outcomes.items())
    )
    assert sum(outcomes.values()) == BODIES
    assert set(outcomes) <= {"a photo still", "refused with 400", "refused with 415"}, outcomes
    assert outcomes["refused with 400"] > BODIES / 3
    assert (row.failed, row.wrong, row.captures_lost) == (0, 0, 0), load.failed()[:3]
    assert site.server_pids() == servers


def _judged(error: ClientError) -> str:
    """`refused with <status>` where the model server said why in a sentence; else all of it."""
    response = error.response
    status = response.get("OriginalStatusCode")
    try:
        sentence = json.loads(response["OriginalMessage"])["error"]
    except (KeyError, ValueError):
        return str(response)
    return f"refused with {status}" if sentence and isinstance(sentence, str) else str(response)
