"""When queues have data points in CloudWatch, and which."""

import time
from types import SimpleNamespace
from typing import Any

from localcloud.ministack.queue_metrics import QueueMetrics

URL = "http://127.0.0.1:1/000000000000/review"


def _queue(*ages: float) -> dict[str, Any]:
    now = time.time()
    return {"messages": [{"sent_at": now - age} for age in ages], "attributes": {}}


def _recorder(queue: dict[str, Any]) -> tuple[QueueMetrics, list[tuple[str, float]]]:
    """The metrics of one queue, and the list that their points go to."""
    points: list[tuple[str, float]] = []

    def count(one: dict[str, Any]) -> None:
        one["attributes"] |= {
            "ApproximateNumberOfMessages": str(len(one["messages"])),
            "ApproximateNumberOfMessagesNotVisible": "0",
        }

    def record(namespace: str, name: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
        assert (namespace, dimensions) == ("AWS/SQS", {"QueueName": "review"})
        points.append((name, value))

    sqs = SimpleNamespace(__name__="sqs", _queues={URL: queue}, _refresh_counts=count)
    return QueueMetrics(sqs, SimpleNamespace(__name__="cloudwatch", record_metric=record)), points


def test_a_queue_says_how_many_wait_and_how_long() -> None:
    metrics, points = _recorder(_queue(30.0, 90.0))
    metrics.record()
    found = dict(points)
    assert found["ApproximateNumberOfMessagesVisible"] == 2
    assert 90 <= found["ApproximateAgeOfOldestMessage"] < 100


def test_a_queue_has_one_point_a_minute() -> None:
    metrics, points = _recorder(_queue(30.0))
    metrics.record()
    metrics.record()
    assert len(points) == 3


def test_a_queue_that_became_empty_says_so_once() -> None:
    queue = _queue(30.0)
    metrics, points = _recorder(queue)
    metrics.record()
    queue["messages"].clear()
    metrics.record()
    metrics.record()
    assert len(points) == 6
    assert dict(points)["ApproximateAgeOfOldestMessage"] == 0
