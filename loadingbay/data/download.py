"""Downloads the CIFAR-100 archive: finds out soon that there is no network, resumes after a cut, checks the md5."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from loadingbay.errors import WorkError

FIRST_BYTE = 8.0  # seconds until the first byte; name servers alone can take longer than any connection timeout
STALL = 30.0  # seconds without a byte, once they come
ATTEMPTS = 3
_LOOK = 0.2  # seconds between two looks whether another run has ended its download


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
    first_byte: float = FIRST_BYTE,
    stall: float = STALL,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Downloads `source` to `place`, which appears whole and with the right md5 or not at all.

    What came before a cut is kept beside it as `.part`, and the next call goes on from there. While another run
    downloads to the same place, this one waits and tells that one's progress. Raises Unreachable when
    no byte comes within `first_byte` seconds or none for `stall` seconds, DataError when the md5 is wrong.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(place.name + ".part")
    with _locked(part, lambda: progress(_size(part), source.size)) as file:
        if place.exists():  # the run that was waited for made it
            return
        for attempt in range(ATTEMPTS):
            before = file.seek(0, 2)
            try:
                resumed = _transfer(source, file, progress, first_byte, stall, transport)
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
def _locked(part: Path, waiting: Callable[[], None]) -> Iterator[io.BufferedRandom]:
    """Open the partial download for this process alone; `waiting` is called while another one holds it."""
    file = part.open("a+b")
    try:
        while not _taken(file, part):
            waiting()
            time.sleep(_LOOK)
            file.close()
            file = part.open("a+b")  # the other one renames or removes it at its end
        try:
            yield file
        finally:
            if _size(part) == 0:
                part.unlink(missing_ok=True)
    finally:
        file.close()


def _taken(file: io.BufferedRandom, part: Path) -> bool:
    """Lock the open file; False if another process holds it, or if it is no longer the one at `part`."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat())


def _size(part: Path) -> int:
    """The bytes of a file, 0 if there is none."""
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _md5(file: io.BufferedRandom) -> str:
    file.seek(0)
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _transfer(
    source: Source,
    file: io.BufferedRandom,
    progress: Callable[[int, int], None],
    first_byte: float,
    stall: float,
    transport: httpx.BaseTransport | None,
) -> bool:
    """Appends what is missing to `file`; whether it went on from what was there.

    A thread talks to the network, because looking up a name cannot be interrupted; this one keeps the time and writes.
    """
    offset = file.seek(0, 2)
    if offset >= source.size:  # all there, or of something else: the md5 decides
        return True
    line = _Line()
    threading.Thread(target=_receive, args=(source, offset, line, transport), daemon=True).start()
    resumed, wait = False, first_byte
    try:
        while (event := line.hear(wait)) is not None:
            if isinstance(event, int):
                resumed = event > 0
                if not resumed:
                    file.truncate(0)
                offset = event
                continue
            offset += len(event)
            if offset > source.size:
                raise Unreachable(f"more than the archive's {source.size:,} bytes came")
            file.write(event)
            progress(offset, source.size)
            wait = stall
    finally:
        line.gone.set()
        file.flush()
    if offset < source.size:
        raise Unreachable(f"cut off after {offset:,} of {source.size:,} bytes; run again to go on from there")
    return resumed


class _Line:
    """What the receiving thread tells: the offset it starts at, bytes, a failure, or None at the end."""

    def __init__(self) -> None:
        self.gone = threading.Event()
        self._events: queue.Queue[int | bytes | Exception | None] = queue.Queue(maxsize=64)

    def tell(self, event: int | bytes | Exception | None) -> bool:
        """Pass an event to the reader; return False if it no longer reads."""
        while not self.gone.is_set():
            try:
                self._events.put(event, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def hear(self, wait: float) -> int | bytes | None:
        """Return the next event. Unreachable if the download failed, or if none comes within `wait` seconds."""
        try:
            event = self._events.get(timeout=wait)
        except queue.Empty:
            raise Unreachable(f"no answer within {wait:.0f} seconds") from None
        if isinstance(event, Exception):
            raise Unreachable(_reason(event)) from event
        return event


def _receive(source: Source, offset: int, line: _Line, transport: httpx.BaseTransport | None) -> None:
    """Runs in the thread: asks for the bytes from `offset` on and tells them."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "loadingbay"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        with (
            httpx.Client(transport=transport, timeout=httpx.Timeout(STALL, connect=5), follow_redirects=True) as client,
            client.stream("GET", source.url, headers=headers) as response,
        ):
            response.raise_for_status()
            resumes = re.match(rf"bytes {offset}-\d+/{source.size}$", response.headers.get("Content-Range", ""))
            start = offset if response.status_code == httpx.codes.PARTIAL_CONTENT and resumes else 0
            length = int(response.headers.get("Content-Length", source.size - start))
            if length != source.size - start:
                line.tell(Unreachable(f"the server offers {length:,} bytes instead of {source.size - start:,}"))
                return
            line.tell(start)
            for data in response.iter_raw():
                if not line.tell(data):
                    return
        line.tell(None)
    except Exception as error:  # told to the listener, who turns it into a sentence
        line.tell(error)


def _reason(error: Exception) -> str:
    """Return in a few words why the download failed."""
    if isinstance(error, Unreachable):
        return str(error)
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answers {error.response.status_code} {error.response.reason_phrase}".rstrip()
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.TransportError):
        return f"no connection: {error}" if str(error) else "no connection"
    return f"{type(error).__name__}: {error}"
