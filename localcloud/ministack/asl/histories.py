"""The history of an execution: its events, each with the one that it follows, as GetExecutionHistory gives them.

What follows what was read off public recordings of AWS: an event follows the one before in its branch or iteration,
and MapIterationSucceeded, MapStateSucceeded and ParallelStateSucceeded are followed by none.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from localcloud.ministack.asl import runs
from localcloud.ministack.asl.redrives import Point

PRIVATE = frozenset(["scope", "next"])
"""Members of events that are not shown: the branch, and the state that follows one that was left."""
_DATA = frozenset(["input", "output", "parameters"])

Event = dict[str, Any]


class Place:
    """A branch or an iteration of an execution that runs, or the whole of it."""

    __slots__ = ("last", "map_run", "resumed", "scope", "submitted")

    def __init__(self, scope: str = "", last: int = 0, resumed: dict[str, Point] | None = None) -> None:
        """`last` is the id of its last event; `resumed` tells by scope where a redriven execution goes on."""
        self.scope, self.last, self.resumed = scope, last, {} if resumed is None else resumed
        self.map_run: str | None = None
        """The Map Run with which the state that a redriven execution goes on with had begun."""
        self.submitted: Callable[[Any], None] | None = None
        """Called with the answer once what a task of the place waits for was begun."""

    def inner(self, state: str, number: int | str = "") -> str:
        """The scope of a branch or iteration of a state; without a number, what all of them begin with."""
        return f"{self.scope}\x1f{state}\x1f{number}"


_PLACE: ContextVar[Place] = ContextVar("place")
_ADDING = threading.Lock()


def current() -> Place:
    """The place that the calling thread works for; a new one where it works for none."""
    return _PLACE.get(None) or Place()


def submitted(answer: Any) -> None:
    """Tell that what the task of the calling thread waits for was begun, with this answer."""
    if tell := current().submitted:
        tell(answer)


@contextlib.contextmanager
def at(place: Place) -> Iterator[Place]:
    """Let what is added within the block belong to a place."""
    token = _PLACE.set(place)
    try:
        yield place
    finally:
        _PLACE.reset(token)


class Histories:
    """Adds events to the histories of executions."""

    def __init__(self, now: Callable[[], str]) -> None:
        self._now = now
        self.added: Callable[[dict[str, Any], Event], None] = lambda execution, event: None
        """Called with each event of an execution that writes logs."""

    def add(
        self, execution: dict[str, Any], kind: str, details: dict[str, Any] | None = None, followed: bool = True
    ) -> Event | None:
        """Add an event where the calling thread works. StoppedError if what runs there was stopped.

        Children of Map Runs have no history here, as Express executions on AWS: None for them.
        """
        if "mapRunArn" in execution:
            return None
        runs.current().check()
        place = current()
        event = self._append(execution, place.last, kind, details, {"scope": place.scope} if place.scope else {})
        if followed:
            place.last = event["id"]
        return event

    def end(self, execution: dict[str, Any], kind: str, details: dict[str, Any], after: int | None = None) -> None:
        """Add an event of the execution itself; without `after` it follows the last one, whatever that is."""
        self._append(execution, len(execution["events"]) if after is None else after, kind, details, {})

    def _append(
        self, execution: dict[str, Any], after: int, kind: str, details: dict[str, Any] | None, more: dict[str, Any]
    ) -> Event:
        event = {"timestamp": self._now(), "type": kind, "previousEventId": after, **(details or {}), **more}
        with _ADDING:
            event["id"] = len(execution["events"]) + 1
            execution["events"].append(event)
        if "logs" in execution:
            self.added(execution, event)
        return event


def shown(event: Event, with_data: bool = True) -> Event:
    """An event as GetExecutionHistory gives it: with the details of its data, or without its data."""
    made = {name: value for name, value in event.items() if name not in PRIVATE}
    for member, details in made.items():
        if member.endswith("EventDetails"):
            made[member] = _told(details) if with_data else _without_data(details)
    return made


def _told(details: dict[str, Any]) -> dict[str, Any]:
    truncated = {f"{name}Details": {"truncated": False} for name in ("input", "output") if name in details}
    if "assignedVariables" in details:
        truncated["assignedVariablesDetails"] = {"truncated": False}
    return {**details, **truncated}


def _without_data(details: dict[str, Any]) -> dict[str, Any]:
    hidden = _DATA | {f"{name}Details" for name in _DATA} | {"assignedVariables"}
    return {name: value for name, value in details.items() if name not in hidden}
