"""Lets in whoever has the one-time token, and nothing that another site's page could have sent.

The rules, for every request:

- its Host is this port of this machine: a foreign name that resolves to loopback is refused (DNS rebinding);
- without a session only `/enter?token=...` answers; a token works once, and the session's cookie is HttpOnly and
  SameSite=Strict;
- what changes something (every method but GET and HEAD) has an Origin that is this console's own, and the session's
  form token: as the field `csrf` of a form, or as the header `X-CSRF-Token`;
- bodies and paths have a limit.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SESSION_SECONDS = 12 * 3600
MAXIMUM_FORM_BYTES = 64 * 1024
MAXIMUM_PATH = 2048
_SAFE = frozenset({"GET", "HEAD"})
_FORM = "application/x-www-form-urlencoded"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send a form's Origin as null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Session:
    """Somebody who came in: the cookie's value, the token of their forms, and when it ends (monotonic seconds)."""

    key: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    ends: float = field(default_factory=lambda: time.monotonic() + SESSION_SECONDS)


class Keys:
    """The one-time tokens that are still good, and the sessions that came of the others. In memory only."""

    def __init__(self) -> None:
        self._tokens: set[str] = set()
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def token(self) -> str:
        """A new one-time token."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._tokens.add(token)
        return token

    def enter(self, token: str) -> Session | None:
        """Redeems a one-time token for a new session; None when the token was used before or never issued."""
        with self._lock:
            found = next((one for one in self._tokens if hmac.compare_digest(one.encode(), token.encode())), None)
            if found is None:
                return None
            self._tokens.remove(found)
            session = Session()
            self._sessions[session.key] = session
            return session

    def session(self, key: str) -> Session | None:
        """The session of a cookie's value, None when there is none or it has ended."""
        with self._lock:
            session = self._sessions.get(key)
            if session is not None and session.ends < time.monotonic():
                del self._sessions[key]
                return None
            return session


class Door:
    """ASGI middleware before the application, which listens on `port` of loopback.

    The application finds `session` and, for forms, `form` (the fields of the body) in the request's state. `limits` are
    the bytes of a body by the first part of its path, for those that may have more than MAXIMUM_FORM_BYTES.
    """

    def __init__(self, app: ASGIApp, keys: Keys, port: int, limits: Mapping[str, int]) -> None:
        self._app = app
        self._keys = keys
        self._limits = limits
        self._hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
        self._cookie = f"loadingbay-{port}"  # cookies are shared by all ports of a host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request if it comes from who may use the console; any answer gets the security headers.

        Requests that change something must also come from a page of the console itself.
        """
        if scope["type"] != "http":
            # The life of the server is the application's matter; there are no web sockets.
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        refusal = self._come_in(request)
        if refusal is None and request.method not in _SAFE:
            refusal, receive = await self._check_change(request, receive)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _come_in(self, request: Request) -> Response | None:
        """What to answer instead of the application, None for whoever has a session."""
        if request.headers.get("host", "").lower() not in self._hosts:
            return _refused(421, "This console answers under 127.0.0.1 and localhost only: use the address it printed.")
        path = request.url.path
        if len(path) > MAXIMUM_PATH:
            return _refused(414, f"The address is too long: its path may have {MAXIMUM_PATH:,} characters.")
        if path == "/enter" and request.method == "GET":
            return self._enter(request)
        session = self._keys.session(request.cookies.get(self._cookie, ""))
        if session is None:
            return _refused(
                401,
                "No session: open the address that `loadingbay console` printed in its terminal. It works once; "
                "starting the command again prints a new one, and `Another browser` on an open page shows one.",
            )
        request.state.session = session
        return None

    def _enter(self, request: Request) -> Response:
        """Redeem the one-time token of the address for a session cookie; status 403 for a used or unknown token."""
        session = self._keys.enter(request.query_params.get("token", ""))
        if session is None:
            # A reload of the address by somebody who is in already is no failure.
            if self._keys.session(request.cookies.get(self._cookie, "")):
                return RedirectResponse("/", 303)
            return _refused(
                403, "This address was used before, or is not complete: start `loadingbay console` again for a new one."
            )
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self._cookie, session.key, max_age=SESSION_SECONDS, httponly=True, samesite="strict")
        return answer

    async def _check_change(self, request: Request, receive: Receive) -> tuple[Response | None, Receive]:
        """A refusal, or None and a `receive` that gives the body once more."""
        own = f"http://{request.headers['host']}"
        if request.headers.get("origin", "").lower() != own.lower():
            return _refused(
                403, "The request does not come from a page of this console (its Origin is another)."
            ), receive
        limit = self._limits.get(request.url.path.split("/")[1], MAXIMUM_FORM_BYTES)
        body = await _body(receive, limit)
        if body is None:
            return _refused(413, f"More than {limit:,} bytes were sent, which is the most that is taken here."), receive
        form: dict[str, str] = {}
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
            try:
                form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200))
            except (UnicodeDecodeError, ValueError):
                return _refused(400, "The form cannot be read: it must be UTF-8 text of at most 200 fields."), receive
        given = request.headers.get("x-csrf-token") or form.get("csrf", "")
        if not hmac.compare_digest(given.encode(), request.state.session.csrf.encode()):
            return _refused(403, "The form's token is missing or of another session: load the page anew."), receive
        request.state.form = form

        unread = [body]

        async def again() -> Message:
            # After the body, what comes is only that the browser left.
            return {"type": "http.request", "body": unread.pop(), "more_body": False} if unread else await receive()

        return None, again


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None as soon as it is longer than `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _refused(status: int, sentence: str) -> Response:
    """A refusal as plain text: it needs no template, and nothing of the request is in it."""
    return PlainTextResponse(f"{sentence}\n", status)
