"""Reads the newest captured answers of the endpoint, a few files at a time: what just came in."""

from __future__ import annotations

import base64
import json
import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loadingbay.target import Target
from pipelines.aws import SHADOW_VARIANT, split_s3

_FILES = 40  # at most so many of the newest files are read at a look
_BYTES = 16 * 1024 * 1024  # and no larger one: its photos travel inside
_NOT_READABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Answer:
    """One captured answer. `accepted`: confident enough, and of a vehicle that the model knows."""

    inference_id: str
    time: datetime
    label: str
    confidence: float
    threshold: float | None
    accepted: bool


class Recent:
    """The newest answers of a target's endpoint. A file is read once: captures are never changed."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._read: dict[str, tuple[Answer, ...]] = {}
        self._lock = threading.Lock()

    def answers(self, stack: Mapping[str, str], limit: int = 200) -> list[Answer]:
        """At most `limit` of the newest answers, the oldest first. Lines that are no captures are left out."""
        s3 = self._target.client("s3")
        bucket, base = split_s3(f"{stack['DataCaptureUri']}/{stack['EndpointName']}/")
        found: list[Answer] = []
        used: dict[str, tuple[Answer, ...]] = {}
        with self._lock:
            known = self._read
        variants = [folder for folder in _listed(s3, bucket, base)[0] if folder != f"{base}{SHADOW_VARIANT}/"]
        listed = (one for variant in sorted(variants, reverse=True) for one in _newer(s3, bucket, variant, known))
        for number, (key, size) in enumerate(listed):
            if number == _FILES or len(found) >= limit:
                break
            if key in known:
                used[key] = known[key]
            elif size <= _BYTES:
                used[key] = _answers(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            found += used.get(key, ())
        with self._lock:
            self._read = used
        return sorted(found, key=lambda answer: answer.time)[-limit:]


def _newer(s3: Any, bucket: str, prefix: str, known: Iterable[str]) -> Iterator[tuple[str, int]]:
    """(key, bytes) of the objects below a prefix, the newest first, down to the oldest that is known already.

    An open page asks each second, and an hour can have thousands of files: only what may be new is listed.
    """
    oldest = min((key for key in known if key.startswith(prefix)), default="")
    if oldest:
        yield from sorted(_listed(s3, bucket, prefix, StartAfter=oldest)[1], reverse=True)
        yield oldest, 0
    else:
        yield from _newest(s3, bucket, prefix)


def _newest(s3: Any, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """(key, bytes) of the objects below a prefix, the newest folder and name first: the path is the time."""
    folders, files = _listed(s3, bucket, prefix)
    yield from sorted(files, reverse=True)
    for folder in sorted(folders, reverse=True):
        yield from _newest(s3, bucket, folder)


def _listed(s3: Any, bucket: str, prefix: str, **more: str) -> tuple[list[str], list[tuple[str, int]]]:
    """The folders, and (key, bytes) of the objects, below a prefix."""
    folders: list[str] = []
    files: list[tuple[str, int]] = []
    asked = {"Bucket": bucket, "Prefix": prefix, **(more or {"Delimiter": "/"})}
    for page in s3.get_paginator("list_objects_v2").paginate(**asked):
        folders += [one["Prefix"] for one in page.get("CommonPrefixes", [])]
        files += [(one["Key"], one["Size"]) for one in page.get("Contents", [])]
    return folders, files


def _answers(body: bytes) -> tuple[Answer, ...]:
    """Return the answers in a capture file, without lines that cannot be read."""
    found: list[Answer] = []
    for line in body.splitlines():
        try:
            found += _in_line(json.loads(line))
        except _NOT_READABLE:
            continue
    return tuple(found)


def _in_line(capture: dict[str, Any]) -> list[Answer]:
    """Return the answers in one captured record."""
    about, output = capture["eventMetadata"], capture["captureData"]["endpointOutput"]
    data = output["data"]
    document = json.loads(base64.b64decode(data) if output.get("encoding") == "BASE64" else data)
    at = datetime.fromisoformat(about["inferenceTime"])
    least = document.get("in_distribution_threshold")
    answers = []
    for one in document["predictions"]:
        confidence = float(one["confidence"])
        if not math.isfinite(confidence):
            raise ValueError("confidence must be a number")
        threshold = one.get("threshold", document.get("threshold"))  # its own, where the class decides about it
        known = least is None or float(one["in_distribution"]) >= float(least)
        sure = threshold is None or confidence >= float(threshold)
        answers.append(
            Answer(
                str(about.get("inferenceId") or about["eventId"]),
                at if at.tzinfo else at.replace(tzinfo=UTC),
                str(one["label"]),
                confidence,
                None if threshold is None else float(threshold),
                known and sure,
            )
        )
    return answers
