"""One request and its answer, on the way between a connection and the model, and what the application asks of a client.

The lowest of the modules that handle requests: `connection` and `application` build on it, and it knows neither.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from .replies import Reply


class Client(Protocol):
    """The other side of a connection, as the application and the worker see it."""

    owed: deque[Exchange]  # complete requests whose answers are not written yet, in the order they came

    def answer(self, exchange: Exchange, reply: Reply) -> None:
        """Give the answer to one request; it is written once all earlier ones of this connection are."""

    def tick(self, now: float) -> None:
        """Enforce the time limits; called a few times a second with the monotonic time in seconds."""

    def wind_down(self, now: float, quiet: float) -> None:
        """Close when nothing is owed, nothing half received, and nothing came for `quiet` seconds."""

    def abort(self) -> None:
        """Drop the connection at once."""


class Exchange:
    """A request as it was sent, and the answer once there is one. `abandoned`: the client has gone."""

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
        "key",
        "length",
        "method",
        "rendered",
        "reply",
        "route",
        "target",
    )

    def __init__(self, connection: Client) -> None:
        """A request of `connection` of which nothing was received yet."""
        self.connection = connection
        self.complete_at = 0.0
        self.method = ""
        self.target = b""
        self.route = "other"
        self.content_type = ""
        self.accept = ""
        self.length = -1  # declared length of the body; -1: none declared
        self.key = b""
        self.hosts = 0
        self.expects_continue = False
        self.http_1_0 = False
        self.keep_alive = True
        self.body: bytes | bytearray = b""
        self.held = 0  # bytes of body that count against the worker's limit
        self.reply: Reply | None = None
        self.rendered = b""
        self.abandoned = False
