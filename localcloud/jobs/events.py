"""Publishes the EventBridge events of jobs, models and endpoint configurations, such as
`SageMaker Training Job State Change`. Source: "Events that Amazon SageMaker AI sends to Amazon EventBridge".
"""

from __future__ import annotations

import logging
from typing import Any

from localcloud.api import tags
from localcloud.cloud import Cloud
from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

_NAMES = {"HyperParameterTuning": "HyperParameter Tuning"}


def announce(cloud: Cloud, label: str, job: dict[str, Any]) -> None:
    """Publish a job's state; `label` is the kind, such as Training."""
    arn = job[f"{label}JobArn"]
    publish(cloud, f"{_NAMES.get(label, label)} Job", arn, job, tags.shown(cloud.store, arn))


def publish(cloud: Cloud, what: str, arn: str, described: dict[str, Any], given: dict[str, str]) -> None:
    """Publish the state change of `what` with the tags `given`; a failure to publish is logged and not raised."""
    try:
        cloud.events.put(f"SageMaker {what} State Change", [arn], {**detail(described), "Tags": given})
    except (Exception, DiskError):
        logger.exception("the event of %s could not be published", arn)


def detail(described: dict[str, Any]) -> dict[str, Any]:
    """Return the event's detail: the Describe response with times as strings of milliseconds since 1970."""
    return {name: _milliseconds(name, value) for name, value in described.items() if not name.startswith("_")}


def _milliseconds(name: str, value: Any) -> Any:
    """Return a copy of a member's value with its times as strings of milliseconds since 1970."""
    if name.endswith(("Time", "Timestamp")) and isinstance(value, float):
        return str(int(value * 1000))
    if isinstance(value, dict):
        return {key: _milliseconds(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_milliseconds("", item) for item in value]
    return value
