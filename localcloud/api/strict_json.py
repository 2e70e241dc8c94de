"""Reads JSON of the standard only: Python's own reader also takes NaN and numbers that no 64-bit float holds."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any


def loads(text: str, members: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value that a JSON text stands for; ValueError if it is none, also for NaN, Infinity, 1e400 and deep nesting.

    `members` makes an object of its members, in their order; of equal names the last counts otherwise.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=finite, object_pairs_hook=members)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def finite(text: str) -> float:
    """A JSON number as a float; ValueError for one that no 64-bit float holds, such as 1e400."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number of 64 bits")
    return number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")
