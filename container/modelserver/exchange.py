"""One request and its answer, on the way between a connection and the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import Connection
    from .replies import Reply


class Exchange:
    """A request as it was sent, and the answer once there is one. `abandoned` means that nobody waits any more."""

    __slots__ = (
        "abandoned",
        "accept",
        "body",
        "complete_at",
        "connection",
        "content_type",
        "expects_continue",
        "held",
        "hosts",
        "http_1_0",
        "keep_alive",
        "length",
        "method",
        "rendered",
        "reply",
        "route",
        "target",
    )

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.complete_at = 0.0
        self.method = ""
        self.target = b""
        self.route = "other"
        self.content_type = ""
        self.accept = ""
        self.length = -1  # declared length of the body; -1: none declared
        self.hosts = 0
        self.expects_continue = False
        self.http_1_0 = False
        self.keep_alive = True
        self.body: bytes | bytearray = b""
        self.held = 0  # bytes of body that count against the worker's limit
        self.reply: Reply | None = None
        self.rendered = b""
        self.abandoned = False
