"""Downloads the CIFAR-100 archive: soon knows when there is no network, goes on where it was cut off, checks the md5."""

from __future__ import annotations

import fcntl
import hashlib
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx

from loadingbay.errors import WorkError

PATIENCE = 8.0  # seconds until the first byte; name servers alone can take longer than any connection timeout
STALL = 30.0  # seconds without a byte, once they come
ATTEMPTS = 3


class DataError(WorkError):
    """The data to learn from cannot be had; one sentence says what, which value and what to do."""


class Unreachable(Exception):  # noqa: N818 - the name of the condition
    """The archive cannot be downloaded now: no network, or the server does not give it."""


@dataclass(frozen=True)
class Source:
    """A file with its address, md5 and size in bytes."""

    url: str
    md5: str
    size: int

    @property
    def host(self) -> str:
        """The server's name."""
        return urlsplit(self.url).netloc


CIFAR_100 = Source(
    "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", 169_001_437
)


def fetch(
    source: Source,
    place: Path,
    progress: Callable[[int, int], None],
    *,
    patience: float = PATIENCE,
    stall: float = STALL,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Downloads `source` to `place`, which appears whole and with the right md5 or not at all.

    What came before a cut is kept beside it as `.part`, and the next call goes on from there. Raises Unreachable when no
    byte comes within `patience` seconds or none for `stall` seconds, DataError when the md5 is wrong.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(place.name + ".part")
    with _locked(part) as file:
        for attempt in range(ATTEMPTS):
            before = file.seek(0, 2)
            try:
                resumed = _transfer(source, file, progress, patience, stall, transport)
            except Unreachable:
                if file.seek(0, 2) <= before or attempt + 1 == ATTEMPTS:
                    raise
                continue  # it was cut off, but something came: go on from there
            md5 = _md5(file)
            if md5 == source.md5:
                part.replace(place)
                return
            file.truncate(0)
            if not resumed:
                break  # a part kept from before may have been of another file; a fresh one was not
        part.unlink(missing_ok=True)
    raise DataError(
        f"the download from {source.url} has md5 {md5} instead of {source.md5} and was thrown away; "
        "try again, or name an archive with CIFAR100_ARCHIVE"
    )


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    with part.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"another run is downloading to {part}; wait for it to end") from error
        try:
            yield file
        finally:
            if part.exists() and part.stat().st_size == 0:
                part.unlink()


def _md5(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _transfer(
    source: Source,
    file: BinaryIO,
    progress: Callable[[int, int], None],
    patience: float,
    stall: float,
    transport: httpx.BaseTransport | None,
) -> bool:
    """Appends what is missing to `file`; whether there was something before.

    A thread talks to the network, because looking up a name cannot be interrupted; this one keeps the time and writes.
    """
    events: queue.Queue[Any] = queue.Queue(maxsize=64)
    gone = threading.Event()
    offset = file.seek(0, 2)
    if offset >= source.size:  # all there, or of something else: the md5 decides
        return True
    threading.Thread(target=_receive, args=(source, offset, events, gone, transport), daemon=True).start()
    wait = patience
    try:
        while True:
            try:
                event = events.get(timeout=wait)
            except queue.Empty:
                raise Unreachable(f"no answer within {wait:.0f} seconds") from None
            if isinstance(event, Exception):
                raise Unreachable(_reason(event)) from event
            if event is None:
                return offset > 0
            start, data = event
            if start != offset and start == 0:  # the server does not resume
                file.truncate(0)
                offset = 0
            file.seek(0, 2)
            file.write(data)
            offset += len(data)
            if offset > source.size:
                raise Unreachable(f"more than the archive's {source.size:,} bytes came")
            progress(offset, source.size)
            wait = stall
    finally:
        gone.set()
        file.flush()
