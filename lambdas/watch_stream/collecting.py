"""Chooses what the Monitor job reads, and writes it down as a manifest, the form in which SageMaker takes a list.

The form: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html, `ManifestFile`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from .reading import Clients, keys, serving

MANIFESTS = "monitoring/collected/"
_CAPTURES, _LABELS = "data-capture/", "labels/"
_MAX_FILES = 20_000  # the newest; a manifest has to stay small enough to be read at once
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_CLOCKS = timedelta(minutes=5)
"""Clocks differ: a capture may lie in the folder of the hour before or after."""


def collect(window_hours: float, look_back_hours: float, now: datetime, clients: Clients) -> dict[str, Any]:
    """Output parameters of the step Collect.

    `captured` is how many capture files there are in the window, `manifest` the S3 address of the list, `evaluation`
    where the evaluation lies among what is listed, `since` the time that the window begins at and `time` that it ends
    at, `version` the number of the version in service. With nothing captured, `reason` says so in a sentence, and there
    is no manifest.
    """
    found = serving(clients)
    if found is None:
        return _nothing(now, f"there is no endpoint {clients.endpoint}: approve a version to have one")
    since = max(now - timedelta(hours=window_hours), found.since)
    earliest = min(since, now - timedelta(hours=look_back_hours))
    captures = [
        key
        for variant in found.variants
        for key in _by_hour(clients, f"{_CAPTURES}{clients.endpoint}/{variant}/", earliest, now)
    ]
    recent = [key for key in captures if _hour(key) >= _whole_hour(since - _CLOCKS)]
    if not recent:
        return _nothing(now, f"nothing was captured since {since:%Y-%m-%d %H:%M} UTC", found.version)
    labels = list(_by_hour(clients, _LABELS, earliest, now + _CLOCKS))
    about = list(keys(clients, f"{found.evaluation}/", delimiter="/")) if found.evaluation else []
    listed = [*captures[-_MAX_FILES:], *labels[-_MAX_FILES:], *(key for key in about if key.endswith(".json"))]
    return {
        "captured": len(recent),
        "manifest": _write_manifest(clients, listed),
        "evaluation": found.evaluation or "none",
        "since": since.astimezone(UTC).strftime(_TIME),
        "time": now.strftime(_TIME),
        "version": found.version or "none",
        "reason": "none",
    }


def _nothing(now: datetime, reason: str, version: str = "") -> dict[str, Any]:
    place = dict.fromkeys(("manifest", "evaluation", "since"), "none")
    return {"captured": 0, **place, "time": now.strftime(_TIME), "version": version or "none", "reason": reason}


def _by_hour(clients: Clients, prefix: str, since: datetime, until: datetime) -> Iterator[str]:
    """The keys below `prefix`yyyy/mm/dd/hh/ of these hours, in the order of time. One listing a day."""
    earliest, latest = _whole_hour(since - _CLOCKS), _whole_hour(until + _CLOCKS)
    day = earliest.replace(hour=0)
    while day <= latest:
        for key in keys(clients, f"{prefix}{day:%Y/%m/%d}/"):
            hour = _hour(key)
            if earliest <= hour <= latest:
                yield key
        day += timedelta(days=1)


def _hour(key: str) -> datetime:
    """The hour in a key `.../yyyy/mm/dd/hh/name`; the year 1 for a key of another form."""
    try:
        year, month, day, hour = map(int, key.split("/")[-5:-1])
        return datetime(year, month, day, hour, tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def _whole_hour(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _write_manifest(clients: Clients, listed: Iterable[str]) -> str:
    """Writes the list under its hash; the S3 address."""
    entries = [{"prefix": f"s3://{clients.bucket}/"}, *listed]
    body = json.dumps(entries, separators=(",", ":")).encode()
    key = f"{MANIFESTS}{hashlib.sha256(body).hexdigest()}.manifest"
    clients.s3.put_object(Bucket=clients.bucket, Key=key, Body=body)
    return f"s3://{clients.bucket}/{key}"
