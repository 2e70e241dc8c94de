"""Serves the console on a port of loopback, and says at which address it is entered."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from loadingbay.console.application import application
from loadingbay.console.door import Keys
from loadingbay.errors import WorkError
from loadingbay.target import Target

_BACKLOG = 64


@dataclass(frozen=True)
class Console:
    """A console that is ready to serve. `address` has its first one-time token."""

    address: str
    server: uvicorn.Server
    listener: socket.socket

    def serve(self) -> None:
        """Serves until the process ends, or `server.should_exit` is set."""
        self.server.run(sockets=[self.listener])


def prepare(target: Target, root: Path, *, port: int, environment: Mapping[str, str]) -> Console:
    """A console for a target. `port` 0 takes any that is free. Raises WorkError when the port is taken.

    `root` is where `.loadingbay` and `runs` lie, `environment` is where runs look for their data.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Else the body of a page waits until the browser has acknowledged its headers, up to 40 ms; connections inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise WorkError(
            f"port {port} on this machine is taken ({error.strerror}): another console may run there; "
            "`loadingbay console --port 0` takes any that is free"
        ) from error
    port = listener.getsockname()[1]
    keys = Keys()
    app = application(target, root, port=port, keys=keys, author=getpass.getuser(), environment=environment)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # the address with the token would be in it
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,  # an open page's stream never ends by itself
    )
    return Console(f"http://127.0.0.1:{port}/enter?token={keys.token()}", uvicorn.Server(config), listener)
