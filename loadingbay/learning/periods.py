"""The periods of monitoring as the schedule found them, the newest last, and the alarm if it is on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loadingbay.errors import WorkError
from loadingbay.target import Target
from pipelines import aws

KEY = "monitoring/periods.json"


@dataclass(frozen=True)
class Estimate:
    """A share of the whole stream with its 95 % interval, made of so many labels."""

    value: float
    low: float
    high: float
    labelled: int


@dataclass(frozen=True)
class Period:
    """One period: when it ended, the version in service, its main figures, and each violation in a sentence by name.

    `accuracy` and `precision` (of the accepted) are None while a part of the stream has no label.
    """

    time: datetime
    version: str
    count: int
    accepted: float
    accuracy: Estimate | None
    precision: Estimate | None
    violations: dict[str, str]


@dataclass(frozen=True)
class Watch:
    """All periods that are kept, the alarm's name ("" while it is off), and what it says, a sentence a violation."""

    periods: tuple[Period, ...]
    alarm: str
    sentences: tuple[str, ...]


def read(target: Target, bucket: str) -> Watch:
    """Read the periods and the alarm from S3; no periods if monitoring has not run. WorkError when they are damaged."""
    s3 = target.client("s3")
    if not aws.exists(s3, bucket, KEY):
        return Watch((), "", ())
    try:
        return parse(json.loads(s3.get_object(Bucket=bucket, Key=KEY)["Body"].read()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise WorkError(
            f"s3://{bucket}/{KEY} is not the list of periods that monitoring writes ({said}): put an earlier version "
            "of the object back, or delete it, and the next period begins a new list"
        ) from error


def parse(said: Mapping[str, Any]) -> Watch:
    """The periods and the alarm in monitoring/periods.json (a parsed object), which the function WatchStream writes."""
    periods = tuple(
        Period(
            time=datetime.fromisoformat(one["time"]),
            version=one["version"],
            count=one["count"],
            accepted=one["share_above"],
            accuracy=_estimate(one, "accuracy"),
            precision=_estimate(one, "accepted_precision"),
            violations=dict(one["violations"]),
        )
        for one in said["periods"]
    )
    return Watch(periods, said.get("alarm", ""), tuple(said.get("sentences", {}).values()))


def _estimate(period: Mapping[str, Any], name: str) -> Estimate | None:
    found = (period.get("estimates") or {}).get(name)
    return Estimate(**found) if found else None
