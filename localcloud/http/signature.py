"""Signature Version 4 of a request, in its header or in a presigned URL, and Version 2 of presigned S3 URLs.

Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html and, for Version 2,
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html. The tests compare with botocore's signers.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote

from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import HTTPHeaders
from botocore.credentials import Credentials
from botocore.utils import normalize_url_path

_ALGORITHM = "AWS4-HMAC-SHA256"
_MOST_SECONDS_APART = 15 * 60
_LONGEST_EXPIRES = 7 * 24 * 3600
_DATE = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,15}")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")


class SignatureError(Exception):
    """A request is not signed as it has to be. `kind` is a key of SIGNATURE_CODES."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Key:
    """What an access key is checked against. `token` is None for keys that are not temporary.

    `visitor` marks the owner of another account, who may ask for what has policies only.
    """

    secret: str
    token: str | None = None
    visitor: bool = False


@dataclass(frozen=True)
class Request:
    """A request as it arrived: the path is still percent-encoded, header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @classmethod
    def of_scope(cls, scope: Mapping[str, Any]) -> "Request":
        """The request of an ASGI scope; a header on several lines is one with its values joined by commas."""
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]},{text}" if key in headers else text
        path = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
        return cls(scope["method"], path, scope.get("query_string", b"").decode("latin-1"), headers)


@dataclass(frozen=True)
class Signature:
    """What a request says of its signature. `expires` is in seconds and set for presigned requests only."""

    access_key: str
    service: str
    value: str
    token: str = ""
    region: str = ""
    date: str = ""
    """As in X-Amz-Date: 20261125T221500Z. Of Version 2: when the URL expires, in epoch seconds."""
    signed_headers: tuple[str, ...] = ()
    expires: int | None = None
    version: int = 4


def read(request: Request) -> Signature:
    """The signature of a request; SignatureError if there is none or a part of it is missing."""
    authorization = request.headers.get("authorization", "")
    if authorization:
        if not authorization.startswith(_ALGORITHM + " "):
            raise SignatureError(
                "incomplete", f"Sign with {_ALGORITHM}: {authorization.split(' ')[0][:40]!r} is refused."
            )
        parts = dict(part.strip().partition("=")[::2] for part in authorization[len(_ALGORITHM) :].split(","))
        given = {**parts, "Date": request.headers.get("x-amz-date", "")}
        return _read(given, request.headers, request.headers.get("x-amz-security-token", ""), None)
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    if query.get("X-Amz-Algorithm") == _ALGORITHM:
        given = {name: query.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature", "Date")}
        expires = query.get("X-Amz-Expires", "")
        if not _SECONDS.fullmatch(expires) or not 1 <= int(expires) <= _LONGEST_EXPIRES:
            raise SignatureError(
                "incomplete URL", f"X-Amz-Expires={expires[:20]}: must be from 1 to {_LONGEST_EXPIRES}."
            )
        return _read(given, request.headers, query.get("X-Amz-Security-Token", ""), int(expires))
    if "AWSAccessKeyId" in query and "Signature" in query:
        expires = query.get("Expires", "")
        if not _SECONDS.fullmatch(expires):
            raise SignatureError("incomplete URL", f"Expires={expires[:20]}: must be a time in epoch seconds.")
        token = query.get("x-amz-security-token", "")
        return Signature(query["AWSAccessKeyId"], "s3", query["Signature"], token, date=expires, version=2)
    raise SignatureError("missing", "Request is missing Authentication Token: it is not signed.")


def _read(given: Mapping[str, str], headers: Mapping[str, str], token: str, expires: int | None) -> Signature:
    """Return the signature in the header or query `given`; SignatureError when a part is missing or malformed."""
    missing = [name for name in ("Credential", "SignedHeaders", "Signature", "Date") if not given.get(name)]
    if missing:
        raise SignatureError("incomplete", f"The signature lacks {', '.join(missing)}.")
    scope = given["Credential"].split("/")
    if len(scope) != 5 or scope[4] != "aws4_request" or scope[1] != given["Date"][:8]:
        raise SignatureError("incomplete", f"The credential scope {given['Credential'][:100]!r} is malformed.")
    names = tuple(given["SignedHeaders"].split(";"))
    unsigned = sorted(name for name in headers if (name == "host" or name.startswith("x-amz-")) and name not in names)
    if unsigned:
        raise SignatureError("incomplete", f"These headers must be signed: {', '.join(unsigned)}.")
    return Signature(scope[0], scope[3], given["Signature"], token, scope[2], given["Date"], names, expires)


@lru_cache(64)
def _epoch_seconds(date: str) -> float | None:
    try:
        return datetime.fromisoformat(date).timestamp() if _DATE.fullmatch(date) else None
    except ValueError:
        return None


def check_time(signature: Signature, now: float | None = None) -> None:
    """SignatureError if the signature was made too long ago, or is of the future; `now` in epoch seconds."""
    now = time.time() if now is None else now
    if signature.version == 2:
        if now > int(signature.date):
            raise SignatureError("expired URL", "Request has expired")
        return
    made = _epoch_seconds(signature.date)
    if made is None:
        raise SignatureError("incomplete", f"X-Amz-Date={signature.date[:40]}: must look like 20261125T221500Z.")
    latest = made + (_MOST_SECONDS_APART if signature.expires is None else signature.expires)
    if now > latest:
        if signature.expires is not None:
            raise SignatureError("expired URL", "Request has expired")
        raise SignatureError("expired", "The signature has expired.")
    if made > now + _MOST_SECONDS_APART:
        raise SignatureError("expired", f"The signature is of the future ({signature.date}): set the clock.")


def check(request: Request, signature: Signature, key: Key, body_digest: str) -> None:
    """SignatureError unless `key` signed this request; `body_digest` is the SHA-256 of the body, in hex."""
    if not hmac.compare_digest((key.token or "").encode(), signature.token.encode()):
        raise SignatureError("token", "The security token included in the request is invalid.")
    if signature.version == 2:
        expected = _version_2(request, signature, key)
    else:
        expected = _version_4(request, signature, key, body_digest)
    if not hmac.compare_digest(expected.encode(), signature.value.encode()):
        raise SignatureError(
            "mismatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )


def _version_4(request: Request, signature: Signature, key: Key, body_digest: str) -> str:
    """Return the hexadecimal Version 4 signature that the request must have; `body_digest` is its body's SHA-256."""
    declared = request.headers.get("x-amz-content-sha256", "")
    if signature.service == "s3":
        # Presigned URLs leave the body open; UNSIGNED-PAYLOAD and the STREAMING forms are signed as they are written.
        payload = "UNSIGNED-PAYLOAD" if signature.expires is not None else declared or body_digest
    else:
        payload = declared or body_digest
    if _HEX_DIGEST.fullmatch(payload) and payload != body_digest:
        raise SignatureError("mismatch", "The body is not the one that was signed: its SHA-256 is another.")
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signature.signed_headers
    )
    canonical = "\n".join(
        [
            request.method,
            _path(request.path, signature.service),
            _query(request.query),
            headers,
            ";".join(signature.signed_headers),
            payload,
        ]
    )
    day = signature.date[:8]
    scope = f"{day}/{signature.region}/{signature.service}/aws4_request"
    text = "\n".join([_ALGORITHM, signature.date, scope, hashlib.sha256(canonical.encode("latin-1")).hexdigest()])
    derived = signing_key(key.secret, day, signature.region, signature.service)
    return hmac.digest(derived, text.encode(), "sha256").hex()


def _path(path: str, service: str) -> str:
    """The path as it is signed: for S3 as it was sent, for others without dot segments and encoded once more."""
    return path if service == "s3" else quote(normalize_url_path(path), safe="/~")


def _query(query: str) -> str:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    encoded = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs if name != "X-Amz-Signature")
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encoded(text: str) -> str:
    return quote(unquote(text, "latin-1"), safe="-_.~", encoding="latin-1")


@lru_cache(256)
def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """Return the key that signs the requests of a day (20261125) to a service."""
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


class _Version2(HmacV1QueryAuth):  # type: ignore[misc]  # botocore has no types
    """botocore's signer, for a time of expiry that is given."""

    def __init__(self, credentials: Credentials, expires: str) -> None:
        super().__init__(credentials)
        self._at = expires

    def _get_date(self) -> str:
        return self._at


def _version_2(request: Request, signature: Signature, key: Key) -> str:
    """Return the Version 2 signature that a presigned request to S3 must have."""
    headers = HTTPHeaders()
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    for name, value in {**query, **request.headers}.items():
        if name.startswith("x-amz-") or name in ("content-md5", "content-type"):
            headers[name] = value
    signer = _Version2(Credentials(signature.access_key, key.secret, key.token), signature.date)
    place = SplitResult("http", "host", request.path, request.query, "")
    return str(signer.get_signature(request.method, place, headers))
