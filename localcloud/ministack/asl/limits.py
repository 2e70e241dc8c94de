"""Limits of an execution: the length of its history, and the size of what its states hand on.

Source: AWS Step Functions Developer Guide, "Step Functions service quotas" and "Error names".
"""

import json
from typing import Any

from localcloud.ministack.asl.errors import DATA_LIMIT_EXCEEDED, RUNTIME, StateError

MOST_EVENTS = 25_000
MOST_BYTES = 262_144
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

TOO_LARGE = "The state/task '{}' returned a result with a size exceeding the maximum number of bytes service limit."
"""The cause of States.DataLimitExceeded, given the name of the state or task."""


def check_history(events: int) -> None:
    """StateError if a state may not be entered after so many events."""
    # Two are kept for what ends the state and the execution.
    if events >= MOST_EVENTS - 2:
        cause = f"The execution reached the maximum number of history events ({MOST_EVENTS})."
        raise StateError(RUNTIME, cause)


def result_as_json(name: str, result: Any) -> str:
    """The result of a state or task as JSON. StateError if it is too large to be handed on."""
    text = as_json(result)
    if is_too_large(text):
        raise StateError(DATA_LIMIT_EXCEEDED, TOO_LARGE.format(name))
    return text


def input_as_json(name: str, given: Any) -> str:
    """What Parameters, Arguments or ItemSelector made, as JSON. StateError if it is too large."""
    text = as_json(given)
    if is_too_large(text):
        cause = f"The input of the state/task '{name}' has a size exceeding the maximum number of bytes service limit."
        raise StateError(DATA_LIMIT_EXCEEDED, cause)
    return text


def is_too_large(text: str) -> bool:
    """Whether JSON, in which other letters than ASCII may be escaped, has more than 262,144 bytes in UTF-8."""
    if len(text) <= MOST_BYTES and text.isascii():
        return False
    shown = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    return len(shown.encode(errors="replace")) > MOST_BYTES


def as_json(value: Any) -> str:
    """A value as JSON without spaces, as AWS shows data in histories and descriptions. StateError if it is none."""
    try:
        return _JSON.encode(value)
    except ValueError as error:
        raise StateError(RUNTIME, f"The data is not JSON: {error}") from None
