"""Evaluates the conditions of a Condition step. Values are resolved before they are compared."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from localcloud.engine.references import is_reference

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
TYPES = (*COMPARISONS, "In", "Not", "Or")


class ConditionError(ValueError):
    """A condition is malformed or compares what cannot be compared."""


def check(condition: Any) -> None:
    """Raise ConditionError when a condition's form is wrong; values are not looked at."""
    kind = condition.get("Type") if isinstance(condition, dict) else None
    if isinstance(kind, str) and kind in COMPARISONS:
        needed: tuple[str, ...] = ("LeftValue", "RightValue")
    elif kind == "In":
        needed = ("QueryValue", "Values")
    elif kind == "Not":
        needed = ("Condition",)
    elif kind == "Or":
        needed = ("Conditions",)
    else:
        raise ConditionError(f"Condition type {kind!r} is not one of {', '.join(TYPES)}.")
    for key in needed:
        if key not in condition:
            raise ConditionError(f"A condition of type {kind} needs {key}.")
    for key in ("Values", "Conditions"):
        if key in needed and (
            is_reference(condition[key]) or not isinstance(condition[key], list) or not condition[key]
        ):
            raise ConditionError(f"{key} of a condition of type {kind} must be a list with at least one member.")
    for inner in condition.get("Conditions", []) if kind == "Or" else [condition["Condition"]] if kind == "Not" else []:
        check(inner)


def evaluate(condition: dict[str, Any]) -> bool:
    """The outcome of one condition whose references are resolved."""
    kind = condition["Type"]
    if kind == "Not":
        return not evaluate(condition["Condition"])
    if kind == "Or":
        return any(evaluate(inner) for inner in condition["Conditions"])
    if kind == "In":
        query = condition["QueryValue"]
        return any(_kind(query) == _kind(value) and query == value for value in condition["Values"])
    left, right = condition["LeftValue"], condition["RightValue"]
    if _kind(left) != _kind(right) or _kind(left) == "value":
        raise ConditionError(f"{kind} cannot compare {left!r} ({_kind(left)}) with {right!r} ({_kind(right)}).")
    return COMPARISONS[kind](left, right)


def _kind(value: Any) -> str:
    """Return the kind of a JSON value: boolean, number, string, or value for all others."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "value"
