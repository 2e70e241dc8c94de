"""The verdict on a version by its answers to labelled photos: right, quick and without an error. Pure."""

# An exception is named for its condition.
# ruff: noqa: N818

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

MAX_PHOTOS = 60
QUANTILE = 0.9
"""The share of the answers that must come within the time limit: one slow answer of the network does not count."""


class NoPhotos(ValueError):
    """There is nothing to verify the version with."""


class WrongAnswer(ValueError):
    """The endpoint answered with an error, with something that is no prediction, or not at all."""


@dataclass(frozen=True)
class Limits:
    """`tolerance` (0 to 1): by how much the accuracy may be below the evaluated one; `milliseconds`: for one answer."""

    tolerance: float
    milliseconds: float


@dataclass(frozen=True)
class Verdict:
    """Whether the version passed, and if not, why.

    `photos` is how many were answered, `accuracy` (0 to 1) that of the answers, `evaluated_accuracy` the one of the
    same photos in the evaluation, and `milliseconds` the QUANTILE of the answers' times.
    """

    passed: bool
    reason: str = ""
    photos: int = 0
    accuracy: float | None = None
    evaluated_accuracy: float | None = None
    milliseconds: float | None = None


def failed(reason: str) -> Verdict:
    """The verdict where no photo was sent."""
    return Verdict(False, reason)


def chosen(photos: Sequence[T]) -> list[T]:
    """At most MAX_PHOTOS of them, evenly spread over the sequence: sorted by class name, each class keeps its share."""
    if len(photos) <= MAX_PHOTOS:
        return list(photos)
    return [photos[at * len(photos) // MAX_PHOTOS] for at in range(MAX_PHOTOS)]


@dataclass
class Tally:
    """The answers so far, against the limits.

    `evaluated` says for each photo that is to be sent whether it was answered correctly in the evaluation; `correct`
    counts the correct answers, and `milliseconds` holds the time of each answer, in order.
    """

    limits: Limits
    evaluated: Sequence[bool]
    correct: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def add(self, correct: bool, milliseconds: float) -> None:
        """Count one answer: whether it was correct, and how long it took."""
        self.correct += correct
        self.milliseconds.append(milliseconds)

    @property
    def timed(self) -> list[float]:
        """The times that count: not that of the first answer, which may include a start."""
        return self.milliseconds[1:] or self.milliseconds

    @property
    def _slow(self) -> int:
        return sum(took > self.limits.milliseconds for took in self.timed)

    @property
    def _expected(self) -> float:
        return sum(self.evaluated) / len(self.evaluated)

    @property
    def hopeless(self) -> bool:
        """Whether the version fails even if all remaining answers are quick and correct."""
        left = len(self.evaluated) - len(self.milliseconds)
        return self._too_many_slow or self._too_few_correct(self.correct + left)

    @property
    def _too_many_slow(self) -> bool:
        return self._slow > (1 - QUANTILE) * max(len(self.evaluated) - 1, 1)

    def _too_few_correct(self, correct: int) -> bool:
        return correct / len(self.evaluated) < self._expected - self.limits.tolerance - 1e-9

    def verdict(self, error: str = "") -> Verdict:
        """The verdict on the answers so far; `error` is the reason of a failure that ended them."""
        sent, total = len(self.milliseconds), len(self.evaluated)
        reason = error
        if not reason and self._too_many_slow:
            reason = (
                f"{self._slow} of {len(self.timed)} answers took longer than {self.limits.milliseconds:g} ms, "
                f"the slowest {max(self.timed):.0f} ms"
            )
        if not reason and self._too_few_correct(self.correct + total - sent):
            reason = (
                f"it answered {self.correct} of {sent} labelled photos right; in evaluation it was "
                f"{sum(self.evaluated)} of {total}, and a loss of {self.limits.tolerance:g} is tolerated"
            )
        return Verdict(
            passed=not reason,
            reason=reason,
            photos=sent,
            accuracy=round(self.correct / sent, 4) if sent else None,
            evaluated_accuracy=round(self._expected, 4),
            milliseconds=round(_quantile(self.timed), 2) if sent else None,
        )


def _quantile(values: Sequence[float]) -> float:
    ranked = sorted(values)
    return ranked[min(int(QUANTILE * len(ranked)), len(ranked) - 1)]
