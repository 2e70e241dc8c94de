"""Finds ports for servers that run on this machine alone."""

import socket


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free; another process may take it at any time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
