"""Errors of the port itself, in the form that the client of each of AWS's protocols reads."""

import json
from collections.abc import Mapping
from xml.sax.saxutils import escape

from localcloud.api.asgi import Send

# What is wrong with a signature: its codes in JSON protocols, in the query protocol, and in S3.
SIGNATURE_CODES = {
    "missing": ("MissingAuthenticationTokenException", "MissingAuthenticationToken", "AccessDenied"),
    "incomplete": ("IncompleteSignatureException", "IncompleteSignature", "AuthorizationHeaderMalformed"),
    "incomplete URL": ("IncompleteSignatureException", "IncompleteSignature", "AuthorizationQueryParametersError"),
    "unknown": ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"),
    "token": ("UnrecognizedClientException", "InvalidClientTokenId", "InvalidToken"),
    "expired": ("InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"),
    "expired URL": ("InvalidSignatureException", "SignatureDoesNotMatch", "AccessDenied"),
    "mismatch": ("InvalidSignatureException", "SignatureDoesNotMatch", "SignatureDoesNotMatch"),
}


def protocol(headers: Mapping[str, str], path: str, service: str = "") -> str:
    """Which form a client expects: json, rest-json, query or s3. `service` is that of the signature's scope, if any."""
    if "x-amz-target" in headers:
        return "json"
    if "x-www-form-urlencoded" in headers.get("content-type", "") and service != "s3":
        return "query"
    if service not in ("", "s3") or path.startswith(("/_localcloud/", "/endpoints/")):
        return "rest-json"
    return "s3"


async def answer_error(send: Send, form: str, code: str, message: str, status: int) -> None:
    """Send an error; `form` is what `protocol` gives."""
    headers: list[tuple[bytes, bytes]] = []
    if form in ("json", "rest-json"):
        data = json.dumps({"__type": code, "message": message}).encode()
        headers.append((b"x-amzn-errortype", code.encode()))
        kind = b"application/x-amz-json-1.1" if form == "json" else b"application/json"
    else:
        error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
        # S3 has the error at the root, the query protocol inside of an ErrorResponse.
        text = f"<Error>{error}</Error>" if form == "s3" else f"<ErrorResponse><Error>{error}</Error></ErrorResponse>"
        data, kind = text.encode(), b"application/xml"
    headers += [(b"content-type", kind), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


def signature_code(kind: str, form: str) -> str:
    """The code of what is wrong with a signature, in a form."""
    json_code, query, s3 = SIGNATURE_CODES[kind]
    return {"query": query, "s3": s3}.get(form, json_code)
