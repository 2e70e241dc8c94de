"""Estimates for the whole stream from the answers whose label is known, with intervals.

Labels do not come at random: people see all photos that the model was not sure of, and a small sample of the others.
Accepted answers and those that were not accepted are therefore two strata; each is estimated by its own labels and
counts by its share of all answers (Cochran, Sampling Techniques, 1977, chapter 5). Corrections, which come because an
answer was wrong, say nothing about how often answers are wrong and are left out.

The intervals are 95 % intervals: each stratum's is Wilson's, and they are combined by the method of variance estimates
recovery (Zou and Donner, Statistics in Medicine 27, 2008).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, TypedDict

import pandas as pd
from scipy.stats import binomtest

from processing.monitor.labels import NEITHER

CORRECTION = "correction"


class Estimate(TypedDict):
    """A share of the whole stream: its value, its 95 % interval, and how many labels it is made of."""

    value: float
    low: float
    high: float
    labelled: int


class Stratum(NamedTuple):
    """Part of the stream: its weight, how many labels of it are known, and how many of these have the property."""

    weight: float
    labelled: int
    having: int


def estimates(answers: pd.DataFrame) -> dict[str, Estimate | None]:
    """`accuracy`, `accepted_precision` and `neither_share` of a table of answers with `truth`, `wrong` and `source`.

    None where a part of the stream has no label: nothing is known of it then.
    """
    usable = answers[answers["truth"].notna() & (answers["source"] != CORRECTION)]
    right, neither = ~usable["wrong"].astype(bool), usable["truth"] == NEITHER
    accepted, taken = answers["accepted"].astype(bool), usable["accepted"].astype(bool)

    def strata(having: pd.Series) -> list[Stratum]:
        return [
            Stratum(float((accepted == kind).mean()), int((taken == kind).sum()), int(having[taken == kind].sum()))
            for kind in (True, False)
        ]

    precise = Stratum(1.0, int(taken.sum()), int(right[taken].sum()))
    return {
        "accuracy": combine(strata(right)),
        "accepted_precision": combine([precise]),
        "neither_share": combine(strata(neither)),
    }


def combine(strata: Iterable[Stratum]) -> Estimate | None:
    """The share of the whole that has the property; None when a part of it has no label."""
    parts = [one for one in strata if one.weight > 0]
    if not parts or any(one.labelled == 0 for one in parts):
        return None
    value, below, above = 0.0, 0.0, 0.0
    for weight, labelled, having in parts:
        share = having / labelled
        interval = binomtest(having, labelled).proportion_ci(0.95, method="wilson")
        value += weight * share
        below += (weight * (share - interval.low)) ** 2
        above += (weight * (interval.high - share)) ** 2
    return Estimate(
        value=value,
        low=max(0.0, value - math.sqrt(below)),
        high=min(1.0, value + math.sqrt(above)),
        labelled=sum(one.labelled for one in parts),
    )
