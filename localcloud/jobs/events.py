"""Publishes the EventBridge events `SageMaker Training Job State Change` and the same for processing jobs."""

from __future__ import annotations

import logging
from typing import Any

from localcloud.cloud import Cloud
from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

_NAMES = {"HyperParameterTuning": "HyperParameter Tuning"}


def announce(cloud: Cloud, label: str, job: dict[str, Any]) -> None:
    """Publish a job's state; `label` is the kind, such as Training. A failure to publish is logged and not raised."""
    try:
        cloud.events.put(f"SageMaker {_NAMES.get(label, label)} Job State Change", [job[f"{label}JobArn"]], detail(job))
    except (Exception, DiskError):
        logger.exception("the event of %s could not be published", job[f"{label}JobArn"])


def detail(job: dict[str, Any]) -> dict[str, Any]:
    """Return the event's detail: the Describe response with times as strings of milliseconds since 1970."""
    return {name: _milliseconds(name, value) for name, value in job.items() if not name.startswith("_")}


def _milliseconds(name: str, value: Any) -> Any:
    """Return a copy of a member's value with its times as strings of milliseconds since 1970."""
    if name.endswith(("Time", "Timestamp")) and isinstance(value, float):
        return str(int(value * 1000))
    if isinstance(value, dict):
        return {key: _milliseconds(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_milliseconds("", item) for item in value]
    return value
