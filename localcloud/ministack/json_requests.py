"""Requests of AWS JSON go straight to their service.

Unpatched, MiniStack asks first whether a request is one of some sixty other things, and writes headers that AWS sends
for S3 only. An execution of three tasks is described four times on its way.
"""

import json
import logging
import re
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from localcloud.api.asgi import App, Receive, Scope, Send
from localcloud.ministack.private_names import find_names

logger = logging.getLogger("localcloud")

_TOO_DEEP = "A document in the request is nested too deeply."
_HOST = re.compile(r"(localhost|127\.0\.0\.1)(:\d+)?")
_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/")


def install(main: Any, modules: Mapping[str, Any]) -> App:
    """MiniStack's application, which answers POST requests to `/` with X-Amz-Target without asking what else they are.

    Where MiniStack checks policies itself (`AUTH`), that is the application as it was.
    """
    router, responses = modules["core.router"], modules["core.responses"]
    find_names(main, "app", "SERVICE_HANDLERS", "AUTH", "_send_streaming_response")
    find_names(router, "SERVICE_PATTERNS")
    kinds = ("expected_success_content_type", "expected_error_content_type")
    find_names(responses, *kinds, "set_request_account_id", "set_request_region", "StreamingResponse")
    app: App = main.app
    if main.AUTH:
        return app

    @lru_cache(1024)
    def service_of(target: str) -> str | None:
        """The service that an operation belongs to."""
        for service, patterns in router.SERVICE_PATTERNS.items():
            if target.startswith(tuple(patterns.get("target_prefixes", ()))):
                return str(service)
        return None

    @lru_cache(1024)
    def content_type(service: str, failed: bool, given: str) -> str:
        """The Content-Type of an answer on AWS."""
        return str(getattr(responses, kinds[failed])(service, given) or given)

    async def direct(scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the body comes in one piece."""
        headers = _headers(scope)
        signed = headers and _CREDENTIAL.match(headers.get("authorization", ""))
        service = signed and service_of(headers["x-amz-target"])
        if not (headers and signed and service):
            await app(scope, receive, send)
            return
        responses.set_request_account_id(signed[1])
        responses.set_request_region(signed[2])
        body = (await receive())["body"]
        try:
            status, answered, answer = await main.SERVICE_HANDLERS[service]("POST", "/", headers, body, {})
        except RecursionError:
            # The body itself is not: the front door has looked. A document within one of its strings is.
            said = json.dumps({"__type": "SerializationException", "message": _TOO_DEEP}).encode()
            status, answered, answer = 400, {"Content-Type": "application/json"}, said
        except Exception as error:
            logger.exception("%s failed", headers["x-amz-target"])
            said = json.dumps({"__type": "InternalError", "message": str(error)}).encode()
            status, answered, answer = 500, {"Content-Type": "application/json"}, said
        if given := answered.get("Content-Type"):
            answered["Content-Type"] = content_type(service, status >= 400, given)
        answered["x-amzn-requestid"] = str(uuid.uuid4())
        if isinstance(answer, responses.StreamingResponse):
            await main._send_streaming_response(send, receive, status, answered, answer)
        else:
            await _send(send, status, answered, answer)

    return direct


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes | str) -> None:
    """Send a whole answer."""
    data = body.encode() if isinstance(body, str) else body
    named = {name.lower(): value for name, value in headers.items()} | {"content-length": str(len(data))}
    listed = [(name.encode(), value.encode()) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": data})


def _headers(scope: Scope) -> dict[str, str]:
    """The headers of a request of AWS JSON by name; none if it is no such request, or has a compressed body."""
    if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != "/" or scope.get("query_string"):
        return {}
    headers = {name.decode("latin-1"): value.decode("utf-8", "replace") for name, value in scope["headers"]}
    plain = "x-amz-target" in headers and "content-encoding" not in headers and len(headers) == len(scope["headers"])
    return headers if plain and _HOST.fullmatch(headers.get("host", "")) else {}
