"""The ASGI application on the port: our own paths, a guard against browsers, and MiniStack behind them."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from xml.sax.saxutils import escape

from localcloud.api import OPERATIONS
from localcloud.api.asgi import App, Receive, Scope, Send, answer_json
from localcloud.settings import DiskError

_INVOCATIONS = re.compile(r"^/endpoints/([^/]+)/invocations$")
_ACTION = re.compile(rb"(^|&)Action=", re.IGNORECASE)
_LOCAL_HOST = re.compile(r"^([a-z0-9.-]+\.)?(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$", re.IGNORECASE)


class Front:
    """Answers `/_localcloud/...` and InvokeEndpoint; hands everything else to the emulator."""

    def __init__(
        self,
        emulator: App,
        invoke: Callable[[str, Scope, Receive, Send], Awaitable[None]],
        access: Callable[[], dict[str, Any] | None] = lambda: None,
    ) -> None:
        self._emulator = emulator
        self._access = access
        self._invoke = invoke
        self.ready: dict[str, Any] | None = None
        """The answer of the health page, once everything is there."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (or the lifespan of the server)."""
        if scope["type"] != "http":
            await self._emulator(scope, receive, send)
            return
        refusal = _refusal(scope)
        path = scope["path"]
        invocation = _INVOCATIONS.match(path) if scope["method"] == "POST" else None
        if refusal is not None:
            await answer_json(send, 403, {"message": refusal})
        elif invocation is not None:
            await self._invoke(invocation.group(1), scope, receive, send)
        elif path == "/_localcloud/health":
            ready = self.ready
            await answer_json(send, 200 if ready else 503, ready or {"status": "starting"})
        elif path == "/_localcloud/operations":
            await answer_json(send, 200, sorted(OPERATIONS))
        elif path == "/_localcloud/access":
            noted = self._access()
            off = {"message": "IAM is not enforced: start the local cloud with --enforce-iam."}
            await answer_json(send, 404 if noted is None else 200, noted or off)
        else:
            try:
                await self._emulator(scope, receive, send)
            except DiskError as error:
                # A status that AWS's clients do not try again.
                await _answer_disk_error(scope, send, str(error))


async def _answer_disk_error(scope: Scope, send: Send, message: str) -> None:
    if any(name.lower() == b"x-amz-target" for name, _ in scope["headers"]):
        await answer_json(send, 507, {"__type": "InsufficientStorage", "message": message})
        return
    error = f"<Code>InsufficientStorage</Code><Message>{escape(message)}</Message>"
    # S3 has the error at the root, the query protocol inside of an ErrorResponse.
    form = any(b"x-www-form-urlencoded" in value for _, value in scope["headers"])
    data = (f"<ErrorResponse><Error>{error}</Error></ErrorResponse>" if form else f"<Error>{error}</Error>").encode()
    headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": 507, "headers": headers})
    await send({"type": "http.response.body", "body": data})


def _refusal(scope: Scope) -> str | None:
    """Why a request is not served: a web page must not be able to drive this port, which runs code on this machine.

    AWS clients send no Origin, no Referer and no Sec-Fetch-*; browsers always send one of them, but for a picture or a
    link in old ones, which is a GET: the query protocol (`?Action=`) is therefore served by POST only, as SDKs use it.
    A Host that is not this machine's is what a page sends after rebinding its own name.
    """
    if scope["path"].startswith(("/_ministack/reset", "/_ministack/config")):
        return (
            "The emulator's reset is switched off: it would leave SageMaker's state behind. Stop, and delete the home."
        )
    headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    browser = next((name for name in headers if name in {"origin", "referer"} or name.startswith("sec-fetch-")), None)
    if browser is not None:
        return f"The local cloud does not serve web pages: requests with the header {browser!r} are refused."
    if scope["method"] in {"GET", "HEAD"} and _ACTION.search(scope.get("query_string", b"")):
        return "The local cloud takes ?Action= by POST only: a link or a picture of a web page must not act."
    if not _LOCAL_HOST.match(headers.get("host", "")):
        return f"The local cloud serves 127.0.0.1 only, not the host {headers.get('host', '')[:100]!r}."
    return None
