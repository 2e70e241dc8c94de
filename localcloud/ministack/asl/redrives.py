"""Redrive: which executions may go on, and where in their branches and iterations they do.

Sources: AWS Step Functions API reference, RedriveExecution; Developer Guide, "Restarting state machine executions with
redrive in Step Functions" and "Redriving Map Runs in Step Functions executions".
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.ministack.asl.errors import DATA_LIMIT_EXCEEDED

REDRIVABLE_DAYS = 14
MOST_EVENTS = 24_999
_TOKEN_MINUTES, _MOST_TOKENS = 15, 10
_UNSUCCESSFUL = ("FAILED", "ABORTED", "TIMED_OUT")
_STARTED = ("MapStateStarted", "ParallelStateStarted")

Execution = dict[str, Any]


@dataclass
class Point:
    """How far an execution, a branch or an iteration has come."""

    name: str | None = None
    """The state that it is in, or goes to next; None when it has ended."""
    kind: str = ""
    entered: int | None = None
    """The id of the event with which it entered the state; None for one that it goes to next."""
    value: Any = None
    """JSON: the input of the state, or the result when it has ended."""
    variables: dict[str, Any] = field(default_factory=dict)
    map_run: str | None = None


def points(events: Iterable[Mapping[str, Any]]) -> dict[str, Point]:
    """How far an execution and what ran in it had come, by scope, given its history."""
    found: dict[str, Point] = {}
    for event in list(events):
        scope, kind = event.get("scope", ""), event["type"]
        if kind.endswith("StateEntered"):
            point = found.setdefault(scope, Point())
            told = event["stateEnteredEventDetails"]
            point.name, point.value, point.entered = told["name"], told["input"], event["id"]
            point.kind = kind.removesuffix("StateEntered")
            _forget(found, scope, point)
        elif kind.endswith("StateExited"):
            point, told = found.setdefault(scope, Point()), event["stateExitedEventDetails"]
            point.name, point.value, point.entered = event.get("next"), told["output"], None
            point.variables |= {name: json.loads(text) for name, text in told.get("assignedVariables", {}).items()}
        elif kind in _STARTED and scope in found:
            _forget(found, scope, found[scope])
        elif kind == "MapRunStarted" and scope in found:
            found[scope].map_run = event["mapRunStartedEventDetails"]["mapRunArn"]
    return found


def _forget(found: dict[str, Point], scope: str, point: Point) -> None:
    """Forget what ran in a state that begins anew."""
    point.map_run = None
    for inner in [inner for inner in found if inner.startswith(f"{scope}\x1f{point.name}\x1f")]:
        del found[inner]


def to_go_on(execution: Execution, definition: Mapping[str, Any]) -> dict[str, Point]:
    """Where an unsuccessful execution, and what runs in it, goes on.

    A state whose own result was too large begins anew with all branches; else those that ended keep their results.
    """
    # In histories of earlier versions the states of branches are not told from those of the machine.
    states, own = definition["States"], []
    for event in execution["events"]:
        told = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails")
        if "scope" in event or told is None or told["name"] in states:
            own.append(event)
    found = points(own)
    ends = [event for event in own if event["type"] == "ExecutionFailed"]
    if ends and ends[-1]["executionFailedEventDetails"].get("error") == DATA_LIMIT_EXCEEDED:
        for scope, point in list(found.items()):
            inner = [one for name, one in found.items() if name.startswith(f"{scope}\x1f{point.name}\x1f")]
            if point.name and all(one.name is None for one in inner):
                _forget(found, scope, point)
    return found


def refusal(execution: Mapping[str, Any], machine: Mapping[str, Any] | None) -> str | None:
    """Why an execution cannot be redriven, as redriveStatusReason; None if it can. It may lack its history."""
    if machine is None or machine.get("status") == "DELETING":
        return "State machine is in DELETING status"
    if execution["status"] not in _UNSUCCESSFUL:
        return f"Execution is {execution['status']} and cannot be redriven"
    if len(execution.get("events", ())) >= MOST_EVENTS:
        return "Execution history event limit exceeded"
    stopped = datetime.fromisoformat(execution["stopDate"].replace("Z", "+00:00"))
    if datetime.now(UTC) - stopped > timedelta(days=REDRIVABLE_DAYS):
        return "Execution redrivable period exceeded"
    return None


def described(execution: Mapping[str, Any], machine: Mapping[str, Any] | None) -> dict[str, Any]:
    """What DescribeExecution tells of redrives."""
    told: dict[str, Any] = {"redriveCount": execution.get("redriveCount", 0)}
    if "redriveDate" in execution:
        told["redriveDate"] = execution["redriveDate"]
    if "mapRunArn" in execution and execution["status"] in _UNSUCCESSFUL:
        return {**told, "redriveStatus": "REDRIVABLE_BY_MAP_RUN"}
    reason = refusal(execution, machine)
    if reason is None:
        return {**told, "redriveStatus": "REDRIVABLE"}
    return {**told, "redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}


def again(execution: Mapping[str, Any], token: str | None) -> str | None:
    """The date of the redrive that was asked for with the same token; None if there is none in the last minutes."""
    oldest = f"{datetime.now(UTC) - timedelta(minutes=_TOKEN_MINUTES):%Y-%m-%dT%H:%M:%S}"
    for known, date in execution.get("redriveTokens", ()):
        if token and known == token and date > oldest:
            return str(date)
    return None


def reopen(execution: Execution, now: str, token: str | None) -> None:
    """Let an execution run again: its end is taken back."""
    for name in ("error", "cause"):
        execution.pop(name, None)
    tokens = [*execution.get("redriveTokens", ()), [token, now]][-_MOST_TOKENS:]
    count = execution.get("redriveCount", 0) + 1
    execution.update(
        status="RUNNING", stopDate=None, output=None, redriveCount=count, redriveDate=now, redriveTokens=tokens
    )
