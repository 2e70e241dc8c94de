"""Rendered HTTP replies: status line, headers and body as bytes, ready to write."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer. `close` ends the connection after it; `extra` holds further header lines, complete with CRLF."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    extra: bytes = b""
    close: bool = False


def error(status: int, sentence: str, *, extra: bytes = b"", close: bool = False) -> Reply:
    """A refusal or failure: a JSON object with one sentence. 503 tells the client when to come back."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra += b"Retry-After: 1\r\n"
    return Reply(status, json.dumps({"error": sentence}).encode() + b"\n", JSON, extra, close)


@dataclass(slots=True)
class Renderer:
    """Turns replies into bytes. Status line and fixed headers are made once for each kind, the date once a second."""

    common: bytes = b""
    _heads: dict[tuple[int, str], bytes] = field(default_factory=dict)
    _second: int = 0
    _date: bytes = b""

    def render(self, reply: Reply, *, keep_alive: bool, http_1_0: bool = False, head_only: bool = False) -> bytes:
        """The reply on the wire. HTTP/1.0 clients must be told that the connection stays; 1.1 ones that it does not."""
        key = (reply.status, reply.content_type)
        head = self._heads.get(key)
        if head is None:
            line = (
                f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\nContent-Type: {reply.content_type}\r\n"
            )
            head = line.encode("latin-1") + self.common
            if len(self._heads) < 256:  # content types come from the handler: bounded all the same
                self._heads[key] = head
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, b"Date: " + formatdate(now, usegmt=True).encode() + b"\r\n"
        stays = b"Connection: keep-alive\r\n" if http_1_0 else b""
        connection = stays if keep_alive else b"Connection: close\r\n"
        length = b"Content-Length: %d\r\n\r\n" % len(reply.body)
        return b"".join((head, self._date, reply.extra, connection, length, b"" if head_only else reply.body))
