"""The page Review: one photo at a time, the model's answer only when asked for, the next one already loaded.

Each tab has a desk, named by a number that it drew. What lies on a desk is hidden from everybody else by the queue
itself, for `HIDDEN_SECONDS`; shortly before that it is not the desk's any more, and its page shows it no longer. A page
that is loaded anew takes its tab's desk over: what the page before it says about leaving, however late, is not heard.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from loadingbay.console.pages import Pages, pages
from loadingbay.console.pictures import photo_response
from loadingbay.errors import NotFoundError, UsageError
from loadingbay.learning.labels import NEITHER, check_truth
from loadingbay.learning.review import HIDDEN_SECONDS, Item, NotReadableError, Queue
from loadingbay.registry import versions as registry
from loadingbay.serving.photos import FOR_REVIEW

_ON_DESK = 2  # the one that is looked at, and the one that is loaded meanwhile
_DESKS = 100
_EMPTY_SECONDS = 2.0  # after the queue gave nothing, it is not asked again for so long
_MARGIN = 20.0  # a photo this close to being shown to others is given up


@dataclass(frozen=True)
class Held:
    """A photo on a desk. The page knows it by its number: its own name often says what it shows.

    `labelled`: it was labelled before, has left the queue, and is asked about once more.
    """

    number: int
    item: Item
    taken: float
    labelled: bool = False

    @property
    def seconds(self) -> float:
        """For how long it is still hidden from others, with a margin; below 0 when it lay too long."""
        return self.taken + HIDDEN_SECONDS - _MARGIN - time.monotonic()


@dataclass
class Desk:
    """What one tab holds: photos, the last one that was labelled, how many were, and the page that shows it now."""

    page: str = ""
    held: list[Held] = field(default_factory=list)
    last: Held | None = None
    labelled: int = 0
    skipped: set[str] = field(default_factory=set)
    unreadable: int = 0
    empty_at: float = -_EMPTY_SECONDS
    numbers: Iterator[int] = field(default_factory=itertools.count)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fill(self, queue: Queue, wait: int) -> None:
        """Takes photos until two lie here, or the queue gives no more that was not skipped here before."""
        now = time.monotonic()
        self.clear()
        while len(self.held) < _ON_DESK and now - self.empty_at >= _EMPTY_SECONDS:
            item = next(queue.take(wait), None)
            if item is None:
                self.empty_at = now
            elif isinstance(item, NotReadableError):
                self.unreadable += 1
            elif item.inference_id in self.skipped:
                queue.give_back(item)
                self.empty_at = now
            else:
                self.held.append(Held(next(self.numbers), item, now))

    def clear(self) -> None:
        """Gives up what lay here too long: others may be shown it soon."""
        self.held = [one for one in self.held if one.seconds > 0]

    def find(self, number: str) -> Held:
        """The photo of that number. Raises NotFoundError when it is not here, or not any more."""
        self.clear()
        for one in self.held:
            if str(one.number) == number:
                return one
        raise NotFoundError(
            "this photo is not yours any more: it lay here too long, or was answered in another window; "
            "load the page anew"
        )


class Desks:
    """The desks by session and tab; the oldest is given up when there are too many."""

    def __init__(self) -> None:
        self._desks: OrderedDict[tuple[str, str], Desk] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, session: str, tab: str) -> Desk:
        """The desk of a tab of a session."""
        if not tab.isalnum() or len(tab) > 40:
            raise UsageError("the page's number is missing: load the page anew")
        with self._lock:
            desk = self._desks.setdefault((session, tab), Desk())
            self._desks.move_to_end((session, tab))
            while len(self._desks) > _DESKS:
                self._desks.popitem(last=False)
            return desk


def _review(request: Request) -> Response:
    """The page on which a person labels the photos of the review queue."""
    here = pages(request)
    stack = here.stack()
    now = registry.endpoint(here.target, stack["EndpointName"])
    serves = now is not None and now.serves
    return here.render(
        request,
        "review.html",
        title="Review",
        classes=registry.served_classes(here.target, stack["EndpointName"]) if serves else [],
        neither=NEITHER,
        waiting=_queue(here, stack).waiting(),
        minutes=HIDDEN_SECONDS // 60,
    )


def _queue(here: Pages, stack: dict[str, str]) -> Queue:
    return Queue(here.target.client("sqs"), here.target.client("s3"), stack["ReviewQueueUrl"], stack["BucketName"])


def _desk(request: Request, tab: str) -> Desk:
    desks: Desks = request.app.state.desks
    return desks.of(request.state.session.key, tab)


def _act(request: Request) -> Response:
    """Take, label, skip, undo or leave, as the last part of the path says; answers with the photos held afterwards."""
    here, form, word = pages(request), request.state.form, request.path_params["word"]
    if word not in {"take", "label", "skip", "undo", "leave"}:
        raise HTTPException(404, "A photo can be taken, labelled, skipped, asked again, or left.")
    stack = here.stack()
    queue, desk = _queue(here, stack), _desk(request, form.get("tab", ""))
    with desk.lock:
        page = form.get("page", "")
        if word == "leave" and page != desk.page:
            return JSONResponse(_state(desk, queue))  # the page was loaded anew meanwhile
        desk.page = page
        if word == "label":
            one = desk.find(form.get("number", ""))
            truth = check_truth(form.get("truth", ""), registry.served_classes(here.target, stack["EndpointName"]))
            give = queue.label_again if one.labelled else queue.label
            give(one.item, truth, here.author, datetime.now(UTC))
            desk.held.remove(one)
            desk.last, desk.labelled = one, desk.labelled + 1
        elif word == "skip":
            one = desk.find(form.get("number", ""))
            if not one.labelled:
                queue.skip(one.item)
            desk.held.remove(one)
            desk.skipped.add(one.item.inference_id)
        elif word == "undo" and desk.last is not None:
            # It is asked once more: its next label is the later one, and counts.
            desk.held.insert(0, replace(desk.last, taken=time.monotonic(), labelled=True))
            desk.last, desk.labelled = None, desk.labelled - 1
        elif word == "leave":
            for one in desk.held:
                if not one.labelled:
                    queue.give_back(one.item)
            desk.held.clear()
            return JSONResponse(_state(desk, queue))
        desk.fill(queue, wait=0 if here.target.local else 1)
        return JSONResponse(_state(desk, queue))


def _state(desk: Desk, queue: Queue) -> dict[str, Any]:
    """Return what the page needs to know of a tab's desk and of the queue, as a JSON object."""
    return {
        "photos": [one.number for one in desk.held],
        "seconds": max(0.0, desk.held[0].seconds) if desk.held else 0.0,
        "waiting": queue.waiting() + sum(not one.labelled for one in desk.held),
        "labelled": desk.labelled,
        "undo": desk.last is not None,
        "unreadable": desk.unreadable,
    }


def _photo(request: Request) -> Response:
    """A photo on this tab's desk, as PNG or JPEG."""
    here = pages(request)
    item = _desk(request, request.path_params["tab"]).find(request.path_params["number"]).item
    here.stack()
    bucket, key = item.photo["bucket"], item.photo["key"]
    return photo_response(here.target, f"s3://{bucket}/{key}", item.photo.get("version_id"))


def _answer(request: Request) -> Response:
    """What the model said, for whoever asks."""
    item = _desk(request, request.path_params["tab"]).find(request.path_params["number"]).item
    said = {name: item.prediction.get(name) for name in ("label", "confidence", "threshold")}
    said["reason"] = FOR_REVIEW.get(item.reason, item.reason)
    # The name of a file often says what it shows, so it is hidden as long as the answer is.
    return JSONResponse({**said, "photo": item.photo["key"]})


ROUTES = [
    Route("/review", _review),
    Route("/review/{word:str}", _act, methods=["POST"]),
    Route("/review/{tab}/{number}/photo", _photo),
    Route("/review/{tab}/{number}/answer", _answer),
]
