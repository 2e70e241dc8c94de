"""Reads metrics from a training log with the regular expressions of AlgorithmSpecification.MetricDefinitions."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import regex  # has a timeout, unlike `re`: a pattern may take exponential time

_SECONDS_A_LINE = 0.05
_MAX_LINE = 4096
_MAX_VALUES = 10_000
_MAX_VALUES_OF_DATUM = 150


class MetricReader:
    """Keeps the last value of each metric. A definition's regex must have one group, which holds the number."""

    def __init__(self, definitions: Iterable[Mapping[str, str]], clock: Callable[[], float] = time.time) -> None:
        self._patterns = [(d["Name"], regex.compile(d["Regex"])) for d in definitions]
        self._clock = clock
        self._values: dict[str, tuple[float, float]] = {}
        self._history: dict[str, deque[tuple[float, float]]] = {}

    def line(self, text: str) -> None:
        """Search one log line (its first 4,096 characters) for every metric."""
        for name, pattern in self._patterns:
            try:
                match = pattern.search(text[:_MAX_LINE], timeout=_SECONDS_A_LINE)
                value = float(match.group(1)) if match else None
            except (TimeoutError, IndexError, TypeError, ValueError):
                continue
            if value is not None:
                self._values[name] = (value, self._clock())
                self._history.setdefault(name, deque(maxlen=_MAX_VALUES)).append(self._values[name])

    def history(self, name: str) -> list[float]:
        """Return the values of a metric so far, at most the last 10,000."""
        return [value for value, _ in self._history.get(name, ())]

    def final(self) -> list[dict[str, Any]]:
        """Return FinalMetricDataList: the last value of each metric, with its time in seconds since 1970."""
        return [{"MetricName": n, "Value": value, "Timestamp": at} for n, (value, at) in self._values.items()]

    def data(self) -> Iterator[dict[str, Any]]:
        """Yield entries of PutMetricData: the numbers of each metric and second, at the time of the first of them.

        NaN and infinite values are left out, since CloudWatch takes none; an entry holds at most 150 values.
        """
        for name, values in self._history.items():
            numbers = ((value, at) for value, at in values if math.isfinite(value))
            for _, group in groupby(numbers, key=lambda number: int(number[1])):
                found = list(group)
                for start in range(0, len(found), _MAX_VALUES_OF_DATUM):
                    part = found[start : start + _MAX_VALUES_OF_DATUM]
                    # Not the whole second: the first one may have begun before the job, from whose start clients ask.
                    yield {"MetricName": name, "Timestamp": part[0][1], "Values": [value for value, _ in part]}


def check_definitions(definitions: Iterable[Mapping[str, str]]) -> None:
    """Raise ValueError that names the metric if its regex does not compile."""
    for definition in definitions:
        try:
            regex.compile(definition["Regex"])
        except regex.error as error:
            raise ValueError(f"The regex of metric {definition['Name']!r} does not compile: {error}.") from None
