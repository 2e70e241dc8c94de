"""The server under the port: hypercorn, which lets go of a connection as soon as its client has closed it."""

import logging
import resource
import socket
from typing import Any

from hypercorn.asyncio import run, serve
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from hypercorn.events import Event, Updated

from localcloud.api.asgi import App

KEEP_ALIVE_SECONDS = 75.0
_WANTED_DESCRIPTORS = 65_536


class _Server(TCPServer):  # type: ignore[misc]  # hypercorn is not read by mypy
    """One connection. hypercorn's own waits for the end of the keep-alive time also when the client has closed it."""

    _closed = False

    async def _read_data(self) -> None:
        await super()._read_data()
        self._closed = True
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        """As hypercorn's, except that nothing is waited for after the end of the client's stream."""
        if not (self._closed and isinstance(event, Updated)):
            await super().protocol_send(event)


async def serve_http(app: App, listener: socket.socket, stop: Any) -> None:
    """Serve on a listening socket until `stop()` returns; requests under way then have a second to end."""
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.graceful_timeout = 1
    config.errorlog = logging.getLogger("localcloud")
    run.TCPServer = _Server  # hypercorn has no other way to give it one
    await serve(app, config, shutdown_trigger=stop)


def raise_descriptor_limit() -> int:
    """Let this process open as many files as the machine allows, at most 65,536; the limit that is in force now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
