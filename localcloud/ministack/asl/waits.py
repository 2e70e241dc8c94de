"""How long a Wait state waits.

Source: https://states-language.net/spec.html#wait-state, and the causes that AWS gives for values that are none.
"""

from datetime import UTC, datetime
from typing import Any

from localcloud.ministack.asl import json_paths
from localcloud.ministack.asl.choices import timestamp
from localcloud.ministack.asl.errors import RUNTIME, StateError
from localcloud.ministack.asl.payloads import Context


def seconds_to_wait(state: dict[str, Any], data: Any, context: Context | None = None) -> float:
    """The seconds that a JSONPath Wait state waits from now. StateError for a value that is no time."""
    if "Seconds" in state:
        return float(state["Seconds"])
    if "SecondsPath" in state:
        return _seconds(state["SecondsPath"], _found("SecondsPath", state, data, context))
    if "Timestamp" in state:
        return _until(state["Timestamp"], "Timestamp", "")
    path = state["TimestampPath"]
    return _until(_found("TimestampPath", state, data, context), "TimestampPath", f"{path} == ")


def _found(field: str, state: dict[str, Any], data: Any, context: Context | None) -> Any:
    try:
        return json_paths.find(state[field], data, context)
    except json_paths.MissingPathError as missing:
        cause = f"The {field} parameter does not reference an input value: {missing}"
        raise StateError(RUNTIME, cause) from None


def _seconds(path: str, value: Any) -> float:
    if not isinstance(value, int) or isinstance(value, bool):
        cause = f"The SecondsPath parameter cannot be parsed as a long value: {path} == {value}"
        raise StateError(RUNTIME, cause)
    if value < 0:
        raise StateError(RUNTIME, f"The SecondsPath parameter references a negative value: {path} == {value}")
    return float(value)


def _until(value: Any, field: str, shown: str) -> float:
    moment = timestamp(value)
    if moment is None:
        cause = (
            f"The {field} parameter does not reference a valid ISO-8601 extended offset date-time format string: "
            f"{shown}{value}"
        )
        raise StateError(RUNTIME, cause)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
