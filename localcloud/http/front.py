"""The ASGI application on the port: only signed requests of this machine, our own paths, MiniStack behind them."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from localcloud.api import OPERATIONS
from localcloud.api.asgi import App, Receive, Scope, Send, answer_json
from localcloud.http.body import MOST_BYTES_ANSWER_TO_STACK, BodyError, GoneError, decoded, most_bytes, read_body
from localcloud.http.body import check as check_body
from localcloud.http.chunks import check_chunks, form_of_chunks
from localcloud.http.errors import answer_error, protocol, signature_code
from localcloud.http.guard import answers_stack, refusal
from localcloud.http.members import check_members
from localcloud.http.signature import Key, Request, SignatureError, check, check_time, read
from localcloud.settings import DiskError

_INVOCATIONS = re.compile(r"^/endpoints/([^/]+)/(?:async-)?invocations$")
_HEALTH = "/_localcloud/health"
_PLAIN_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)


class Front:
    """Answers `/_localcloud/...` and InvokeEndpoint(Async); hands everything else to the emulator.

    `key_of(access key)` gives what a signature is checked against, or raises SignatureError.
    """

    def __init__(
        self,
        emulator: App,
        invoke: Callable[[str, Scope, Receive, Send], Awaitable[None]],
        key_of: Callable[[str], Key],
        access: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        self._emulator = emulator
        self._invoke = invoke
        self._key_of = key_of
        self._access = access
        self.ready: dict[str, Any] | None = None
        """The answer of the health page, once everything is there."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (or the lifespan of the server). WebSockets are refused."""
        if scope["type"] == "lifespan":
            await self._emulator(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request.of_scope(scope)
        path = scope["path"]
        refused = refusal(request.method, path, request.query, request.headers)
        if refused is not None:
            await answer_json(send, 403, {"message": refused})
        elif path == _HEALTH:
            ready = self.ready
            await answer_json(send, 200 if ready else 503, ready or {"status": "starting"})
        elif answers_stack(request.method, path):
            await self._answer_stack(request, scope, receive, send)
        else:
            await self._signed(request, scope, receive, send)

    async def _answer_stack(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the answer of a custom resource. Nobody signed it, so it must be small."""
        try:
            body = await read_body(receive, request.headers.get("content-length"), MOST_BYTES_ANSWER_TO_STACK)
        except BodyError as error:
            await answer_json(send, error.status, {"message": str(error)})
        except GoneError:
            return
        else:
            await self._emulator(scope, body.receive(receive), send)

    async def _signed(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the signature, then serve. An unsigned request is refused before its body is read."""
        path, service = scope["path"], ""
        try:
            signature = read(request)
            service = signature.service
            check_time(signature)
            key = self._key_of(signature.access_key)
            body = await read_body(receive, request.headers.get("content-length"), most_bytes(service, path))
            check(request, signature, key, body.digest)
            if form_of_chunks(request):
                await asyncio.to_thread(check_chunks, request, signature, key, body.data)
            form = protocol(request.headers, path, service)
            if key.visitor and not _is_for_visitors(service, path, request.headers):
                denied = f"Account {signature.access_key} may ask here for what the policies of S3 and SageMaker allow."
                await answer_error(send, form, "AccessDenied", denied, 403)
                return
            data = decoded(request.headers, service, body.data)
            document = check_body(form, service, path, scope["raw_path"], data)
            body = replace(body, data=check_members(form, service, request, document, data))
            await self._serve(scope, body.receive(receive), send)
        except SignatureError as error:
            form = protocol(request.headers, path, service)
            await answer_error(send, form, signature_code(error.kind, form), _with_remedy(error), 403)
        except BodyError as error:
            await answer_error(send, protocol(request.headers, path, service), error.code, str(error), error.status)
        except DiskError as error:
            # A status that AWS's clients do not try again.
            form = protocol(request.headers, path, service)
            await answer_error(send, form, "InsufficientStorage", str(error), 507)
        except GoneError:
            return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose signature was checked: an invocation, a page of the local cloud, or an AWS service."""
        path = scope["path"]
        invocation = _INVOCATIONS.match(path) if scope["method"] == "POST" else None
        if invocation is not None:
            await self._invoke(invocation.group(1), scope, receive, send)
        elif path == "/_localcloud/operations":
            await answer_json(send, 200, sorted(OPERATIONS))
        elif path == "/_localcloud/access":
            noted = self._access()
            off = {"message": "IAM is not enforced: start the local cloud with --enforce-iam."}
            await answer_json(send, 404 if noted is None else 200, noted or off)
        else:
            await self._emulator(scope, receive, send)


def _is_for_visitors(service: str, path: str, headers: Mapping[str, str]) -> bool:
    """Whether resource policies decide about a request, so that another account's owner may make it.

    The emulator asks X-Amz-Target and names in the host before it asks for whom a request is signed.
    """
    if _INVOCATIONS.match(path) or path.startswith("/_localcloud/") or not _PLAIN_HOST.fullmatch(headers["host"]):
        return False
    target = headers.get("x-amz-target")
    return (service == "s3" and target is None) or (service == "sagemaker" and (target or "").startswith("SageMaker."))


def _with_remedy(error: SignatureError) -> str:
    if error.kind in ("missing", "unknown", "mismatch"):
        return f"{error} The key of this local cloud is in the file `credentials` of its home."
    return str(error)
