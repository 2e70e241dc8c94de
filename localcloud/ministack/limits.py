"""Limits of an execution of a state machine: the length of its history, and the size of what a state hands on.

Unpatched, a machine that loops runs and grows until the disk is full, and states hand on what AWS refuses.
Source: Step Functions Developer Guide, "Step Functions service quotas" and "Error names".
"""

import functools
import json
from types import ModuleType
from typing import Any

from localcloud.ministack.private_names import find_names

MOST_EVENTS = 25_000
MOST_BYTES = 262_144


def install(states: ModuleType) -> None:
    """Patch `ministack.services.stepfunctions`: an execution fails with the event that is beyond a limit."""
    find_names(states, "_add_event", "_ExecutionError")
    machines: Any = states
    add = machines._add_event

    @functools.wraps(add)
    def add_within_limits(execution: dict[str, Any], kind: str, details: Any = None) -> Any:
        """Add an event to the history of an execution; the execution or its state fails beyond a limit."""
        if kind.endswith("StateEntered"):
            # Two are kept for what ends the state and the execution.
            if len(execution["events"]) >= MOST_EVENTS - 2:
                cause = f"The execution reached the maximum number of history events ({MOST_EVENTS})."
                raise machines._ExecutionError("States.Runtime", cause)
        elif kind.endswith("StateExited"):
            ended = details["stateExitedEventDetails"]
            if is_too_large(ended["output"]):
                cause = (
                    f"The state/task '{ended['name']}' returned a result with a size exceeding the maximum number of "
                    "bytes service limit."
                )
                raise machines._ExecutionError("States.DataLimitExceeded", cause)
        return add(execution, kind, details)

    machines._add_event = add_within_limits


def is_too_large(output: str) -> bool:
    """Whether JSON, in which other letters than ASCII may be escaped, has more than 262,144 bytes in UTF-8."""
    if len(output) <= MOST_BYTES:
        return False
    return len(json.dumps(json.loads(output), ensure_ascii=False).encode(errors="replace")) > MOST_BYTES
