"""Bodies in signed chunks (aws-chunked): each chunk's signature follows from that of the one before it.

Also the trailer behind the last chunk, which has the body's checksum. What services read of such a body, and whether
that checksum is right, is up to them.

Sources: Amazon S3 API Reference, "Signature calculations for the Authorization header: transferring payload in
multiple chunks (chunked upload)" and "... including trailing headers (chunked upload)".
"""

import hashlib
import hmac
import re
from collections.abc import Iterator

from localcloud.http.body import BodyError
from localcloud.http.signature import Key, Request, Signature, SignatureError, signing_key

UNSIGNED, SIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = f"{SIGNED}-TRAILER"
_FORMS = UNSIGNED, SIGNED, SIGNED_TRAILER
_DIGEST = re.compile(r"[0-9a-f]{64}")
_EMPTY = hashlib.sha256(b"").hexdigest()
_HEAD = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?")
_MOST_HEAD_BYTES = 100
_TRAILER = re.compile(rb"x-amz-checksum-[a-z0-9]{1,16}")
_OF_TRAILER = b"x-amz-trailer-signature"


def form_of_chunks(request: Request) -> str:
    """How the chunks of the body are signed, as x-amz-content-sha256 says; "" if the body is not in chunks.

    BodyError if it says something else than AWS knows, such as a digest in capitals: nothing would compare the body.
    """
    declared = request.headers.get("x-amz-content-sha256", "")
    if declared in _FORMS:
        return declared
    if declared and declared != "UNSIGNED-PAYLOAD" and not _DIGEST.fullmatch(declared):
        forms = ", ".join(("UNSIGNED-PAYLOAD", *_FORMS))
        message = f"x-amz-content-sha256 must be {forms}, or a valid sha256 value; it is {declared[:100]!r}."
        raise BodyError("InvalidArgument", message, 400)
    # The emulator takes these bodies apart as well.
    encoded = "aws-chunked" in request.headers.get("content-encoding", "")
    return UNSIGNED if encoded or request.headers.get("x-amz-decoded-content-length") else ""


def check_chunks(request: Request, signature: Signature, key: Key, body: bytes) -> None:
    """SignatureError unless `key` signed each chunk and the trailer; BodyError if the body is not in chunks.

    `signature` is that of the request, which has been checked. Chunks that are declared unsigned have no signatures.
    """
    form = form_of_chunks(request)
    chain = _Chain(signature, key)
    view = memoryview(body)
    end = 0
    for start, end, given in _chunks(body):
        if form != UNSIGNED:
            chain.check("PAYLOAD", f"{_EMPTY}\n{hashlib.sha256(view[start:end]).hexdigest()}", given)
    announced = {name.strip().lower() for name in request.headers.get("x-amz-trailer", "").split(",") if name.strip()}
    twice = sorted(announced & set(request.headers))
    if twice:
        # The emulator would compare the header's and not the trailer's.
        message = f"Expecting a single x-amz-checksum- header: {', '.join(twice)} is in the head and in the trailer."
        raise BodyError("InvalidRequest", message, 400)
    trailer, given = _trailer(body[end:], announced)
    if form == SIGNED_TRAILER:
        chain.check("TRAILER", hashlib.sha256(trailer).hexdigest(), given)


class _Chain:
    """The signatures of a body's chunks, the first of which follows from the request's."""

    def __init__(self, signature: Signature, key: Key) -> None:
        self._scope = f"{signature.date[:8]}/{signature.region}/{signature.service}/aws4_request"
        self._date, self._previous = signature.date, signature.value
        self._key = signing_key(key.secret, signature.date[:8], signature.region, signature.service)

    def check(self, kind: str, digests: str, given: bytes) -> None:
        """SignatureError unless the next signature, of PAYLOAD or TRAILER, is the given one."""
        text = "\n".join([f"AWS4-HMAC-SHA256-{kind}", self._date, self._scope, self._previous, digests])
        self._previous = hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(self._previous.encode(), given):
            part = "chunk of the body" if kind == "PAYLOAD" else "trailer of the body"
            raise SignatureError(
                "mismatch",
                f"The signature of a {part} does not match what we calculated of it: it was changed on its way, or "
                "signed with another key.",
            )


def _chunks(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Where each chunk begins and ends, and its signature (or b""); the last one is empty, its end that of its line.

    BodyError if there is no last one, or one has another length than its line says.
    """
    at = 0
    while True:
        end = body.find(b"\r\n", at, at + _MOST_HEAD_BYTES)
        head = _HEAD.fullmatch(body[at:end]) if end >= 0 else None
        if head is None:
            raise _incomplete(f"at byte {at} there is no chunk")
        size, start = int(head[1], 16), end + 2
        if size == 0:
            yield start, start, head[2] or b""
            return
        if body[start + size : start + size + 2] != b"\r\n":
            raise _incomplete(f"the chunk at byte {at} does not end after {size} bytes")
        yield start, start + size, head[2] or b""
        at = start + size + 2


def _trailer(rest: bytes, announced: set[str]) -> tuple[bytes, bytes]:
    """The checksums behind the last chunk as they are signed, and the trailer's signature (or b"").

    BodyError unless they are those that x-amz-trailer announces: other headers there would not be the request's.
    """
    if not rest.endswith(b"\r\n"):
        raise _incomplete("the empty line at its end is missing")
    signed, signature, names = b"", b"", set()
    for line in rest.split(b"\r\n"):
        name, colon, value = line.strip().partition(b":")
        name, value = name.strip().lower(), value.strip()
        if not line.strip():
            continue
        if colon and name == _OF_TRAILER and not signature:
            signature = value
        elif colon and _TRAILER.fullmatch(name) and name.decode() in announced and name not in names:
            names.add(name)
            signed += b"%s:%s\n" % (name, value)
        else:
            raise BodyError(
                "MalformedTrailerError",
                f"The trailer has the line {line[:100]!a}: it may have each checksum once that x-amz-trailer announces "
                f"({', '.join(sorted(announced)) or 'none'}).",
                400,
            )
    missing = announced - {name.decode() for name in names}
    if missing:
        raise BodyError("MalformedTrailerError", f"The trailer lacks {', '.join(sorted(missing))}.", 400)
    return signed, signature


def _incomplete(what: str) -> BodyError:
    return BodyError("IncompleteBody", f"The body is not in chunks as its headers say: {what}.", 400)
