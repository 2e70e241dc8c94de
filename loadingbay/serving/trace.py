"""Reads the way of one photo through the state machine: each state with its input, output, time, and what failed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import NotFoundError
from loadingbay.target import Target


@dataclass
class State:
    """A state that was entered. `attempts` counts how often its task was begun; `error` is why it failed, if it did."""

    name: str
    kind: str
    entered: datetime
    input: Any
    exited: datetime | None = None
    output: Any = None
    attempts: int = 0
    error: str = ""
    cause: str = ""

    @property
    def milliseconds(self) -> float | None:
        """How long it took, once it has ended."""
        return (self.exited - self.entered).total_seconds() * 1000 if self.exited else None


@dataclass(frozen=True)
class Trace:
    """An execution as it is now: its status, input, output or error, and its states in the order they were entered."""

    name: str
    status: str
    started: datetime
    ended: datetime | None
    input: Any
    output: Any
    error: str
    cause: str
    states: tuple[State, ...]


def trace(target: Target, state_machine: str, name: str) -> Trace:
    """The execution of that name. Raises NotFoundError when there is none."""
    client = target.client("stepfunctions")
    arn = f"{state_machine.replace(':stateMachine:', ':execution:')}:{name}"
    try:
        found = client.describe_execution(executionArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"ExecutionDoesNotExist", "InvalidArn", "ValidationException"}:
            raise
        raise NotFoundError(f"there is no execution {name}: executions are kept for 90 days") from error
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    events = [event for page in pages for event in page["events"]]
    return Trace(
        name,
        found["status"],
        found["startDate"],
        found.get("stopDate"),
        _document(found.get("input", "")),
        _document(found.get("output", "")),
        found.get("error", ""),
        _sentence(found.get("cause", "")),
        tuple(states(events)),
    )


def states(events: Iterable[Mapping[str, Any]]) -> list[State]:
    """The states that a history's events tell of, in order. Of a machine without parallel states, as ours is."""
    found: list[State] = []
    for event in events:
        kind = event["type"]
        if kind.endswith("StateEntered"):
            details = event["stateEnteredEventDetails"]
            content = _document(details.get("input", ""))
            found.append(State(details["name"], kind.removesuffix("StateEntered"), event["timestamp"], content))
        elif kind.endswith("StateExited") and found:
            found[-1].exited = event["timestamp"]
            found[-1].output = _document(event["stateExitedEventDetails"].get("output", ""))
        elif kind in {"TaskScheduled", "LambdaFunctionScheduled"} and found:
            found[-1].attempts += 1
        elif kind in {"TaskFailed", "TaskTimedOut", "LambdaFunctionFailed", "LambdaFunctionTimedOut"} and found:
            failed: Mapping[str, str] = next((v for k, v in event.items() if k.endswith("EventDetails")), {})
            found[-1].error, found[-1].cause = failed.get("error", ""), _sentence(failed.get("cause", ""))
    return found


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _sentence(cause: str) -> str:
    """The sentence of ours in a cause, which may be inside what Lambda makes of an exception; else the cause."""
    document = _document(cause)
    if not isinstance(document, dict):
        return cause
    said = document.get("message") or document.get("errorMessage")
    return _sentence(said) if isinstance(said, str) else cause
