"""How long the oldest photo in the review queue has waited, and the violation when that is too long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .reading import Clients

FIGURE = "review_queue_age_hours"
VIOLATION = "review_queue_age"


def age_hours(clients: Clients, now: datetime) -> float | None:
    """Hours by the newest point of SQS's metric; None where it has none in the last hour.

    SQS measures no queue that was not used for six hours, but photos come into this one while any are classified.
    """
    points = clients.cloudwatch.get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": clients.review_queue.rpartition("/")[2]}],
        StartTime=now - timedelta(hours=1),
        EndTime=now,
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    return float(max(points, key=lambda point: point["Timestamp"])["Maximum"]) / 3600 if points else None


def violations(age: float | None, most: float) -> list[dict[str, Any]]:
    """The violation, in the form of constraint_violations.json, of an age of more than `most` hours; else none."""
    if age is None or age <= most:
        return []
    words = (
        f"the oldest photo in the review queue has waited for {age:.1f} hours, and should not wait for over {most:g}"
    )
    return [{"feature_name": VIOLATION, "constraint_check_type": "GreaterThanThreshold", "description": words}]
