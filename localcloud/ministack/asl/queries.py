"""What is told of executions: DescribeExecution, GetExecutionHistory, ListExecutions, and events of their status.

Sources: AWS Step Functions API reference; Developer Guide, "Automating Step Functions event delivery with EventBridge".
Express executions are not described on AWS, their logs are.
"""

import functools
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud.ministack.asl import histories, redrives
from localcloud.ministack.asl.requests import Answer, Operation, Refused

_TYPE_REFUSED = "This operation is not supported by this type of state machine"
_STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE")
DESCRIBED = (
    "executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "input", "inputDetails", "output",
    "mapRunArn", "error", "cause", "stateMachineVersionArn", "stateMachineAliasArn",
)  # fmt: skip
_OF_EVENTS = (
    "executionArn", "stateMachineArn", "stateMachineVersionArn", "stateMachineAliasArn", "name", "status", "startDate",
    "stopDate", "redriveDate", "input", "output", "error", "cause",
)  # fmt: skip
_TIMES = {"startDate", "stopDate", "redriveDate"}
_LONGEST_IN_EVENT = 248 * 1024


class Finished(bytes):
    """The body of an answer whose times are numbers already, as clients read them."""


class Queries:
    """Refuses ARNs that name no execution of a Standard machine, and answers for the others."""

    def __init__(self, states: Any, find: Callable[[str], dict[str, Any]] | None = None) -> None:
        """`find(ARN)` gives an execution, which may lack its history."""
        self._states, self._refused = states, Refused(states)
        self._find = find or states._executions.__getitem__

    def describe(self, data: dict[str, Any]) -> Answer:
        """DescribeExecution."""
        execution = self._find(data["executionArn"])
        answer = {name: execution[name] for name in DESCRIBED if execution.get(name) not in (None, "")}
        if "output" in answer:
            answer["outputDetails"] = {"included": True}
        answer |= redrives.described(execution, self._states._state_machines.get(execution["stateMachineArn"]))
        for name in _TIMES & answer.keys():
            answer[name] = _seconds(answer[name])
        status, headers, body = self._states.json_response(answer)
        return status, headers, Finished(body)

    def of_history(self, ask: Operation) -> Operation:
        """`ask`, which is GetExecutionHistory, with events as AWS shows them."""

        @functools.wraps(ask)
        def shown(data: dict[str, Any]) -> Answer:
            answer = ask(data)
            if answer[0] != 200:
                return answer
            told, with_data = json.loads(answer[2]), data.get("includeExecutionData") is not False
            told["events"] = [histories.shown(event, with_data) for event in told["events"]]
            again: Answer = self._states.json_response(told)
            return again

        return shown

    def of_machine(self, ask: Operation) -> Operation:
        """`ask`, which lists executions, for Standard machines that exist and for Map Runs."""

        @functools.wraps(ask)
        def checked(data: dict[str, Any]) -> Answer:
            """Answer as `ask`, or with the refusal of an ARN that is none, of no machine, or of an Express one."""
            arn, run = data.get("stateMachineArn"), data.get("mapRunArn")
            status = data.get("statusFilter")
            if status is not None and status not in _STATUSES:
                message = (
                    f"1 validation error detected: Value '{str(status)[:100]}' at 'statusFilter' failed to satisfy "
                    f"constraint: Member must satisfy enum value set: [{', '.join(_STATUSES)}]"
                )
                return self._refused.with_code("ValidationException", message)
            if bool(arn) == bool(run):
                return self._refused.with_code(
                    "ValidationException", "Must specify one of stateMachineArn or mapRunArn"
                )
            if refusal := self._refused.missing(data, "mapRun" if run else "stateMachine"):
                return refusal
            if not run:
                machine = self._states._state_machines[self._states._resolve_state_machine_arn(arn)]
                if machine["type"] == "EXPRESS":
                    return self._refused.with_code("StateMachineTypeNotSupported", _TYPE_REFUSED)
            return ask(data)

        return checked


def status_change(execution: dict[str, Any], machine: dict[str, Any] | None) -> dict[str, Any]:
    """The detail of the event "Step Functions Execution Status Change": times in milliseconds, large data left out."""
    told: dict[str, Any] = {name: execution.get(name) for name in _OF_EVENTS}
    told |= {"redriveStatusReason": None, **redrives.described(execution, machine)}
    for name in _TIMES:
        if told[name]:
            told[name] = int(_seconds(told[name]) * 1000)
    for name in ("input", "output"):
        text = told[name]
        included = text is None or len(text) <= _LONGEST_IN_EVENT
        told[f"{name}Details"] = {"included": included} if text is not None else None
        told[name] = text if included else None
    return told


def _seconds(moment: str) -> float:
    """A time of the emulator's, in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()
