"""The server under the port: uvicorn with limits on connections and on the time that a request takes to arrive."""

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import uvloop
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from localcloud.api.asgi import App

MOST_HEAD_BYTES = 64 * 1024
_WANTED_DESCRIPTORS = 65_536


@dataclass(frozen=True)
class Limits:
    """How long a client may take, in seconds."""

    keep_alive: float = 75.0
    """Before the first request of a connection, and between two."""
    head: float = 30.0
    """For the request line and the headers."""
    request: float = 300.0
    """For head and body."""
    rest: float = 5.0
    """For the rest of a body whose request has been answered, such as one that was refused; it is thrown away."""
    look: float = 1.0
    """Between two looks at all connections."""


class _Answer:
    """The transport of one answer: its head and the first part of its body leave together.

    Sent one after the other they are two system calls here, and wake the client twice.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head: bytes | None = None
        self._began = False
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Send data; the head waits for what follows in this turn of the event loop."""
        if not self._began:
            self._began, self._head = True, data
            self._loop.call_soon(self._flush)
        elif self._head is not None:
            head, self._head = self._head, None
            self._transport.writelines([head, data])
        else:
            self._transport.write(data)

    def _flush(self) -> None:
        """Send the head alone: nothing followed."""
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)

    def close(self) -> None:
        """Close the connection once all is sent."""
        self._flush()
        self._transport.close()


class _Connection(HttpToolsProtocol):
    """One connection, and for how long the request that arrives on it has been arriving."""

    cycle: Any  # None until the first request

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._in_head, self._in_body, self._head_bytes = True, False, 0
        self.since = time.monotonic()
        """When the request that arrives began to, or when the connection became idle."""

    def connection_made(self, transport: Any) -> None:
        """Take the connection. Where too many are open, the one that has been idle for longest is closed."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            idle = [c for c in self.connections if isinstance(c, _Connection) and c is not self and c.idle]
            if idle:
                min(idle, key=lambda connection: connection.since).transport.close()

    @property
    def idle(self) -> bool:
        """Whether no request arrives and none is being answered."""
        return not (self._in_body or self._head_bytes) and (self.cycle is None or self.cycle.response_complete)

    def data_received(self, data: bytes) -> None:
        """Parse what came. A head of more than 64 KiB ends the connection."""
        if self._in_head and not self._head_bytes:
            self.since = time.monotonic()
        self._head_bytes += len(data) if self._in_head else 0
        super().data_received(data)
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The head of the request has more than {MOST_HEAD_BYTES} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header. One behind the body is thrown away: nobody reads it, and there may be any number."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._in_head, self._in_body, self._head_bytes = False, True, 0
        super().on_headers_complete()
        self.cycle.transport = _Answer(self.transport, self.loop)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_head, self._in_body = True, False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.since = time.monotonic()
        super().on_response_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing is logged: the guard refuses the request."""

    def close_if_late(self, now: float, limits: Limits) -> None:
        """Close the connection if its client takes too long to send a request, or never sent one."""
        if self._head_bytes:
            most = limits.head
        elif self._in_body:
            most = limits.rest if self.cycle.response_complete else limits.request
        elif self.cycle is None:
            most = limits.keep_alive
        else:
            return  # uvicorn closes it, or it is being answered
        if now - self.since > most:
            self.transport.close()


class _Server(Server):
    """uvicorn without its signal handlers: who starts it has its own."""

    def capture_signals(self) -> Any:
        """Leave signals as they are."""
        return contextlib.nullcontext()


async def serve_http(
    app: App, listener: socket.socket, stop: Callable[[], Awaitable[Any]], limits: Limits = Limits()
) -> None:
    """Serve on a listening socket until `stop()` returns; requests under way then have a second to end."""
    config = Config(
        app, http=_Connection, ws="none", lifespan="on", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, timeout_keep_alive=int(limits.keep_alive),
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config)

    async def close_late() -> None:
        while True:
            await asyncio.sleep(limits.look)
            now = time.monotonic()
            for connection in list(server.server_state.connections):
                if isinstance(connection, _Connection):
                    connection.close_if_late(now, limits)

    async def end() -> None:
        await stop()
        server.should_exit = True

    others = [asyncio.create_task(close_late()), asyncio.create_task(end())]
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in others:
            task.cancel()


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end on the event loop that the server needs the least processor time on."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def most_connections() -> int:
    """How many connections may be open: half of the files that this process may open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


def raise_descriptor_limit() -> int:
    """Let this process open as many files as the machine allows, at most 65,536; the limit that is in force now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
