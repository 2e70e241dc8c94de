"""Data capture: requests and answers as JSON lines in S3, in SageMaker's format and paths.

A record is appended to a spool file before its answer goes out, in tens of microseconds, so that a kill -9 loses none
whose answer somebody has. All else is off the path of the answer: about once a second a thread turns the spool into
objects in S3. What a killed cloud had spooled is sent at its next start, under the same key: nothing comes twice.
"""

import base64
import json
import logging
import os
import random
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

logger = logging.getLogger("localcloud")

_EVERY_SECONDS = 1.0
_MOST_BYTES = 64 * 1024 * 1024
# A spool file is read whole when it is sent: one that has grown to this is closed, and the next one begun.
_SPOOL_BYTES = 64 * 1024 * 1024
# A record in the spool: the lengths of three parts, then the parts: what is known of it as JSON, body, answer.
_FRAME = struct.Struct(">III")


@dataclass(frozen=True)
class Captured:
    """One answered request."""

    endpoint: str
    variant: str
    role: str | None
    """In whose name it is written."""
    config: dict[str, Any]
    """The endpoint's DataCaptureConfig."""
    content_type: str
    body: bytes
    answer_type: str
    answer: bytes
    inference_id: str | None
    time: float
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def size(self) -> int:
        """Bytes of body and answer."""
        return len(self.body) + len(self.answer)


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
    metadata = {"eventId": captured.event_id, "inferenceTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}
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
    """Takes captured requests, on the event loop or in any thread; one thread sends what they wrote down to S3.

    `s3(role)` is a boto3 client in the name of the model's role.
    """

    def __init__(self, spool: Path, s3: Callable[[str | None], Any]) -> None:
        self._spool = spool
        # Not named as those are that wait to be sent: the thread must not take it while it is written.
        self._current = spool / "captures.open"
        self._s3 = s3
        self._writing = threading.Lock()
        self._file: int | None = None
        self._written = 0
        self._kept: list[Captured] = []
        self._kept_bytes = 0
        self._work = threading.Event()
        self._stopping = threading.Event()
        spool.mkdir(parents=True, exist_ok=True)
        # What a killed cloud left is whole but for its last record: it is not written on, but sent.
        self._close()
        self._work.set()
        self._thread = threading.Thread(target=self._run, name="data-capture", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether requests should wait a moment: the disk takes nothing, and 64 MiB are kept in memory."""
        return self._kept_bytes > _MOST_BYTES

    def put(self, captured: Captured) -> None:
        """Write one down. What the disk does not take is kept, and tried again."""
        with self._writing:
            if self._kept or not self._append(captured):
                self._kept.append(captured)
                self._kept_bytes += captured.size
        if not self._work.is_set():
            self._work.set()

    def stop(self) -> None:
        """Send all that was taken to S3, and end."""
        self._stopping.set()
        self._work.set()
        self._thread.join(30)

    def _append(self, captured: Captured) -> bool:
        known = {name: value for name, value in vars(captured).items() if name not in ("body", "answer")}
        about = json.dumps(known).encode()
        parts = [_FRAME.pack(len(about), len(captured.body), len(captured.answer)), about]
        parts += [captured.body, captured.answer]
        whole = sum(map(len, parts))
        try:
            if self._file is None:
                self._file = os.open(self._current, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                self._written = 0
            if os.writev(self._file, parts) < whole:
                os.ftruncate(self._file, self._written)
                return False
        except OSError as error:
            logger.warning("data capture: %s cannot be written: %s", self._current, error)
            return False
        self._written += whole
        if self._written > _SPOOL_BYTES:
            self._close()
        return True

    def _close(self) -> None:
        """The current spool takes no more: it is ready to be sent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._current.exists():
            self._current.rename(self._spool / f"{time.time_ns()}-{uuid.uuid4().hex}.spool")

    def _run(self) -> None:
        while True:
            self._work.wait()
            self._stopping.wait(_EVERY_SECONDS)
            stopping = self._stopping.is_set()
            self._work.clear()
            try:
                self._send()
            except Exception:
                logger.exception("data capture failed; it is tried again from %s", self._spool)
                self._stopping.wait(5 * _EVERY_SECONDS)
                self._work.set()
            if stopping:
                return

    def _send(self) -> None:
        with self._writing:
            while self._kept and self._append(self._kept[0]):
                self._kept_bytes -= self._kept.pop(0).size
            self._close()
            again = bool(self._kept)
        for spool in sorted(self._spool.glob("*.spool")):
            try:
                for (uri, endpoint, variant, role, moment), lines in _objects(spool):
                    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
                    identity = uuid.uuid5(
                        uuid.NAMESPACE_URL, f"{spool.name}/{uri}/{endpoint}/{variant}/{role}/{moment:%d%H}"
                    )
                    key = object_key(prefix, endpoint, variant, moment, identity)
                    data = "".join(lines).encode()
                    self._s3(role).put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/jsonlines")
            except ClientError as error:
                # The bucket is gone or closed; the records stay on disk, out of the way of the others.
                logger.warning("data capture: S3 refuses %s: %s", spool, error)
                spool.rename(spool.with_suffix(".refused"))
                continue
            spool.unlink()
        if again:
            self._work.set()


def _read(spool: Path) -> Iterator[Captured]:
    """The spool's records; a last one that a kill cut short is left out: nobody got its answer."""
    with spool.open("rb") as frames:
        while head := frames.read(_FRAME.size):
            sizes = _FRAME.unpack(head) if len(head) == _FRAME.size else (1, 0, 0)
            about, body, answer = (frames.read(size) for size in sizes)
            if (len(about), len(body), len(answer)) != sizes:
                logger.warning("data capture: a record that was cut short in %s is left out", spool)
                return
            yield Captured(body=body, answer=answer, **json.loads(about))


def _objects(spool: Path) -> Iterator[tuple[tuple[str, str, str, str | None, datetime], list[str]]]:
    """The spool's lines by destination, endpoint, variant, role and hour."""
    found: dict[tuple[str, str, str, str | None, str], tuple[datetime, list[str]]] = {}
    for one in _read(spool):
        moment = datetime.fromtimestamp(one.time, UTC)
        place = (one.config["DestinationS3Uri"], one.endpoint, one.variant, one.role, f"{moment:%Y%m%d%H}")
        found.setdefault(place, (moment, []))[1].append(json.dumps(record(one)) + "\n")
    for (uri, endpoint, variant, role, _), (moment, texts) in found.items():
        yield (uri, endpoint, variant, role, moment), texts
