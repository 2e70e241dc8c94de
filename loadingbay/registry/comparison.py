"""Compares evaluations of versions: figures with intervals, and whether a difference is more than noise. Pure.

Two versions that were evaluated on the same test photos are compared photo by photo: accuracy with McNemar's exact
test, calibration and risk by resampling both alike. All else is compared by an interval of the difference that is made
of the intervals of both (Newcombe 1998, method 10). Figures without an interval get no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from loadingbay.registry import uncertainty

Verdict = Literal["more than noise", "within noise", ""]
_LEVEL = 0.05


@dataclass(frozen=True)
class Figure:
    """A figure of an evaluation: where it lies there, what it is called, and which direction is the better one."""

    name: str
    path: tuple[str, str]
    better: Literal["higher", "lower", ""]
    share: bool = True


FIGURES = (
    Figure("test accuracy", ("gate", "accuracy"), "higher"),
    Figure("coverage: share that is answered", ("gate", "coverage"), "higher"),
    Figure("accepted precision: share of those that is right", ("gate", "accepted_precision"), "higher"),
    Figure("photos of other things that are accepted", ("gate", "out_of_distribution_accepted"), "lower"),
    Figure("other things told apart (AUROC)", ("gate", "out_of_distribution_auroc"), "higher", share=False),
    Figure("calibration error (ECE)", ("calibration", "ece"), "lower", share=False),
    Figure("negative log-likelihood, nats", ("calibration", "nll"), "lower", share=False),
    Figure("area under risk and coverage", ("risk_coverage", "aurc"), "lower", share=False),
)


@dataclass(frozen=True)
class Value:
    """One version's figure with its 95 % interval, None where there is none, and the verdict against the first one."""

    value: float | None
    interval: tuple[float, float] | None
    verdict: Verdict = ""
    why: str = ""


@dataclass(frozen=True)
class Row:
    """A figure of all versions, in their order."""

    figure: Figure
    values: tuple[Value, ...]


def rows(evaluations: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The figures that at least one evaluation has; the first evaluation is what the others are compared with."""
    table = []
    for figure in FIGURES:
        first = _value(evaluations[0], figure)
        others = [_judged(evaluations[0], other, figure) for other in evaluations[1:]]
        if any(one.value is not None for one in (first, *others)):
            table.append(Row(figure, (first, *others)))
    return table


def same_test(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both were evaluated on the same test photos, in the same order, with all answers kept."""
    about = [(e.get("metadata", {}).get("data_sha256"), e.get("metadata", {}).get("classes")) for e in (one, other)]
    kept = [len(e.get("correct", ())) for e in (one, other)]
    counts = [e.get("test", {}).get("count") for e in (one, other)]
    return bool(about[0][0]) and about[0] == about[1] and kept[0] == kept[1] == counts[0] == counts[1]


def mcnemar(won: int, lost: int) -> float:
    """McNemar's exact two-sided p-value: of the photos that only one version had right, it `won` and `lost` so many."""
    tried = won + lost
    tail = sum(math.comb(tried, k) for k in range(min(won, lost) + 1))
    return min(1.0, float(Fraction(2 * tail, 1 << tried)))


def difference(
    one: float, first: tuple[float, float], other: float, second: tuple[float, float]
) -> tuple[float, float]:
    """Newcombe's 95 % interval of `other - one`, from the Wilson intervals of both."""
    change = other - one
    down = math.hypot(other - second[0], first[1] - one)
    up = math.hypot(second[1] - other, one - first[0])
    return change - down, change + up


def _judged(first: Mapping[str, Any], other: Mapping[str, Any], figure: Figure) -> Value:
    """Return the other version's figure with the verdict whether it differs from the first one's by more than noise."""
    before, now = _value(first, figure), _value(other, figure)
    if before.value is None or now.value is None:
        return now
    if figure.path == ("gate", "accuracy") and same_test(first, other):
        pairs = list(zip(first["correct"], other["correct"], strict=True))
        won, lost = sum(b and not a for a, b in pairs), sum(a and not b for a, b in pairs)
        p = mcnemar(won, lost)
        verdict: Verdict = "more than noise" if p < _LEVEL else "within noise"
        return Value(now.value, now.interval, verdict, f"same photos: {won} won, {lost} lost, McNemar p = {p:.2g}")
    apart = uncertainty.of_difference(first, other, figure.path) if same_test(first, other) else None
    if apart is None and before.interval and now.interval:
        apart = difference(before.value, before.interval, now.value, now.interval)
    if apart is None:
        return now
    low, high = apart
    verdict = "within noise" if low <= 0 <= high else "more than noise"
    said = f"{100 * low:+.1f} to {100 * high:+.1f} points" if figure.share else f"{low:+.4f} to {high:+.4f}"
    return Value(now.value, now.interval, verdict, f"difference {said}")


def _value(evaluation: Mapping[str, Any], figure: Figure) -> Value:
    """Read a figure with its interval: the one that Evaluate wrote, else one worked out from the kept answers."""
    group, name = figure.path
    value = evaluation.get(group, {}).get(name)
    kept = evaluation.get("confidence_intervals", {}).get(name) if group == "gate" else None
    number = float(value) if isinstance(value, int | float) and math.isfinite(value) else None
    interval = (float(kept[0]), float(kept[1])) if kept else uncertainty.interval(evaluation, figure.path)
    return Value(number, interval)
