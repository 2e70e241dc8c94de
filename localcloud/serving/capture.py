"""Data capture: requests and answers as JSON lines in S3, in SageMaker's format and paths, off the path of the answer.

A record goes to a spool file at once and from there to S3 about once a second: a graceful stop loses nothing, and what
a killed cloud had spooled is sent at its next start, under the same key, so nothing comes twice.
"""

import base64
import json
import logging
import random
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

logger = logging.getLogger("localcloud")

_EVERY_SECONDS = 1.0
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Captured:
    """One answered request."""

    endpoint: str
    variant: str
    config: dict[str, Any]
    """The endpoint's DataCaptureConfig."""
    content_type: str
    body: bytes
    answer_type: str
    answer: bytes
    inference_id: str | None
    time: float


def wanted(config: dict[str, Any] | None) -> bool:
    """Whether this request is one of the sample."""
    if config is None or config.get("EnableCapture") is False:
        return False
    percentage: int = config["InitialSamplingPercentage"]
    return random.uniform(0, 100) < percentage  # noqa: S311 - a sample, not a secret


def record(captured: Captured) -> dict[str, Any]:
    """The JSON object of one line, as AWS writes it."""
    header = captured.config.get("CaptureContentTypeHeader") or {}
    modes = {option["CaptureMode"] for option in captured.config["CaptureOptions"]}
    data = {}
    for name, mode, content_type, body in (
        ("endpointInput", "Input", captured.content_type, captured.body),
        ("endpointOutput", "Output", captured.answer_type, captured.answer),
    ):
        if modes & {mode, "InputAndOutput"}:
            text, encoding = _encoded(content_type, body, header)
            data[name] = {
                "observedContentType": content_type,
                "mode": mode.upper(),
                "data": text,
                "encoding": encoding,
            }
    moment = datetime.fromtimestamp(captured.time, UTC)
    metadata = {"eventId": str(uuid.uuid4()), "inferenceTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if captured.inference_id is not None:
        metadata["inferenceId"] = captured.inference_id
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _encoded(content_type: str, body: bytes, header: dict[str, list[str]]) -> tuple[str, str]:
    kind = content_type.partition(";")[0].strip().lower()
    for member, encoding in (("JsonContentTypes", "JSON"), ("CsvContentTypes", "CSV")):
        if kind in (listed.lower() for listed in header.get(member, [])):
            try:
                return body.decode(), encoding
            except UnicodeDecodeError:
                break
    return base64.b64encode(body).decode(), "BASE64"


def object_key(prefix: str, endpoint: str, variant: str, moment: datetime, identity: uuid.UUID) -> str:
    """`<prefix>/<endpoint>/<variant>/yyyy/mm/dd/hh/<minute>-<second>-<ms>-<uuid>.jsonl`."""
    name = f"{moment:%M-%S}-{moment.microsecond // 1000:03d}-{identity}.jsonl"
    return "/".join(part for part in (prefix.strip("/"), endpoint, variant, f"{moment:%Y/%m/%d/%H}", name) if part)


class Recorder:
    """Takes captured requests from the event loop; one thread spools them, and sends the spool to S3."""

    def __init__(self, spool: Path, s3: Any) -> None:
        self._spool = spool
        self._s3 = s3
        self._changed = threading.Condition()
        self._waiting: list[Captured] = []
        self._bytes = 0
        self._stopping = False
        spool.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._run, name="data-capture", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether requests should wait a moment: 64 MiB are not yet on disk."""
        return self._bytes > _MOST_BYTES

    def put(self, captured: Captured) -> None:
        """Take one; returns at once."""
        with self._changed:
            self._waiting.append(captured)
            self._bytes += len(captured.body) + len(captured.answer)
            self._changed.notify()

    def stop(self) -> None:
        """Send all that was taken to S3, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(30)

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            with self._changed:
                pause = due - time.monotonic() if self._has_spool() else None
                if not self._waiting and not self._stopping and (pause is None or pause > 0):
                    self._changed.wait(pause)
                batch, self._waiting = self._waiting, []
                stopping = self._stopping
            try:
                self._write(batch)
                if stopping or time.monotonic() >= due:
                    due = time.monotonic() + _EVERY_SECONDS
                    self._send()
            except Exception:
                logger.exception("data capture failed; it is tried again from %s", self._spool)
                due = time.monotonic() + 5 * _EVERY_SECONDS
            with self._changed:
                if stopping and not self._waiting:
                    return

    def _has_spool(self) -> bool:
        return next(self._spool.glob("*.spool"), None) is not None

    def _write(self, batch: list[Captured]) -> None:
        if not batch:
            return
        # One line a record: where it goes, a tab, and the line for S3.
        lines = []
        for one in batch:
            place = json.dumps([one.config["DestinationS3Uri"], one.endpoint, one.variant, one.time])
            lines.append(f"{place}\t{json.dumps(record(one))}\n")
        try:
            with (self._spool / "captures.spool").open("a") as spool:
                spool.writelines(lines)
        except OSError:
            # A full disk: keep them, and let requests wait once 64 MiB are kept.
            with self._changed:
                self._waiting = batch + self._waiting
            raise
        with self._changed:
            self._bytes -= sum(len(one.body) + len(one.answer) for one in batch)

    def _send(self) -> None:
        current = self._spool / "captures.spool"
        if current.exists():
            current.rename(self._spool / f"{time.time_ns()}-{uuid.uuid4().hex}.spool")
        for spool in sorted(self._spool.glob("*.spool")):
            try:
                for (uri, endpoint, variant, moment), lines in _objects(spool):
                    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
                    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{spool.name}/{uri}/{endpoint}/{variant}/{moment:%d%H}")
                    key = object_key(prefix, endpoint, variant, moment, identity)
                    data = "".join(lines).encode()
                    self._s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/jsonlines")
            except ClientError as error:
                # The bucket is gone or closed; the records stay on disk, out of the way of the others.
                logger.warning("data capture: S3 refuses %s: %s", spool, error)
                spool.rename(spool.with_suffix(".refused"))
                continue
            spool.unlink()


def _objects(spool: Path) -> Iterator[tuple[tuple[str, str, str, datetime], list[str]]]:
    """The spool's lines by destination, endpoint, variant and hour; a last line that a kill cut short is left out."""
    found: dict[tuple[str, str, str, str], tuple[datetime, list[str]]] = {}
    with spool.open() as lines:
        for line in lines:
            place, tab, text = line.partition("\t")
            if not tab or not text.endswith("}\n"):
                logger.warning("data capture: a record that was cut short in %s is left out", spool)
                continue
            uri, endpoint, variant, time_ = json.loads(place)
            moment = datetime.fromtimestamp(time_, UTC)
            found.setdefault((uri, endpoint, variant, f"{moment:%Y%m%d%H}"), (moment, []))[1].append(text)
    for (uri, endpoint, variant, _), (moment, texts) in found.items():
        yield (uri, endpoint, variant, moment), texts
