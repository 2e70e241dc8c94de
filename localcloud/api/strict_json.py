"""Reads JSON of the standard only: Python's own reader also takes NaN and numbers that no 64-bit float holds."""

from __future__ import annotations

import json
import math
from typing import Any


def loads(text: str) -> Any:
    """The value that a JSON text stands for; ValueError if it is none, also for NaN, Infinity and 1e400."""
    return json.loads(text, parse_constant=_no_constant, parse_float=finite)


def finite(text: str) -> float:
    """A JSON number as a float; ValueError for one that no 64-bit float holds, such as 1e400."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number of 64 bits")
    return number


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")
