"""Requests that name something by its ARN: refused where that is no ARN of its kind, or nothing is there.

Source: AWS Step Functions API reference, the errors of each operation.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Operation = Callable[[dict[str, Any]], Answer]


@dataclass(frozen=True)
class _Kind:
    """A kind of resource: the member of requests that names one, and the error where there is none."""

    member: str
    code: str
    words: str
    is_there: Callable[[Any, str], bool]


_KINDS = {
    "execution": _Kind(
        "executionArn", "ExecutionDoesNotExist", "Execution Does Not Exist",
        lambda states, arn: arn in states._executions,
    ),
    "stateMachine": _Kind(
        "stateMachineArn",
        "StateMachineDoesNotExist",
        "State Machine Does Not Exist",
        lambda states, arn: states._resolve_state_machine_arn(arn) is not None,
    ),
    "activity": _Kind(
        "activityArn", "ActivityDoesNotExist", "Activity Does Not Exist", lambda states, arn: arn in states._activities
    ),
    "mapRun": _Kind(
        "mapRunArn", "ResourceNotFound", "Map Run Does Not Exist", lambda states, arn: arn in states._map_runs
    ),
}  # fmt: skip


class Refused:
    """Refuses requests in the name of the emulator's module of Step Functions."""

    def __init__(self, states: Any) -> None:
        self._states = states

    def with_code(self, code: str, message: str) -> Answer:
        """The refusal with this code and message."""
        answer: Answer = self._states.error_response_json(code, message, 400)
        return answer

    def arn(self, data: dict[str, Any], kind: str, member: str = "") -> Answer | None:
        """The refusal of what a member names by no ARN of its kind; None if it is one."""
        problem = _arn_problem(str(data.get(member or _KINDS[kind].member)), kind)
        return self.with_code("InvalidArn", f"Invalid Arn: '{problem}'") if problem else None

    def missing(self, data: dict[str, Any], kind: str) -> Answer | None:
        """The refusal of a request that names no resource of a kind that is there; None if it does."""
        named, arn = _KINDS[kind], str(data.get(_KINDS[kind].member))
        if refusal := self.arn(data, kind):
            return refusal
        there = named.is_there(self._states, arn)
        return None if there else self.with_code(named.code, f"{named.words}: '{arn}'")

    def unless_there(self, work: Operation, kind: str) -> Operation:
        """`work` for requests that name a resource of a kind that is there."""

        @functools.wraps(work)
        def checked(data: dict[str, Any]) -> Answer:
            return self.missing(data, kind) or work(data)

        return checked


def _arn_problem(arn: str, kind: str) -> str | None:
    """Why a text is no ARN of a resource of Step Functions of this kind; None if it is."""
    parts = arn.split(":")
    if parts[0] != "arn" or len(parts) < 7 or parts[2] != "states":
        return f"Invalid ARN prefix: {arn[:200]}"
    return None if parts[5] == kind else f"Resource type not valid in this context: {parts[5]}"
