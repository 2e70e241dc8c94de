"""What is told of executions: DescribeExecution, GetExecutionHistory, ListExecutions.

Source: AWS Step Functions API reference; Express executions are not described on AWS, their logs are.
"""

import functools
from collections.abc import Callable
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Ask = Callable[[dict[str, Any]], Answer]

_TYPE_REFUSED = "This operation is not supported by this type of state machine"
_STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE")
_DESCRIBED = (
    "executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "input", "inputDetails", "output",
    "mapRunArn", "error", "cause", "stateMachineVersionArn", "stateMachineAliasArn",
)  # fmt: skip


class Queries:
    """Refuses ARNs that name no execution of a Standard machine, and answers for the others."""

    def __init__(self, states: Any, find: Callable[[str], dict[str, Any]] | None = None) -> None:
        """`find(ARN)` gives an execution, which may lack its history."""
        self._states = states
        self._find = find or states._executions.__getitem__

    def describe(self, data: dict[str, Any]) -> Answer:
        """DescribeExecution."""
        execution = self._find(data["executionArn"])
        answer = {name: execution[name] for name in _DESCRIBED if execution.get(name) not in (None, "")}
        if "output" in answer:
            answer["outputDetails"] = {"included": True}
        redrivable = execution["status"] in ("FAILED", "ABORTED", "TIMED_OUT")
        answer |= {"redriveCount": 0, "redriveStatus": "REDRIVABLE" if redrivable else "NOT_REDRIVABLE"}
        if not redrivable:
            reason = f"Execution is {execution['status']} and cannot be redriven"
            answer["redriveStatusReason"] = reason
        described: Answer = self._states.json_response(answer)
        return described

    def of_execution(self, ask: Ask) -> Ask:
        """`ask`, which takes an execution's ARN, for executions of Standard machines that exist."""

        @functools.wraps(ask)
        def checked(data: dict[str, Any]) -> Answer:
            arn = str(data.get("executionArn"))
            problem = arn_problem(arn, "execution")
            if problem:
                return self._refused("InvalidArn", f"Invalid Arn: '{problem}'")
            if arn not in self._states._executions:
                return self._refused("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
            return ask(data)

        return checked

    def of_machine(self, ask: Ask) -> Ask:
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
                return self._refused("ValidationException", message)
            if bool(arn) == bool(run):
                return self._refused("ValidationException", "Must specify one of stateMachineArn or mapRunArn")
            if run:
                return ask(data)
            problem = arn_problem(str(arn), "stateMachine")
            if problem:
                return self._refused("InvalidArn", f"Invalid Arn: '{problem}'")
            machine = self._states._state_machines.get(self._states._resolve_state_machine_arn(arn) or "")
            if machine is None:
                return self._refused("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
            if machine["type"] == "EXPRESS":
                return self._refused("StateMachineTypeNotSupported", _TYPE_REFUSED)
            return ask(data)

        return checked

    def _refused(self, code: str, message: str) -> Answer:
        answer: Answer = self._states.error_response_json(code, message, 400)
        return answer


def arn_problem(arn: str, kind: str) -> str | None:
    """Why a text is no ARN of a resource of Step Functions of this kind; None if it is."""
    parts = arn.split(":")
    if parts[0] != "arn" or len(parts) < 7 or parts[2] != "states":
        return f"Invalid ARN prefix: {arn[:200]}"
    return None if parts[5] == kind else f"Resource type not valid in this context: {parts[5]}"
