"""Which retrier or catcher of a state takes an error, and when it is tried again.

Source: AWS Step Functions Developer Guide, "Handling errors in Step Functions workflows".
"""

import random
from collections.abc import Iterable
from typing import Any

from localcloud.ministack.asl.errors import (
    DATA_LIMIT_EXCEEDED,
    HEARTBEAT_TIMEOUT,
    RUNTIME,
    TIMEOUT,
    HeartbeatError,
    StateError,
    StoppedError,
)

_LONGEST = 99_999_999.0


def matches(names: Iterable[str], error: StateError) -> bool:
    """Whether one of the names of ErrorEquals stands for an error.

    States.ALL stands for all but the terminal errors, States.TaskFailed for all but these and timeouts.
    """
    if error.error == RUNTIME or isinstance(error, StoppedError):
        return False
    own = {error.error, HEARTBEAT_TIMEOUT} if isinstance(error, HeartbeatError) else {error.error}
    if not own.isdisjoint(names):
        return True
    if error.error == DATA_LIMIT_EXCEEDED:
        return False
    return "States.ALL" in names or ("States.TaskFailed" in names and error.error != TIMEOUT)


def next_delay(retriers: list[dict[str, Any]], error: StateError, tried: dict[int, int]) -> float | None:
    """Seconds until the next attempt; None if there is none. `tried` counts attempts by retrier, and is changed."""
    for number, retrier in enumerate(retriers):
        if matches(retrier["ErrorEquals"], error):
            count = tried.get(number, 0)
            if count >= retrier.get("MaxAttempts", 3):
                return None
            tried[number] = count + 1
            return delay(retrier, count)
    return None


def delay(retrier: dict[str, Any], count: int) -> float:
    """Seconds before the attempt after `count` others of a retrier: a random part of them where jitter is FULL."""
    try:
        grown = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** count
    except OverflowError:
        grown = _LONGEST
    seconds = min(grown, float(retrier.get("MaxDelaySeconds", _LONGEST)), _LONGEST)
    return random.uniform(0, seconds) if retrier.get("JitterStrategy") == "FULL" else seconds  # noqa: S311


def catcher(catchers: list[dict[str, Any]], error: StateError) -> dict[str, Any] | None:
    """The first catcher that takes an error."""
    return next((one for one in catchers if matches(one["ErrorEquals"], error)), None)
