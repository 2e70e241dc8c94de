"""Rules of JSONPath Choice states.

Source: https://states-language.net/spec.html#choice-state. A comparison of a variable that is not there fails the
execution, as on AWS; only IsPresent asks whether it is.
"""

import functools
import operator
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from localcloud.ministack.asl import json_paths
from localcloud.ministack.asl.errors import RUNTIME, StateError
from localcloud.ministack.asl.payloads import Context

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:\d\d)")
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "GreaterThan": operator.gt,
    "LessThanEquals": operator.le,
    "GreaterThanEquals": operator.ge,
}
_COMPARISON = re.compile(f"(String|Numeric|Timestamp|Boolean)({'|'.join(_ORDERS)})(Path)?")


def timestamp(value: Any) -> datetime | None:
    """The time that a text of ISO 8601 with an offset says; None if it says none."""
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return None
    try:
        # fromisoformat takes at most six digits of a second.
        return datetime.fromisoformat(re.sub(r"[.,](\d{1,6})\d*", r".\1", value))
    except ValueError:
        return None


def holds(rule: dict[str, Any], data: Any, context: Context | None = None) -> bool:
    """Whether a rule holds for a state's input. StateError if it compares what is not there."""
    if "And" in rule:
        return all(holds(one, data, context) for one in rule["And"])
    if "Or" in rule:
        return any(holds(one, data, context) for one in rule["Or"])
    if "Not" in rule:
        return not holds(rule["Not"], data, context)
    if "IsPresent" in rule:
        return _is_present(rule["Variable"], data, context) is rule["IsPresent"]
    value = _found(rule["Variable"], data, context)
    for name, given in rule.items():
        if name in _TESTS:
            return _TESTS[name](value) is given
        if name == "StringMatches":
            return isinstance(value, str) and _pattern(given).fullmatch(value) is not None
        if comparison := _COMPARISON.fullmatch(name):
            kind, order, from_path = comparison.groups()
            other = _found(given, data, context) if from_path else given
            one, other = _KINDS[kind](value), _KINDS[kind](other)
            return one is not None and other is not None and _ORDERS[order](one, other)
    return False


def _found(path: str, data: Any, context: Context | None) -> Any:
    try:
        return json_paths.find(path, data, context)
    except json_paths.MissingPathError:
        cause = f"Invalid path '{path}': The choice state's condition path references an invalid value."
        raise StateError(RUNTIME, cause) from None


def _is_present(path: str, data: Any, context: Context | None) -> bool:
    try:
        json_paths.find(path, data, context)
    except json_paths.MissingPathError:
        return False
    return True


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else None


def _boolean(value: Any) -> Any:
    return value if isinstance(value, bool) else None


_KINDS: dict[str, Callable[[Any], Any]] = {
    "String": _text,
    "Numeric": _number,
    "Timestamp": timestamp,
    "Boolean": _boolean,
}
_TESTS: dict[str, Callable[[Any], bool]] = {
    "IsNull": lambda value: value is None,
    "IsNumeric": lambda value: _number(value) is not None,
    "IsString": lambda value: isinstance(value, str),
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": lambda value: timestamp(value) is not None,
}


@functools.lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    """A pattern of StringMatches, in which * stands for any text unless a backslash is before it."""
    pieces = re.findall(r"\\[*\\]|.", text, re.DOTALL)
    return re.compile("".join(".*" if piece == "*" else re.escape(piece[-1]) for piece in pieces), re.DOTALL)
