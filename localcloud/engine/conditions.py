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

KindOf = Callable[[Any], str | None]
"""The kind of what a reference or value stands for (`kind`), None where only the run can tell."""


class ConditionError(ValueError):
    """A condition is malformed or compares what cannot be compared."""


def check(condition: Any, kind_of: KindOf) -> None:
    """Raise ConditionError when a condition's form is wrong, or it compares values of different kinds in every run."""
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
        check(inner, kind_of)
    if kind in COMPARISONS:
        left, right = kind_of(condition["LeftValue"]), kind_of(condition["RightValue"])
        if None not in (left, right) and (left != right or left == "value"):
            raise _different(kind, condition["LeftValue"], left, condition["RightValue"], right)


def evaluate(condition: dict[str, Any]) -> bool:
    """The outcome of one condition whose references are resolved."""
    name = condition["Type"]
    if name == "Not":
        return not evaluate(condition["Condition"])
    if name == "Or":
        return any(evaluate(inner) for inner in condition["Conditions"])
    if name == "In":
        query = condition["QueryValue"]
        return any(kind_of(query) == kind_of(value) and query == value for value in condition["Values"])
    left, right = condition["LeftValue"], condition["RightValue"]
    if kind_of(left) != kind_of(right) or kind_of(left) == "value":
        raise _different(name, left, kind_of(left), right, kind_of(right))
    return COMPARISONS[name](left, right)


def _different(name: str, left: Any, left_kind: str | None, right: Any, right_kind: str | None) -> ConditionError:
    """The error of a comparison of two kinds of values; its text says which, and what to do."""
    return ConditionError(
        f"{name} cannot compare {left!r} ({left_kind}) with {right!r} ({right_kind}). Both must be numbers, strings or "
        f"booleans: a hyperparameter is a string in a step's properties, so compare the pipeline's parameter instead."
    )


def kind_of(value: Any) -> str:
    """Return the kind of a JSON value: boolean, number, string, or value for all others."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "value"
