"""One HTTP/1.1 connection: httptools parses; limits, timeouts, pipelining and orderly closing are here."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum
from typing import cast

import httptools

from .application import Application
from .exchange import Exchange
from .replies import Reply, error

MAX_HEADERS = 16_384  # bytes of request line and headers
MAX_PIPELINED = 16  # answers owed on one connection before reading stops
LINGER_SECONDS = 5.0  # how long what a refused client still sends is read and thrown away
LINGER_BYTES = 32 << 20


def _headers_too_large() -> Reply:
    return error(431, f"request line and headers are limited to {MAX_HEADERS} bytes", close=True)


class State(Enum):
    """What the connection waits for."""

    IDLE = "a request"
    HEADERS = "the rest of the headers"
    BODY = "the rest of the body"
    LINGER = "the client to notice that it was refused"


class Connection(asyncio.Protocol):
    """Reads requests, hands them to the application, writes the answers in the order of the requests."""

    def __init__(self, application: Application) -> None:
        """A connection of `application`, before its socket is known; asyncio gives that to `connection_made`."""
        self.application = application
        self.settings = application.settings
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.state = State.IDLE
        self.since = application.now()  # when the state began
        self.current: Exchange | None = None
        self.owed: deque[Exchange] = deque()
        self.head_bytes = 0  # received since the last complete headers
        self.named_bytes = 0  # request line and headers of this request
        self.body_bytes = 0  # body of this request, decoded
        self.raw_bytes = 0  # body of this request, as it came
        self.blocked_since = 0.0  # the client does not read its answers
        self.closing = False  # after the answers owed, no further request is taken
        self.half_closed = False  # the client sends no more
        self.reading = True

    # -- asyncio ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.application.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what is owed to a client that is gone (asyncio calls this once)."""
        self.transport = None
        self.closing = True
        if self.current is not None:
            self.owed.append(self.current)
            self.current = None
        for exchange in self.owed:
            exchange.abandoned = True
            self.application.release(exchange)
        self.owed.clear()
        self.application.closed(self)

    def data_received(self, data: bytes) -> None:
        """Parse bytes from the client (asyncio calls this)."""
        if self.state is State.LINGER:
            self.body_bytes += len(data)
            if self.body_bytes > LINGER_BYTES:
                self.abort()
            return
        if self.closing:
            return
        if self.state is State.BODY:
            self.raw_bytes += len(data)
        else:
            self.head_bytes += len(data)
        self._parse(data)
        self._bound()

    def _parse(self, data: bytes) -> None:
        """Feed the parser; refuse what is not HTTP with status 400."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # answered in HTTP/1.1 all the same, as the standard allows
            self.closing = True
        except httptools.HttpParserError as problem:
            if not self.closing:
                self._refuse(error(400, f"the request is not valid HTTP: {problem}", close=True))

    def _bound(self) -> None:
        """Refuse a request that makes the parser hold too much: endless headers or trailers, chunks of a few bytes."""
        if self.closing:
            return
        if self.state is State.BODY:
            if self.raw_bytes > 2 * self.settings.max_body + MAX_HEADERS:
                self._refuse(self.application.too_large())
        elif self.head_bytes > MAX_HEADERS:
            self._refuse(_headers_too_large())

    def eof_received(self) -> bool:
        # A client may shut its side and still read: what it asked is answered, what it left unfinished is refused.
        """The client sends no more; return whether the connection stays open for answers that are owed."""
        self.half_closed = True
        if self.current is not None and not self.closing:
            self._refuse(error(400, "the request ended before it was complete", close=True))
            return True
        if self.state is State.LINGER or not self.owed:
            return False
        self.closing = True
        return True

    def pause_writing(self) -> None:
        self.blocked_since = self.application.now()
        self._regulate()

    def resume_writing(self) -> None:
        self.blocked_since = 0.0
        self._regulate()

    # -- httptools --------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a new request; httptools calls this."""
        if self.closing:
            return
        self._enter(State.HEADERS)
        self.named_bytes = 0
        self.current = Exchange(self)

    def on_url(self, url: bytes) -> None:
        self.named_bytes += len(url)
        if self.current is not None:
            self.current.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header of the current request that decides how it is answered; httptools calls this for each."""
        exchange = self.current
        if exchange is None or self.state is State.BODY:  # trailers say nothing that matters here
            return
        self.named_bytes += len(name) + len(value) + 4
        key = name.lower()
        if key == b"content-type":
            exchange.content_type = value.decode("latin-1")
        elif key == b"accept":
            text = value.decode("latin-1")
            exchange.accept = f"{exchange.accept},{text}" if exchange.accept else text
        elif key == b"content-length":
            exchange.length = int(value) if len(value) < 19 else 1 << 62  # httptools has checked that these are digits
        elif key == b"x-serve-key":
            exchange.key = value
        elif key == b"host":
            exchange.hosts += 1
        elif key == b"expect":
            exchange.expects_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        """Refuse a request that its headers show cannot be answered, before its body is read; else await the body.

        A client that asks to go on (`Expect: 100-continue`) is told so, or gets the refusal at once.
        """
        exchange = self.current
        if exchange is None:
            return
        exchange.method = self.parser.get_method().decode("latin-1")
        version = self.parser.get_http_version()
        exchange.http_1_0 = version == "1.0"
        exchange.keep_alive = self.parser.should_keep_alive() and not self.parser.should_upgrade()
        if self.named_bytes > MAX_HEADERS:
            exchange.reply = _headers_too_large()
        elif version not in ("1.0", "1.1"):
            exchange.reply = error(400, f"HTTP/{version} is not spoken here; use HTTP/1.1", close=True)
        elif exchange.hosts != 1 and not (exchange.http_1_0 and exchange.hosts == 0):
            exchange.reply = error(400, "an HTTP/1.1 request has exactly one Host header", close=True)
        else:
            exchange.reply = self.application.precheck(exchange)
        self._enter(State.BODY)
        self.head_bytes = self.body_bytes = self.raw_bytes = 0
        if exchange.reply is not None and (exchange.reply.close or exchange.expects_continue):
            self._refuse(exchange.reply)
        elif exchange.expects_continue and not self.owed and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Add a piece of the body to the request, or refuse it above the limit; httptools calls this for each piece."""
        exchange = self.current
        if exchange is None:
            return
        self.body_bytes += len(body)
        if self.body_bytes > self.settings.max_body:
            self._refuse(self.application.too_large())
        elif exchange.reply is None:
            if not exchange.body:
                exchange.body = body
            elif isinstance(exchange.body, bytearray):
                exchange.body += body
            else:
                exchange.body = bytearray(exchange.body) + body
            exchange.reply = self.application.hold(exchange, len(body))

    def on_message_complete(self) -> None:
        """Hand a request that arrived whole to the application, or give the answer that its headers already decided."""
        exchange = self.current
        if exchange is None:
            return
        self.current = None
        self._enter(State.IDLE)
        self.head_bytes = 0
        exchange.complete_at = self.since
        self.owed.append(exchange)
        if not exchange.keep_alive:
            self.closing = True
        if exchange.reply is None:
            self.application.respond(exchange)
        else:
            self.answer(exchange, exchange.reply)
        self._regulate()

    # -- answers ----------------------------------------------------------------------------------------------------

    def answer(self, exchange: Exchange, reply: Reply) -> None:
        """Give the answer to one request; it is written once all earlier ones of this connection are."""
        if exchange.abandoned or exchange.rendered:
            return
        application = self.application
        application.release(exchange)
        last = self.current is None and (not self.owed or exchange is self.owed[-1])
        keep = exchange.keep_alive and not reply.close and not ((application.stopping or self.closing) and last)
        if not keep:
            self.closing = True
        exchange.keep_alive = keep
        exchange.rendered = application.renderer.render(
            reply, keep_alive=keep, http_1_0=exchange.http_1_0, head_only=exchange.method == "HEAD"
        )
        application.count(exchange, reply)
        self._flush()

    def _flush(self) -> None:
        """Write the answers that are ready, as far as no earlier one is missing."""
        owed = self.owed
        ready: list[bytes] = []
        last = None
        while owed and owed[0].rendered and (last is None or last.keep_alive):
            last = owed.popleft()
            ready.append(last.rendered)
        if last is None or self.transport is None:
            return
        self.transport.write(ready[0] if len(ready) == 1 else b"".join(ready))
        if not last.keep_alive:
            for exchange in owed:  # sent behind a request that ended the connection
                exchange.abandoned = True
                self.application.release(exchange)
            owed.clear()
            self._end()
        else:
            self.since = self.application.now() if self.state is State.IDLE else self.since
            self._regulate()

    def _refuse(self, reply: Reply) -> None:
        """End the connection with this answer, after those still owed; the rest of what comes is not looked at."""
        exchange = self.current or Exchange(self)
        self.current = None
        self.closing = True
        exchange.keep_alive = False
        self.owed.append(exchange)
        self.answer(exchange, reply)

    def _end(self) -> None:
        """Close after the last answer."""
        # Closing with unread bytes would reset the connection, and the client might never see its answer.
        if self.transport is None:
            return
        if self.transport.can_write_eof() and not self.half_closed:
            self._enter(State.LINGER)
            self.body_bytes = 0
            self.transport.write_eof()
            self._regulate()
        else:
            self.transport.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    # -- time -------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Called a few times a second: enforces the time limits."""
        limits, waited = self.settings, now - self.since
        if self.blocked_since and now - self.blocked_since > limits.body_seconds:
            self.abort()
        elif self.state is State.LINGER:
            if waited > LINGER_SECONDS:
                self.abort()
        elif self.state is State.HEADERS and waited > limits.header_seconds and not self.closing:
            self._refuse(error(408, f"the headers did not arrive in {limits.header_seconds:g} s", close=True))
        elif self.state is State.BODY and waited > limits.body_seconds and not self.closing:
            self._refuse(error(408, f"the body did not arrive in {limits.body_seconds:g} s", close=True))
        elif self.state is State.IDLE and not self.owed and waited > limits.idle_seconds:
            self._close_idle()

    def wind_down(self, now: float, quiet: float) -> None:
        """The server stops: close when nothing is owed, nothing half received, and nothing came for `quiet` seconds."""
        if self.state is State.IDLE and not self.owed and now - self.since > quiet:
            self._close_idle()

    def _close_idle(self) -> None:
        self.closing = True
        if self.transport is not None:
            self.transport.close()

    def _enter(self, state: State) -> None:
        self.state = state
        self.since = self.application.now()

    def _regulate(self) -> None:
        """Read on, or stop reading while the client does not take its answers, or too many are owed to it."""
        if self.transport is None or self.transport.is_closing():
            return
        wanted = self.state is State.LINGER or (not self.blocked_since and len(self.owed) < MAX_PIPELINED)
        if wanted != self.reading:
            self.reading = wanted
            if wanted:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()
