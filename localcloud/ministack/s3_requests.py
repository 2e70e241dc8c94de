"""Long work of requests to S3 in threads, so that other requests are answered meanwhile.

MiniStack's S3 runs on the event loop. A function of it that needs long work (hash a body, write it, join parts) asks
for it by `in_thread`: the first time that ends the function, the work is done in a thread, and the request is handled
again from its beginning, with the result at hand. So a function asks before it changes anything.
"""

import asyncio
import contextlib
import functools
import hashlib
import threading
import uuid
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from localcloud.ministack import crc
from localcloud.ministack.private_names import find_names
from localcloud.ministack.s3_files import LARGE, FileBytes, write
from localcloud.settings import DiskError

_SENT_BYTES = 256 * 1024

_NAMES = ("handle_request", "md5_hash", "_compute_s3_checksum", "_crc32c", "_crc64nvme", "_qp")


class _Request:
    """One request to S3 that is being handled."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.results: dict[Any, Any] = {}
        self.files: list[Path] = []
        self.after: list[Callable[[], None]] = []
        self.thread: int | None = threading.get_ident()

    def end(self) -> None:
        """Remove the temporary files and do what was left for the end."""
        for file in self.files:
            file.unlink(missing_ok=True)
        for work in self.after:
            work()


class _UnfinishedError(BaseException):
    """Ends the handling of a request until `work` was done. Not an Exception, which MiniStack would answer with 500."""

    def __init__(self, key: Any, work: Callable[[], Any]) -> None:
        super().__init__(key)
        self.key, self.work = key, work


_request: ContextVar[_Request | None] = ContextVar("request", default=None)


def _handled() -> _Request | None:
    """The request that this thread handles. Threads that a request starts, such as for its event, handle none."""
    request = _request.get()
    return request if request is not None and request.thread == threading.get_ident() else None


def in_request() -> bool:
    """Whether this thread handles a request to S3."""
    return _handled() is not None


def in_thread(key: Any, work: Callable[[], Any]) -> Any:
    """What `work()` returns, which is called in a thread, once in a request for each `key`.

    Outside of a request it is called at once. What it raises is the request's error.
    """
    request = _handled()
    if request is None:
        return work()
    if key not in request.results:
        raise _UnfinishedError(key, work)
    return request.results[key]


def afterwards(work: Callable[[], None]) -> None:
    """Call `work()` in a thread once the request has been handled, before it is answered."""
    request = _handled()
    if request is None:
        work()
    else:
        request.after.append(work)


def temporary(folder: Path) -> Path:
    """A new path in `folder`, whose file is removed when the request has been handled."""
    path = folder / f"{uuid.uuid4().hex}.temporary"
    request = _request.get()
    if request is not None:
        request.files.append(path)
    return path


def free_later(path: Path, folder: Path) -> None:
    """Leave the work of freeing a large file, which is about to lose its name, to a thread; its bytes are in `folder`
    until the request has been handled. Without effect on other files.
    """
    with contextlib.suppress(OSError):
        if in_request() and path.stat().st_size >= LARGE:
            temporary(folder).hardlink_to(path)


def on_disk(data: Any, folder: Path) -> Any:
    """The same bytes; of a large body of the request, or of a part of a file, in a temporary file in `folder`.

    DiskError if the disk refuses.
    """
    if not is_long(data) or (isinstance(data, FileBytes) and data.whole):
        return data

    def work() -> FileBytes:
        path = temporary(folder)
        try:
            write(path, _pieces(data))
            return FileBytes(path)
        except OSError as error:
            raise DiskError(f"{path} could not be written: {error.strerror or error}") from error

    return in_thread(("on disk", _identity(data)), work)


def is_long(data: Any) -> bool:
    """Whether work on these bytes belongs in a thread: a large body of the request, or of a file."""
    request = _handled()
    return isinstance(data, FileBytes) or (request is not None and data is request.body and len(data) >= LARGE)


def install(s3: Any, streaming: Callable[[Any], Any]) -> None:
    """Patch ministack.services.s3; `streaming` makes an answer's body of a function that sends its pieces."""
    find_names(s3, *_NAMES)
    handle_request = s3.handle_request
    locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @functools.wraps(handle_request)
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], *more: Any, **options: Any
    ) -> Any:
        """Answer a request to S3. Those that change the same upload in parts are handled one after the other."""
        request = _Request(body)
        token = _request.set(request)
        upload = s3._qp(query, "uploadId") if method != "GET" else ""
        lock = locks.setdefault(upload, asyncio.Lock()) if upload else asyncio.Lock()
        try:
            async with lock:
                while True:
                    try:
                        answer = await handle_request(method, path, headers, body, query, *more, **options)
                        break
                    except _UnfinishedError as unfinished:
                        request.results[unfinished.key] = await asyncio.to_thread(unfinished.work)
        finally:
            _request.reset(token)
            request.thread = None
            if request.files or request.after:
                await asyncio.to_thread(request.end)
        status, answered, data = answer
        if not isinstance(data, FileBytes):
            return answer
        return status, answered, bytes(data) if options.get("internal") else streaming(_sender(data))

    s3.handle_request = handle
    _hash_in_threads(s3)


def _sender(data: FileBytes) -> Callable[[Any, Any], Any]:
    """The function that sends a file's bytes as the body of an answer, as fast as the client takes them."""

    async def send_pieces(send: Any, _receive: Any) -> None:
        for piece in data.pieces(_SENT_BYTES):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return send_pieces


def _hash_in_threads(s3: Any) -> None:
    """Patch MiniStack's functions that hash a body."""
    md5_hash, checksum = s3.md5_hash, s3._compute_s3_checksum

    @functools.wraps(md5_hash)
    def md5(data: Any) -> Any:
        """The MD5 of bytes, in hex."""
        if not is_long(data):
            return md5_hash(data)
        return in_thread(("MD5", _identity(data)), lambda: _digest("MD5", data).hexdigest())

    @functools.wraps(checksum)
    def compute(algorithm: str, data: Any) -> Any:
        """The checksum of bytes in base64; None for an algorithm that S3 does not have."""
        if not is_long(data) or checksum(algorithm, b"") is None:
            return checksum(algorithm, data)
        name = algorithm.upper().replace("_", "")
        return in_thread((name, _identity(data)), lambda: _checksum(name, data))

    s3.md5_hash, s3._compute_s3_checksum = md5, compute
    s3._crc32c = lambda body: crc.checksum("CRC32C", [body])
    s3._crc64nvme = lambda body: crc.checksum("CRC64NVME", [body])


def _identity(data: Any) -> Any:
    return data.identity if isinstance(data, FileBytes) else id(data)


def _pieces(data: Any) -> Iterator[Any]:
    yield from data.pieces() if isinstance(data, FileBytes) else (data,)


def _digest(name: str, data: Any) -> Any:
    digest = hashlib.new(name, usedforsecurity=False)
    for piece in _pieces(data):
        digest.update(piece)
    return digest


def _checksum(name: str, data: Any) -> str:
    """A checksum of S3 in base64."""
    if name in ("SHA1", "SHA256"):
        return b64encode(_digest(name, data).digest()).decode()
    found = _crc32(_pieces(data)) if name == "CRC32" else crc.checksum(name, _pieces(data))
    return b64encode(found.to_bytes(crc.POLYNOMIALS[name][0] // 8, "big")).decode()


def _crc32(pieces: Iterator[Any]) -> int:
    return functools.reduce(lambda known, piece: zlib.crc32(piece, known), pieces, 0)
