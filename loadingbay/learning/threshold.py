"""What another confidence threshold would cost, on recent labelled traffic. Pure, but for `read`.

A photo that is accepted and wrong sends a driver to the wrong bay; one that is not accepted costs a person's look. The
threshold is where their expected cost is least. Labels do not come at random (see processing.monitor.estimates), so
accepted answers and the others are weighed by their shares of the stream; corrections are left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loadingbay.errors import WorkError
from loadingbay.target import Target
from pipelines import aws

Floats = npt.NDArray[np.float64]

RESAMPLES = 200  # of the bootstrap
_CORRECTION = "correction"


@dataclass(frozen=True)
class Costs:
    """What mistakes cost, in any unit: a photo that a person looks at, and one sent to the wrong bay by its answer.

    `wrong_bay` by the class that was answered; others cost `wrong_bay_otherwise`.
    """

    review: float
    wrong_bay_otherwise: float
    wrong_bay: Mapping[str, float]

    def of(self, answer: str) -> float:
        """The cost of acting upon this answer when it is wrong."""
        return self.wrong_bay.get(answer, self.wrong_bay_otherwise)


@dataclass(frozen=True)
class Answer:
    """A labelled answer. `unknown`: the photo was refused as showing nothing known, whatever the confidence."""

    answer: str
    truth: str
    confidence: float
    accepted: bool
    unknown: bool = False


@dataclass(frozen=True)
class Point:
    """What a threshold gives: cost of a thousand photos, share accepted, and share right of those accepted.

    `precision` is None where nothing is accepted.
    """

    threshold: float
    cost: float
    accepted: float
    precision: float | None


@dataclass(frozen=True)
class Comparison:
    """The threshold in service, the cheapest with its 95 % bootstrap interval, and points between; `labels` used."""

    today: Point
    best: Point
    interval: tuple[float, float]
    points: tuple[Point, ...]
    labels: int


def compare(answers: Sequence[Answer], today: float, share_accepted: float, costs: Costs, seed: int = 0) -> Comparison:
    """Compares thresholds on labelled answers. `share_accepted` is that of the whole stream at the threshold `today`.

    Raises WorkError when there is no label of an accepted answer, or none of the others though there are such.
    """
    taken = np.array([one.accepted for one in answers], bool)
    shares = ((taken, share_accepted, "accepted"), (~taken, 1 - share_accepted, "not accepted"))
    weights = np.zeros(len(answers))
    for rows, share, name in shares:
        if share > 0 and not rows.any():
            raise WorkError(f"no answer that was {name} has a label: `loadingbay review` gives them labels")
        weights[rows] = share / max(1, rows.sum())
    table = _Table(answers, weights, costs)
    candidates = np.unique(np.concatenate([table.confidence, [today]]))
    curve = table.costs(candidates)
    best = float(candidates[int(np.argmin(curve))])
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([rng.choice(np.flatnonzero(of), int(of.sum())) for of, _, _ in shares if of.any()])
        found.append(float(candidates[int(np.argmin(table.rows(rows).costs(candidates)))]))
    low, high = np.percentile(found, [2.5, 97.5])
    shown = candidates[np.unique(np.linspace(0, len(candidates) - 1, min(len(candidates), 200)).round().astype(int))]
    return Comparison(
        table.point(today), table.point(best), (float(low), float(high)), tuple(map(table.point, shown)), len(answers)
    )


class _Table:
    """Labelled answers as columns, with what each costs when it is acted upon."""

    def __init__(self, answers: Sequence[Answer], weights: Floats, costs: Costs) -> None:
        self._review = costs.review
        self._weights = weights
        # What shows nothing known goes to a person at any threshold: as if it were never sure enough.
        self.confidence = np.array([-1.0 if one.unknown else one.confidence for one in answers], np.float64)
        self._wrong = np.array([one.answer != one.truth for one in answers], bool)
        self._cost = np.array([costs.of(one.answer) for one in answers], np.float64) * self._wrong

    def rows(self, rows: npt.NDArray[np.int64]) -> _Table:
        """The table of these rows, which may repeat."""
        made = object.__new__(_Table)
        made._review, made._weights = self._review, self._weights[rows]
        made.confidence, made._wrong, made._cost = self.confidence[rows], self._wrong[rows], self._cost[rows]
        return made

    def costs(self, thresholds: Floats) -> Floats:
        """(k,) thresholds to (k,) costs of a thousand photos."""
        order = np.argsort(self.confidence, kind="stable")
        below = np.concatenate([[0.0], np.cumsum(self._weights[order])])
        wrong = np.concatenate([[0.0], np.cumsum((self._weights * self._cost)[order])])
        at = np.searchsorted(self.confidence[order], thresholds, side="left")
        return np.asarray(1000 * (self._review * below[at] + wrong[-1] - wrong[at]), np.float64)

    def point(self, threshold: float) -> Point:
        """Return cost, share accepted and precision at this threshold."""
        taken = self.confidence >= threshold
        accepted = float(self._weights[taken].sum())
        right = float(self._weights[taken & ~self._wrong].sum())
        cost = float(self.costs(np.array([threshold]))[0])
        return Point(float(threshold), cost, accepted, right / accepted if accepted > 0 else None)


def read(target: Target, bucket: str) -> tuple[list[Answer], float, float]:
    """The labelled answers that monitoring collected, the threshold in service, and the share accepted with it.

    Raises WorkError when monitoring has not run, or no label has been given.
    """
    s3 = target.client("s3")

    def document(key: str) -> Any:
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    if not aws.exists(s3, bucket, "monitoring/periods.json"):
        raise WorkError("the monitoring pipeline has not seen any answer yet: its schedule starts it")
    latest = document("monitoring/periods.json")["periods"][-1]
    keys = [item["Key"] for item in aws.objects(s3, bucket, "labelled/entries/")]
    with ThreadPoolExecutor(16) as pool:
        entries = list(pool.map(document, keys))
    today = float(latest["threshold"])
    answers = [
        Answer(
            str(entry["answer"]),
            str(entry["truth"]),
            float(entry["confidence"]),
            bool(entry["accepted"]),
            unknown=not entry["accepted"] and float(entry["confidence"]) >= today,
        )
        for entry in entries
        if entry["source"] != _CORRECTION
    ]
    if not answers:
        raise WorkError("no photo that was answered has a label yet: `loadingbay review` and `label` give them")
    return answers, today, float(latest["share_above"])
