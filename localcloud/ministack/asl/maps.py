"""Items of a Map state: which there are, how many run at once, and what each child is given.

Source: AWS Step Functions Developer Guide, "Map workflow state".
"""

import json
from typing import Any

from localcloud.ministack.asl import json_paths, limits
from localcloud.ministack.asl.errors import RUNTIME, StateError
from localcloud.ministack.asl.payloads import Context

MOST_INLINE = 40
"""How many iterations of an inline Map run at once. Source: the same guide, "Using Map state in Inline mode"."""

READER_FAILED = "States.ItemReaderFailed"

_NUMBERS = {
    "MaxConcurrency": (0, None),
    "ToleratedFailureCount": (0, None),
    "ToleratedFailurePercentage": (0, 100),
}


def items(state: dict[str, Any], data: Any, context: Context | None) -> list[Any]:
    """The items of a JSONPath Map state without ItemReader. StateError if they are no list."""
    path = state.get("ItemsPath", "$")
    try:
        found = json_paths.find(path, data, context)
    except json_paths.MissingPathError:
        shown = json.dumps(data, default=str)[:10_000]
        cause = f"The JSONPath '{path}' specified for the field 'ItemsPath' could not be found in the input '{shown}'"
        raise StateError(RUNTIME, cause) from None
    if not isinstance(found, list):
        raise StateError(RUNTIME, f'Reference path "{path}" must point to array.')
    return found


def numbers(state: dict[str, Any], data: Any, context: Context | None) -> dict[str, Any]:
    """MaxConcurrency and what failures are tolerated, of a JSONPath Map state; those that it has."""
    made = {name: state[name] for name in _NUMBERS if name in state}
    for name, (least, most) in _NUMBERS.items():
        path = state.get(f"{name}Path")
        if path is not None:
            made[name] = _number(name, path, least, most, data, context)
    return made


def most_items(path: str, data: Any, context: Context | None) -> int:
    """How many items an ItemReader gives at most, by MaxItemsPath; 0 for all."""
    return int(_number("MaxItems", path, 0, None, data, context))


def _number(name: str, path: str, least: int, most: int | None, data: Any, context: Context | None) -> Any:
    """The number that a Map state's field `namePath` names. StateError when it is missing, none, or out of bounds."""
    try:
        value = json_paths.find(path, data, context)
    except json_paths.MissingPathError:
        raise StateError(RUNTIME, f"Invalid path '{path}' : No results for path: {path}") from None
    whole = name != "ToleratedFailurePercentage"
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not fits:
        shown = value if isinstance(value, str) else json.dumps(value)
        kind = "integer" if whole else "number"
        raise StateError(RUNTIME, f'The {name}Path field refers to value "{shown}" which is not a valid {kind}: {path}')
    if value < least or (most is not None and value > most):
        wanted = f"Expected non-negative integer for {name}" if most is None else f"{name} must be between 0 and {most}"
        raise StateError(RUNTIME, f"{wanted}, got '{value}' instead.")
    return value


def batches(batcher: dict[str, Any], given: list[Any], batch_input: Any) -> list[Any]:
    """The inputs of children that take several items each: as many as ItemBatcher says, and as fit into an input."""
    most = int(batcher.get("MaxItemsPerBatch") or 0)
    largest = min(int(batcher.get("MaxInputBytesPerBatch") or limits.MOST_BYTES), limits.MOST_BYTES)
    empty: dict[str, Any] = {"Items": []} if batch_input is None else {"BatchInput": batch_input, "Items": []}
    made: list[dict[str, Any]] = []
    overhead, size = len(limits.as_json(empty)), 0
    for item in given:
        own = len(limits.as_json(item)) + 1
        if not made or (most and len(made[-1]["Items"]) >= most) or size + own > largest:
            made.append({**empty, "Items": []})
            size = overhead
        if size + own > largest:
            cause = f"An item of {own} bytes does not fit into a batch of {largest} bytes."
            raise StateError(READER_FAILED, cause)
        made[-1]["Items"].append(item)
        size += own
    return made
