"""Request bodies: read piece by piece up to a limit, hashed meanwhile, and checked for what no service can read."""

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote_to_bytes

from localcloud.api.asgi import Receive

_MIB = 1024 * 1024
# Of S3's single put AWS takes 5 GiB; clients send what is larger than 8 MiB in parts.
MOST_BYTES_S3 = 128 * _MIB
# A function's archive is at most 50 MiB, in base64.
MOST_BYTES_LAMBDA = 70 * _MIB
MOST_BYTES = 8 * _MIB
MOST_BYTES_ANSWER_TO_STACK = 64 * 1024
"""AWS takes 4 KiB."""
MOST_LEVELS = 100

MOST_KEY_BYTES = 1024
"""Source: Amazon S3 User Guide, "Naming Amazon S3 objects"."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # XML 1.0, "Characters"
_TEXT = re.compile(rb'"[^"]*"?')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


_JSON = json.JSONDecoder(parse_constant=_not_json)


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
    if declared is not None and declared.isdecimal() and (len(declared) > 20 or int(declared) > most):
        raise _too_large(declared[:20], most)
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


def decoded(headers: Mapping[str, str], service: str, data: bytes) -> bytes:
    """The body of a request as its service reads it; `headers` by their names in lower case.

    Clients compress what CloudWatch's PutMetricData sends, and nothing else (the trait requestCompression in botocore's
    models). BodyError for what is not gzip or unpacks to more than 8 MiB, and for CBOR, which no service here reads.
    """
    if headers.get("smithy-protocol") == "rpc-v2-cbor" or (
        service == "monitoring" and "cbor" in headers.get("content-type", "")
    ):
        message = "The local cloud reads no CBOR: let the client use AWS JSON or the query protocol."
        raise BodyError("SerializationException", message, 415)
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if service != "monitoring" or encoding == "identity":
        return data
    if encoding != "gzip":
        raise BodyError(
            "SerializationException", f"Content-Encoding {encoding[:100]!r}: must be gzip or left out.", 415
        )
    unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        whole = unpacking.decompress(data, MOST_BYTES + 1)
    except zlib.error as error:
        raise BodyError("SerializationException", f"The body is no gzip: {error}.", 400) from None
    if len(whole) > MOST_BYTES:
        raise _too_large(len(whole), MOST_BYTES)
    if not unpacking.eof or unpacking.unused_data:
        raise BodyError("SerializationException", "The body is cut off, or more than one gzip stream.", 400)
    return whole


def _too_large(size: int | str, most: int) -> BodyError:
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


def check_json(data: bytes) -> dict[str, Any]:
    """The body of a request of AWS JSON; BodyError unless it is empty, or an object of Unicode text with plain names.

    The services behind read on as if nothing was sent, or fail, where it is something else.
    """
    check_nesting(data)
    try:
        document = _JSON.decode(data.decode()) if data.strip() else {}
    except ValueError as error:
        raise BodyError("SerializationException", f"The body is not JSON in UTF-8: {error}.", 400) from None
    if not isinstance(document, dict):
        raise BodyError("SerializationException", "The body is JSON, but no object.", 400)
    if b"\\u" not in data:
        return document  # without an escape there is neither half of a surrogate pair nor a control character in a text
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        message = "The body has half of a surrogate pair (\\ud800 to \\udfff), which is no Unicode text."
        raise BodyError("SerializationException", message, 400) from None
    for member, value in document.items():
        if member.lower().endswith("name") and isinstance(value, str) and _CONTROL.search(value):
            raise BodyError("ValidationException", f"Value {value!a:.100} at {member!r} has a control character.", 400)
    return document


def check_form(data: bytes) -> None:
    """BodyError if a value of the query protocol is not Unicode text that XML can hold, or JSON nested too deep.

    The answers are XML: what it cannot hold would make every later list of the service unreadable.
    """
    for member, value in parse_qsl(data.decode(errors="replace"), errors="surrogateescape", separator="&"):
        if _NOT_XML.search(member) or _NOT_XML.search(value):
            raise BodyError("ValidationError", f"The value of {member!a:.100} is no text that XML can hold.", 400)
        if value.lstrip()[:1] in ("{", "["):
            check_nesting(value.encode())


def check_key(raw_path: bytes) -> None:
    """BodyError if a path of S3, percent-encoded, is not UTF-8, or names a key of more than 1,024 bytes."""
    path = unquote_to_bytes(raw_path)
    try:
        path.decode()
    except UnicodeDecodeError:
        raise BodyError("InvalidURI", "Couldn't parse the specified URI.", 400) from None
    if len(path.split(b"/", 2)[-1]) > MOST_KEY_BYTES:
        raise BodyError("KeyTooLongError", "Your key is too long", 400)


def check(form: str, service: str, path: str, raw_path: bytes, data: bytes) -> dict[str, Any] | None:
    """BodyError if a service cannot read a request; `form` is what `errors.protocol` gives.

    The body as a document where it is AWS JSON.
    """
    document = None
    if form == "json":
        document = check_json(data)
    elif form == "query":
        check_form(data)
    elif form == "s3":
        check_key(raw_path)
    elif not path.startswith("/endpoints/"):  # a container reads what it likes
        check_nesting(data)
    if service == "lambda":
        check_function(path, data)
    return document


def check_function(path: str, data: bytes) -> None:
    """BodyError if the configuration of a Lambda function has a null character, which no variable can hold."""
    if "/functions" in path and not path.endswith("/invocations") and b"\\u0000" in data:
        message = "The configuration of a function must not contain the null character: a variable cannot hold it."
        raise BodyError("InvalidParameterValueException", message, 400)
