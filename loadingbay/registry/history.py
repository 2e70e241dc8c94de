"""Lists the periods in which the endpoint served a version, from the records that DeployModel keeps in S3."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from typing import Any

from loadingbay.registry import versions as registry
from loadingbay.target import Target
from pipelines import aws

_PARALLEL = 8
_CHANGES = 20  # of shadow and settings, that one version is followed back over


@dataclass(frozen=True)
class Period:
    """What the endpoint served from `since` until `until`, which is None for what it serves now.

    It is None, too, for what was last served by an endpoint that is gone: then `in_service` is False. `version` is 0
    for a configuration that is not of DeployModel's making.
    """

    version: int
    config: str
    since: datetime
    until: datetime | None
    approved_by: str
    comment: str
    metadata: dict[str, str]
    in_service: bool = False
    shadow: int = 0
    """The version that got copies of the requests meanwhile, 0 for none."""

    @property
    def key(self) -> str:
        """When it began, as a word that can stand in an address."""
        return re.sub(r"\W", "", self.since.astimezone(UTC).isoformat(timespec="milliseconds").partition("+")[0])

    def document(self) -> dict[str, Any]:
        """The period as a JSON object, which `history --json` prints."""
        return {
            "version": self.version or None,
            "config": self.config,
            "since": self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "in_service": self.in_service,
            "approved_by": self.approved_by or None,
            "comment": self.comment,
            **({"shadow": self.shadow} if self.shadow else {}),
            **self.metadata,
        }


def history(target: Target, bucket: str, endpoint: str, limit: int) -> list[Period]:
    """The last `limit` periods, newest first, from the records that DeployModel keeps in S3."""
    s3, prefix = target.client("s3"), f"deployments/{endpoint}/"
    keys = sorted(item["Key"] for item in aws.objects(s3, bucket, prefix))
    # A record's name is its time and its configuration: what tells the one before again need not be read.
    begins = [key for before, key in pairwise(["", *keys]) if _config(before) != _config(key)]
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="record") as pool:
        bodies = pool.map(lambda key: s3.get_object(Bucket=bucket, Key=key)["Body"].read(), begins[-limit:])
        records = [json.loads(body) for body in bodies]
    now = _now(target, endpoint)
    found = periods([*records, now] if now else records)[:limit]
    return [replace(found[0], in_service=now is not None), *found[1:]] if found else []


def in_service_since(target: Target, bucket: str, endpoint: str) -> datetime | None:
    """Since when the endpoint serves the version that it serves now, shadow or not; None if it serves none."""
    found = history(target, bucket, endpoint, _CHANGES)
    same = takewhile(lambda period: period.version == found[0].version, found)
    return min(period.since for period in same) if found and found[0].in_service else None


def _config(key: str) -> str:
    """`loadingbay-v3-0123456789` of `deployments/loadingbay/20261122T200001.000-loadingbay-v3-0123456789.json`."""
    return key.rsplit("/", 1)[-1].partition("-")[2]


def periods(records: Iterable[dict[str, Any]]) -> list[Period]:
    """Records in any order as periods, newest first: one for each change of what is served."""
    found: list[Period] = []
    for record in sorted(records, key=lambda record: datetime.fromisoformat(record["since"])):
        period = Period(
            version=record.get("version") or 0,
            config=record["config"],
            since=datetime.fromisoformat(record["since"]),
            until=None,
            approved_by=record.get("approved_by", ""),
            comment=record.get("comment", ""),
            metadata=record.get("metadata", {}),
            shadow=record.get("shadow", {}).get("version") or 0,
        )
        if found and found[-1].config == period.config:
            continue  # told again: it was scaled, or an update of it failed
        if found:
            found[-1] = replace(found[-1], until=period.since)
        found.append(period)
    return found[::-1]


def _now(target: Target, endpoint: str) -> dict[str, Any] | None:
    """Return what is served now, as a record: DeployModel may not have written it yet. None when nothing is."""
    now = registry.endpoint(target, endpoint)
    if now is None or now.changed is None or now.status not in {"InService", "Updating", "RollingBack"}:
        return None
    record: dict[str, Any] = {"config": now.config, "since": now.changed.isoformat()}
    if now.shadow:
        record["shadow"] = {"version": registry.number(now.shadow)}
    if not now.serves:
        return record
    version = registry.registered(target, now.serves)
    if version is None:
        return {**record, "version": registry.number(now.serves)}
    approver = version.metadata.get("approved_by", "")
    about = {"version": version.number, "comment": version.comment, "metadata": version.metadata}
    return {**record, **about, "approved_by": approver}
