"""Waiting, in tests, for what another thread or process does."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def soon(reached: Callable[[], T], seconds: float = 20) -> T:
    """Ask `reached` until it returns something true, at most for so many seconds; what it returned last.

    It is asked less and less often: to ask takes time from what is waited for.
    """
    deadline, pause = time.monotonic() + seconds, 0.02
    while not (found := reached()) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(1.3 * pause, 0.2)
    return found


def ended(states: Any, execution: str) -> dict[str, Any]:
    """The execution of a state machine, by its ARN, once it runs no longer."""

    def described() -> dict[str, Any]:
        found: dict[str, Any] = states.describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else {}

    found = soon(described, 30)
    assert found, f"{execution} did not end"
    return found
