"""Sends parts of an open page anew when they have changed, as server-sent events (https://html.spec.whatwg.org, 9.2).

Each event is JSON, {"id": of the element, "html": what it now holds}. While a look fails, the element `trouble` holds
the sentence that says why; it is emptied when a look succeeds again. What does not exist, or was deleted while it was
looked at, ends the stream with its sentence.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import NamedTuple

from markupsafe import escape
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse

from loadingbay.console.pages import explained, pages, status_of

_KEEP_ALIVE = 15  # looks without a change before a comment is sent, which finds out whether the browser is there


class Look(NamedTuple):
    """What was seen: the parts of the page by the id of their element, and whether nothing more will change."""

    parts: dict[str, str]
    ended: bool = False


def stream(request: Request, look: Callable[[], Look]) -> StreamingResponse:
    """The events of a page. `look` is called in a thread, once a second on this machine, else every five seconds."""
    interval = 1.0 if pages(request).target.local else 5.0
    return StreamingResponse(_events(look, interval), media_type="text/event-stream")


async def _events(look: Callable[[], Look], interval: float) -> AsyncIterator[str]:
    """The server-sent events of a page: each part's HTML whenever it changed, looked at every `interval` seconds.

    An error becomes the part `trouble`, and the looking goes on unless there is nothing to look at. The last event is
    `end`.
    """
    sent: dict[str, str] = {}
    quiet = 0
    while True:
        try:
            seen = await run_in_threadpool(look)
            seen = Look({**seen.parts, "trouble": ""}, seen.ended)
        except Exception as error:
            gone = status_of(error) == HTTPStatus.NOT_FOUND
            seen = Look({"trouble": str(escape(explained(error)))}, ended=gone)
        changed = {name: html for name, html in seen.parts.items() if sent.get(name) != html}
        for name, html in changed.items():
            yield f"data: {json.dumps({'id': name, 'html': html})}\n\n"
        sent |= changed
        if seen.ended:
            yield "event: end\ndata:\n\n"
            return
        quiet = 0 if changed else quiet + 1
        if quiet % _KEEP_ALIVE == 1:
            yield ": nothing new\n\n"
        await asyncio.sleep(interval)
