"""Sends messages between the server's processes over a local socket pair, with a file descriptor where needed."""

from __future__ import annotations

import json
import socket
from typing import Any

LARGEST = 65_536


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends that keep message boundaries; when one side's process dies, the other reads an empty message."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    """Send a message. Raises OSError when the other side is gone or (non-blocking) its buffer is full."""
    data = json.dumps(message).encode()
    if descriptors:
        socket.send_fds(end, [data], list(descriptors))
    else:
        end.send(data)


def receive(end: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message and its descriptors; None: the other side is gone. BlockingIOError: none is there yet."""
    try:
        data, descriptors, _, _ = socket.recv_fds(end, LARGEST, 4)
    except ConnectionResetError:
        return None
    return (json.loads(data), descriptors) if data else None
