"""What mistakes cost, as the hyperparameters say it, and what photos cost at each threshold.

A wrong answer that is acted upon sends a driver to the wrong bay; an answer that is not acted upon costs a person's
look. Costs are in any one unit; only their ratio decides where the threshold lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

NONE = "none"
MOST = 1e6


@dataclass(frozen=True)
class Costs:
    """`wrong_bay`: by the class that was answered, the cost of acting upon that answer when it is wrong.

    `review`: the cost of a photo that a person looks at.
    """

    wrong_bay: dict[str, float]
    review: float

    @property
    def equal(self) -> bool:
        """Whether a wrong answer costs the same whichever class was answered: then one threshold serves all."""
        return len(set(self.wrong_bay.values())) == 1


def parse(wrong_bay: str, review: float, classes: Sequence[str]) -> Costs | None:
    """The costs that the texts mean: `5`, `bicycle=2,motorcycle=10`, or `5,motorcycle=10` (5 for the other classes).

    None for `none`. ValueError, with a sentence, for a number that is not from 0 to 1,000,000, an unknown class, a
    class that is named twice, or one that has no cost.
    """
    if wrong_bay.strip() == NONE:
        return None
    named: dict[str, float] = {}
    for part in wrong_bay.split(","):
        name, _, number = part.rpartition("=")
        name = name.strip()
        if name and name not in classes:
            raise ValueError(
                f"the cost of a wrong bay, {wrong_bay}: there is no class {name} among {','.join(classes)}"
            )
        if name in named:
            raise ValueError(f"the cost of a wrong bay, {wrong_bay}: {name or 'the cost of other classes'} comes twice")
        named[name] = _cost(number, f"the cost of a wrong bay, {wrong_bay}")
    if missing := [name for name in classes if name not in named and "" not in named]:
        raise ValueError(f"the cost of a wrong bay, {wrong_bay}: there is no cost for {missing[0]}")
    return Costs(
        {name: named[name] if name in named else named[""] for name in classes}, _cost(review, "the cost of a review")
    )


def _cost(text: str | float, what: str) -> float:
    """Return the cost that a text or number stands for; ValueError, which begins with `what`, outside of 0 to MOST."""
    try:
        value = float(text) if str(text).isascii() and "_" not in str(text) else math.nan  # as pipelines/numbers.py
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST:  # true for NaN as well
        raise ValueError(f"{what}: {text} is not a number from 0 to {MOST:,.0f}")
    return value
