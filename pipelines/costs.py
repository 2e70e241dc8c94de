"""What mistakes cost, in the form that a parameter of a pipeline carries: `5`, or `bicycle=2,motorcycle=10`.

training/costs.py reads the same form in the training job, which shares no module with this one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines import numbers

NONE = "none"
MOST = 1e6


@dataclass(frozen=True)
class Costs:
    """What mistakes cost, in any one unit.

    `wrong_bay` is the cost of a wrong answer that is acted upon, by the class that was answered; `review` that of a
    photo that a person looks at.
    """

    wrong_bay: Mapping[str, float]
    review: float

    @property
    def equal(self) -> bool:
        """Whether a wrong answer costs the same whichever class was answered: then one threshold serves all."""
        return len(set(self.wrong_bay.values())) == 1


def read(text: str) -> dict[str, float]:
    """The numbers in `text` by class, that of the other classes as ""; {} for `none`. ValueError for another form."""
    if text.strip() == NONE:
        return {}
    named: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.rpartition("=")
        if name.strip() in named:
            raise ValueError(f"{name.strip() or 'the cost of other classes'} comes twice")
        named[name.strip()] = one(number)
    return named


def one(text: str | float) -> float:
    """Return the cost that a number, or its text, stands for. ValueError unless it is from 0 to 1,000,000."""
    try:
        value = numbers.number(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST:  # true for NaN as well
        raise ValueError(f"{str(text).strip() or 'nothing'} is not a number from 0 to {MOST:,.0f}")
    return value


def of(text: str, review: str | float, classes: Sequence[str]) -> Costs | None:
    """The costs for these classes; None where `text` is `none`.

    ValueError, with a sentence that begins with the class or the number, where a class is unknown or has no cost.
    """
    named = read(text)
    if not named:
        return None
    if unknown := [name for name in named if name and name not in classes]:
        raise ValueError(f"there is no class {unknown[0]} among {','.join(classes)}")
    if "" not in named and (missing := [name for name in classes if name not in named]):
        raise ValueError(f"there is no cost for {missing[0]}")
    return Costs({name: named[name] if name in named else named[""] for name in classes}, one(review))
