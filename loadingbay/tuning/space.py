"""Parses what a search may try of a parameter: a value, a range `LOW:HIGH`, or choices `A,B`. Calls no service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.parameters import BY_NAME, Parameter, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Dimension:
    """The values of one parameter that are tried: two that bound a range, both included, or all there are."""

    parameter: Parameter
    values: tuple[Value, ...]
    is_range: bool

    def __str__(self) -> str:
        return (":" if self.is_range else ",").join(map(str, self.values))

    def __contains__(self, value: Value) -> bool:
        if self.is_range:
            return float(self.values[0]) <= float(value) <= float(self.values[1])
        return value in self.values

    def distribution(self) -> BaseDistribution:
        """As Optuna draws from it. Ranges are searched on a logarithmic scale: rates, sizes and lengths multiply."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if not self.is_range:
            return CategoricalDistribution(self.values)
        low, high = self.values
        log = float(low) > 0
        if self.parameter.kind == "Integer":
            return IntDistribution(int(low), int(high), log=log)
        return FloatDistribution(float(low), float(high), log=log)


Space = Mapping[str, Dimension]


def parse(parameter: Parameter, text: str) -> Value | Dimension:
    """The value, or the values to try, that an option's text means.

    Raises ValueError, with a sentence that names parameter and text, for a value that is not allowed, a range that is
    empty, or a choice of fewer than two.
    """
    if ":" not in text and "," not in text:
        return parameter.parse(text)
    is_range = ":" in text
    values = tuple(parameter.parse(part.strip()) for part in text.split(":" if is_range else ","))
    if is_range and (len(values) != 2 or float(values[0]) >= float(values[1])):
        raise ValueError(f"{parameter.flag} {text}: a range is LOW:HIGH, the lower one first")
    if len(set(values)) < len(values):
        raise ValueError(f"{parameter.flag} {text}: a value stands there twice")
    return Dimension(parameter, values, is_range)


def defaults_within(space: Space) -> dict[str, Value] | None:
    """The defaults of the searched parameters, when all of them are in the space: the trial to beat."""
    found = {name: BY_NAME[name].default for name in space}
    values = {name: value for name, value in found.items() if value is not None and value in space[name]}
    return values if len(values) == len(space) else None
