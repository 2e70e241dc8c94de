"""What other confidence thresholds would do on recent labelled traffic: cost, accepted share, precision. Pure.

A photo that is accepted and wrong sends a driver to the wrong bay; one that is not accepted costs a person's look. The
cheapest threshold is where their expected cost is least; where a wrong answer's cost depends on the class answered,
each class has its own. Labels do not come at random (see processing.monitor.estimates): accepted answers and the others
are two strata, each weighed by its share of the stream, and corrections are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loadingbay.errors import WorkError
from loadingbay.registry.cost_curve import ACCEPT_NOTHING, costs_at
from loadingbay.registry.uncertainty import wilson
from pipelines.costs import Costs

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Interval = tuple[float, float]

RESAMPLES = 200  # of the bootstrap
ALL = "all"
_SHOWN = 200  # points of a curve


@dataclass(frozen=True)
class Answer:
    """A labelled answer. `unknown`: the photo was refused as showing nothing known, whatever the confidence."""

    answer: str
    truth: str
    confidence: float
    accepted: bool
    unknown: bool = False


@dataclass(frozen=True)
class Traffic:
    """Labelled answers of the version in service, its thresholds by class, and the share accepted of the whole stream.

    `version` is its number, None where it is not known. `corrections` is how many more answers have a label that came
    because they were wrong: these are not among `answers`. `newer` says that labels have come since these were read.
    """

    answers: Sequence[Answer]
    thresholds: Mapping[str, float]
    share_accepted: float
    version: int | None = None
    corrections: int = 0
    newer: bool = False

    @property
    def threshold(self) -> float:
        """The highest threshold: the one of all classes, unless they differ."""
        return max(self.thresholds.values())


@dataclass(frozen=True)
class Point:
    """What thresholds (by class) give: cost of a thousand photos, share accepted, share right of those accepted.

    Each with its 95 % interval; `precision` is None where nothing is accepted. `saving` is by how much a thousand
    photos are cheaper than with the thresholds in service, and its interval.
    """

    thresholds: Mapping[str, float]
    cost: float
    cost_interval: Interval
    accepted: float
    accepted_interval: Interval
    precision: float | None
    precision_interval: Interval | None
    saving: float
    saving_interval: Interval

    @property
    def threshold(self) -> float:
        """The highest threshold: the one of all classes, unless they differ."""
        return max(self.thresholds.values())


@dataclass(frozen=True)
class Curve:
    """Costs against the threshold of the answers that it judges: those of one class, or `ALL`.

    `interval` is the 95 % bootstrap interval of the cheapest threshold; `points` are (threshold, cost of a thousand
    photos, of which these answers are a part).
    """

    answers: str
    today: float
    best: float
    interval: Interval
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Comparison:
    """The thresholds in service, the cheapest ones, and others that were asked for, on so many `labels`."""

    today: Point
    best: Point
    others: tuple[Point, ...]
    curves: tuple[Curve, ...]
    labels: int


def compare(traffic: Traffic, costs: Costs, others: Sequence[Mapping[str, float]] = (), seed: int = 0) -> Comparison:
    """Compares thresholds on labelled answers; `others` are thresholds by class.

    Raises WorkError when there is no label of an accepted answer, or none of the others though there are such.
    """
    table = _Table(traffic, costs)
    rng = np.random.default_rng(seed)
    resamples = [table.resampled(rng) for _ in range(RESAMPLES)]
    curves = tuple(_curve(name, rows, table, resamples) for name, rows in table.groups())
    cheapest = {curve.answers: curve.best for curve in curves}
    best = {name: cheapest.get(name, cheapest.get(ALL, at)) for name, at in traffic.thresholds.items()}
    points = [table.point(rule, resamples) for rule in (traffic.thresholds, best, *others)]
    return Comparison(points[0], points[1], tuple(points[2:]), curves, len(traffic.answers))


class _Table:
    """Labelled answers as columns: what each costs if acted upon, and what share of the stream it stands for."""

    def __init__(self, traffic: Traffic, costs: Costs) -> None:
        answers = traffic.answers
        self.review, self.today, self._equal = costs.review, traffic.thresholds, costs.equal
        self.named = np.array([one.answer for one in answers])
        # What shows nothing known goes to a person at any threshold: as if it were never sure enough.
        self.confidence = np.array([-1.0 if one.unknown else one.confidence for one in answers], np.float64)
        self.right = np.array([one.answer == one.truth for one in answers], bool)
        self.losses = np.where(self.right, 0.0, [costs.wrong_bay[one.answer] for one in answers])
        self._taken = np.array([one.accepted for one in answers], bool)
        share = traffic.share_accepted
        self._strata = [(self._taken, share, "accepted"), (~self._taken, 1 - share, "not accepted")]
        self.weights = np.zeros(len(answers))
        for rows, of, name in self._strata:
            if of > 0 and not rows.any():
                raise WorkError(f"no answer that was {name} has a label: `loadingbay review` gives them labels")
            self.weights[rows] = of / max(1, rows.sum())

    def groups(self) -> Iterator[tuple[str, Bools]]:
        """The answers that are judged by one threshold, by its class, or ALL, where one is to serve all classes."""
        if self._equal and len(set(self.today.values())) == 1:
            yield ALL, np.ones(len(self.named), bool)
            return
        for name in self.today:
            if (self.named == name).any():
                yield name, self.named == name

    def resampled(self, rng: np.random.Generator) -> Floats:
        """The weights in a bootstrap sample of each stratum: rows that are drawn twice count twice."""
        drawn = np.zeros(len(self.weights))
        for rows, _, _ in self._strata:
            places = np.flatnonzero(rows)
            if len(places):
                drawn += np.bincount(rng.choice(places, len(places)), minlength=len(drawn))
        return self.weights * drawn

    def point(self, rule: Mapping[str, float], resamples: Sequence[Floats]) -> Point:
        """What the thresholds `rule`, by class, give."""
        taken, before = self._accepted(rule), self._accepted(self.today)
        each = 1000 * np.where(taken, self.losses, self.review)
        each_before = 1000 * np.where(before, self.losses, self.review)
        drawn = [(float(weights @ each), float(weights @ (each_before - each))) for weights in resamples]
        accepted = float(self.weights[taken].sum())
        right = float(self.weights[taken & self.right].sum())
        precision = right / accepted if accepted > 0 else None
        return Point(
            thresholds=dict(rule),
            cost=float(self.weights @ each),
            cost_interval=_interval([cost for cost, _ in drawn]),
            accepted=accepted,
            accepted_interval=self._share(taken, rule),
            precision=precision,
            # The labels that count here do not weigh the same: so many equal ones would be as certain (Kish, 1965).
            precision_interval=None
            if precision is None
            else wilson(precision, accepted**2 / float((self.weights[taken] ** 2).sum())),
            saving=float(self.weights @ (each_before - each)),
            saving_interval=_interval([saved for _, saved in drawn]),
        )

    def _accepted(self, rule: Mapping[str, float]) -> Bools:
        return self.confidence >= np.array([rule[name] for name in self.named])

    def _share(self, taken: Bools, rule: Mapping[str, float]) -> Interval:
        """The interval of the share accepted: each stratum's is Wilson's, combined as Zou and Donner (2008) do.

        What was accepted stays so where no threshold is raised, and what was not where none is lowered: there the
        share is that of the stream, without doubt.
        """
        value, below, above = 0.0, 0.0, 0.0
        raised = any(rule[name] > at for name, at in self.today.items())
        lowered = any(rule[name] < at for name, at in self.today.items())
        for (rows, share, _), moved in zip(self._strata, (raised, lowered), strict=True):
            if share > 0:
                part = float(taken[rows].mean())
                low, high = wilson(part, int(rows.sum())) if moved else (part, part)
                value += share * part
                below += (share * (part - low)) ** 2
                above += (share * (high - part)) ** 2
        return max(0.0, value - below**0.5), min(1.0, value + above**0.5)


def _curve(name: str, rows: Bools, table: _Table, resamples: Sequence[Floats]) -> Curve:
    """The costs of the answers `rows` at each threshold, the cheapest one, and its bootstrap interval."""
    confidence, losses = table.confidence[rows], table.losses[rows]
    today = max(table.today.values()) if name == ALL else table.today[name]
    candidates = np.unique([*confidence[confidence >= 0], today, ACCEPT_NOTHING])

    def at(weights: Floats) -> Floats:
        return 1000 * costs_at(confidence, losses, table.review, weights[rows], candidates)

    costs = at(table.weights)
    found = [float(candidates[int(np.argmin(at(weights)))]) for weights in resamples]
    best = int(np.argmin(costs))
    shown = np.unique([*np.linspace(0, len(candidates) - 1, min(len(candidates), _SHOWN)).round().astype(int), best])
    points = tuple(zip(candidates[shown].tolist(), costs[shown].tolist(), strict=True))
    return Curve(name, today, float(candidates[best]), _interval(found), points)


def _interval(drawn: Sequence[float]) -> Interval:
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
