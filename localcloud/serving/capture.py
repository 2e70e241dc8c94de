"""Data capture: writes requests and responses as JSON lines to S3, in SageMaker's format and under its keys.

A record is appended to a spool file before its response is sent, so that a kill -9 loses no record of a response that
was received. About once a second a thread writes the spool files to S3. Files that a killed local cloud left are sent
at its next start under the same keys, so that no record is written twice.
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

from localcloud.state import s3_addresses

logger = logging.getLogger("localcloud")

_EVERY_SECONDS = 1.0
_MOST_BYTES = 64 * 1024 * 1024
# A spool file is read into memory when it is sent: at this size the next file is started.
_SPOOL_BYTES = 64 * 1024 * 1024
# A record in the spool: the lengths of three parts in bytes, then the parts: metadata as JSON, body, answer.
_FRAME = struct.Struct(">III")


@dataclass(frozen=True)
class Captured:
    """A request that was answered, with its response; `time` is in seconds since 1970."""

    endpoint: str
    variant: str
    role: str | None
    """ARN of the role with which the record is written to S3."""
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
    """Decide by chance, with InitialSamplingPercentage, whether to capture a request; False if capture is off."""
    if config is None or config.get("EnableCapture") is False:
        return False
    percentage: int = config["InitialSamplingPercentage"]
    return random.uniform(0, 100) < percentage  # noqa: S311 - a sample, not a secret


def record(captured: Captured) -> dict[str, Any]:
    """Return the JSON object of one line, in the format of AWS."""
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
    """Return a body as text and the name of its encoding: JSON or CSV by `header`, BASE64 for all else."""
    kind = content_type.partition(";")[0].strip().lower()
    for member, encoding in (("JsonContentTypes", "JSON"), ("CsvContentTypes", "CSV")):
        if kind in (listed.lower() for listed in header.get(member, [])):
            try:
                return body.decode(), encoding
            except UnicodeDecodeError:
                break
    return base64.b64encode(body).decode(), "BASE64"


def object_key(prefix: str, endpoint: str, variant: str, moment: datetime, identity: uuid.UUID) -> str:
    """Return `<prefix>/<endpoint>/<variant>/yyyy/mm/dd/hh/<minute>-<second>-<ms>-<uuid>.jsonl`."""
    name = f"{moment:%M-%S}-{moment.microsecond // 1000:03d}-{identity}.jsonl"
    return "/".join(part for part in (prefix.strip("/"), endpoint, variant, f"{moment:%Y/%m/%d/%H}", name) if part)


class Recorder:
    """Appends captured requests to spool files, from any thread; a thread of its own writes them to S3.

    `spool` is the directory of the files; `s3(role)` returns a boto3 S3 client with the credentials of that role.
    """

    def __init__(self, spool: Path, s3: Callable[[str | None], Any]) -> None:
        """Start the thread that sends records to S3; records that a killed local cloud left in `spool` are sent too.

        `s3` gives the client for an account or role.
        """
        self._spool = spool
        # Not named *.spool: the thread must not send it while it is written.
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
        # A file left by a killed local cloud may end with an incomplete record: it is sent, not appended to.
        self._close()
        self._work.set()
        self._thread = threading.Thread(target=self._run, name="data-capture", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether new requests must wait: the disk cannot be written, and more than 64 MiB are kept in memory."""
        return self._kept_bytes > _MOST_BYTES

    def put(self, captured: Captured) -> None:
        """Append a record to the spool; if the disk cannot be written, keep it in memory and try again later."""
        with self._writing:
            if self._kept or not self._append(captured):
                self._kept.append(captured)
                self._kept_bytes += captured.size
        if not self._work.is_set():
            self._work.set()

    def stop(self) -> None:
        """Write all records to S3 and end the thread; waits at most 30 s."""
        self._stopping.set()
        self._work.set()
        self._thread.join(30)

    def _append(self, captured: Captured) -> bool:
        """Append a record to the current spool file; False, with nothing appended, if it could not be written."""
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
        """Close the current spool file and rename it, so that it is sent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._current.exists():
            self._current.rename(self._spool / f"{time.time_ns()}-{uuid.uuid4().hex}.spool")

    def _run(self) -> None:
        """Send records to S3 every few seconds until stopped; after an error the spool is tried again."""
        while True:
            self._work.wait()
            self._stopping.wait(_EVERY_SECONDS)
            stopping = self._stopping.is_set()
            self._work.clear()
            try:
                self._send()
            except Exception:
                # Nothing is lost: what could not be sent is in the spool.
                logger.exception("data capture failed; it is tried again from %s", self._spool)
                self._stopping.wait(5 * _EVERY_SECONDS)
                self._work.set()
            if stopping:
                return

    def _send(self) -> None:
        """Close the spool file, write all to S3 and delete them; one that S3 refuses is kept, renamed to *.refused."""
        with self._writing:
            while self._kept and self._append(self._kept[0]):
                self._kept_bytes -= self._kept.pop(0).size
            self._close()
            again = bool(self._kept)
        for spool in sorted(self._spool.glob("*.spool")):
            try:
                for (uri, endpoint, variant, role, moment), lines in _objects(spool):
                    bucket, prefix = s3_addresses.split(uri)
                    identity = uuid.uuid5(
                        uuid.NAMESPACE_URL, f"{spool.name}/{uri}/{endpoint}/{variant}/{role}/{moment:%d%H}"
                    )
                    key = object_key(prefix, endpoint, variant, moment, identity)
                    data = "".join(lines).encode()
                    self._s3(role).put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/jsonlines")
            except ClientError as error:
                # The bucket is missing or access is denied; the file is renamed so that it is not tried again.
                logger.warning("data capture: S3 refuses %s: %s", spool, error)
                spool.rename(spool.with_suffix(".refused"))
                continue
            spool.unlink()
        if again:
            self._work.set()


def _read(spool: Path) -> Iterator[Captured]:
    """Yield the records of a spool file; an incomplete last one is skipped: its response was never sent."""
    with spool.open("rb") as frames:
        while head := frames.read(_FRAME.size):
            sizes = _FRAME.unpack(head) if len(head) == _FRAME.size else (1, 0, 0)
            about, body, answer = (frames.read(size) for size in sizes)
            if (len(about), len(body), len(answer)) != sizes:
                logger.warning("data capture: a record that was cut short in %s is left out", spool)
                return
            try:
                known = json.loads(about)
            except ValueError:
                kept = spool.with_suffix(".damaged")
                kept.unlink(missing_ok=True)
                kept.hardlink_to(spool)
                logger.exception("data capture: %s is damaged; what could be read of it is sent", kept)
                return
            yield Captured(body=body, answer=answer, **known)


def _objects(spool: Path) -> Iterator[tuple[tuple[str, str, str, str | None, datetime], list[str]]]:
    """Yield the JSON lines of a spool file by destination, endpoint, variant, role and hour."""
    found: dict[tuple[str, str, str, str | None, str], tuple[datetime, list[str]]] = {}
    for one in _read(spool):
        moment = datetime.fromtimestamp(one.time, UTC)
        place = (one.config["DestinationS3Uri"], one.endpoint, one.variant, one.role, f"{moment:%Y%m%d%H}")
        found.setdefault(place, (moment, []))[1].append(json.dumps(record(one)) + "\n")
    for (uri, endpoint, variant, role, _), (moment, texts) in found.items():
        yield (uri, endpoint, variant, role, moment), texts
