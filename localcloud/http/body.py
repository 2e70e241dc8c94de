"""Request bodies: read piece by piece up to a limit, hashed meanwhile, and checked for how deep they are nested."""

import hashlib
import re
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from localcloud.api.asgi import Receive

_MIB = 1024 * 1024
# Of S3's single put AWS takes 5 GiB; clients send what is larger than 8 MiB in parts.
MOST_BYTES_S3 = 128 * _MIB
# A function's archive is at most 50 MiB, in base64.
MOST_BYTES_LAMBDA = 70 * _MIB
MOST_BYTES = 8 * _MIB
MOST_LEVELS = 100

_TEXT = re.compile(rb'"[^"]*"?')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class BodyError(Exception):
    """A body that is not taken. `code` is AWS's, `status` that of HTTP."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class GoneError(Exception):
    """The client has closed the connection before its body was whole."""


@dataclass(frozen=True)
class Body:
    """A whole body and its SHA-256 in hex."""

    data: bytes
    digest: str

    def receive(self, receive: Receive) -> Receive:
        """An ASGI `receive` that gives this body, then what the server's own gives (that the client has gone)."""
        given = False

        async def replay() -> Any:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": self.data, "more_body": False}

        return replay


def most_bytes(service: str, path: str) -> int:
    """The limit of a request to a service (of its signature's scope)."""
    if service == "s3":
        return MOST_BYTES_S3
    return MOST_BYTES_LAMBDA if service == "lambda" and "/functions" in path else MOST_BYTES


async def read_body(receive: Receive, declared: str | None, most: int) -> Body:
    """Read a whole body; BodyError above `most` bytes (before reading, where Content-Length says so)."""
    if declared is not None and declared.isdecimal() and int(declared) > most:
        raise _too_large(int(declared), most)
    digest = hashlib.sha256()
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(size, most)
        digest.update(part)
        parts.append(part)
        more = message.get("more_body", False)
    return Body(parts[0] if len(parts) == 1 else b"".join(parts), digest.hexdigest())


def _too_large(size: int, most: int) -> BodyError:
    return BodyError(
        "RequestEntityTooLarge", f"The body has {size} bytes or more; the local cloud takes up to {most} here.", 413
    )


def check_nesting(data: bytes) -> None:
    """BodyError if JSON is nested deeper than 100 levels, which no request of AWS's is."""
    if data.count(b"{") + data.count(b"[") <= MOST_LEVELS:
        return
    # Without what is escaped a quotation mark is one that begins or ends a text.
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = _TEXT.sub(b"", plain).translate(None, _NO_BRACKETS)
    deepest = max(accumulate(1 if bracket in b"{[" else -1 for bracket in brackets), default=0)
    if deepest > MOST_LEVELS:
        raise BodyError("SerializationException", f"The body is nested more than {MOST_LEVELS} levels deep.", 400)


def check_function(path: str, data: bytes) -> None:
    """BodyError if the configuration of a Lambda function has a null character, which no variable can hold."""
    if "/functions" in path and not path.endswith("/invocations") and b"\\u0000" in data:
        message = "The configuration of a function must not contain the null character: a variable cannot hold it."
        raise BodyError("InvalidParameterValueException", message, 400)
