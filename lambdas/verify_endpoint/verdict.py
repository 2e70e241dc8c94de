"""Whether a version may serve, by its answers to labelled photos: right, quick and without an error. Pure."""

# An exception is named for its condition.
# ruff: noqa: N818

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

MOST_PHOTOS = 60
QUANTILE = 0.9  # of the answers must come within the limit: one hiccup of the network is no slow version


class NoPhotos(ValueError):
    """There is nothing to verify the version with."""


class WrongAnswer(ValueError):
    """The endpoint answered with an error, with something that is no prediction, or not at all."""


@dataclass(frozen=True)
class Limits:
    """`tolerance`: how much lower than evaluated the accuracy may be (0 to 1); `milliseconds`: for one photo."""

    tolerance: float
    milliseconds: float


@dataclass(frozen=True)
class Verdict:
    """Whether the version passed, and if not, why; `accuracy` is that of the answers, `milliseconds` their quantile."""

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
    """At most MOST_PHOTOS of them, evenly spread: they are sorted by name, so every class keeps its share."""
    if len(photos) <= MOST_PHOTOS:
        return list(photos)
    return [photos[at * len(photos) // MOST_PHOTOS] for at in range(MOST_PHOTOS)]


@dataclass
class Bench:
    """The answers so far. `evaluated`, whether each photo was answered rightly in evaluation, is the whole number."""

    limits: Limits
    evaluated: Sequence[bool]
    right: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def add(self, right: bool, milliseconds: float) -> None:
        """One more answer."""
        self.right += right
        self.milliseconds.append(milliseconds)

    @property
    def timed(self) -> list[float]:
        """The times that count: the first answer may have had to wake something."""
        return self.milliseconds[1:] or self.milliseconds

    @property
    def _slow(self) -> int:
        return sum(took > self.limits.milliseconds for took in self.timed)

    @property
    def _expected(self) -> float:
        return sum(self.evaluated) / len(self.evaluated)

    @property
    def hopeless(self) -> bool:
        """Whether even quick and right answers to all that is left would not pass."""
        left = len(self.evaluated) - len(self.milliseconds)
        return self._too_many_slow or self._too_few_right(self.right + left)

    @property
    def _too_many_slow(self) -> bool:
        return self._slow > (1 - QUANTILE) * max(len(self.evaluated) - 1, 1)

    def _too_few_right(self, right: int) -> bool:
        return right / len(self.evaluated) < self._expected - self.limits.tolerance - 1e-9

    def verdict(self, error: str = "") -> Verdict:
        """What the answers so far come to."""
        sent, whole = len(self.milliseconds), len(self.evaluated)
        reason = error
        if not reason and self._too_many_slow:
            reason = (
                f"{self._slow} of {len(self.timed)} answers took longer than {self.limits.milliseconds:g} ms, "
                f"the slowest {max(self.timed):.0f} ms"
            )
        if not reason and self._too_few_right(self.right + whole - sent):
            reason = (
                f"it answered {self.right} of {sent} labelled photos right; in evaluation it was "
                f"{sum(self.evaluated)} of {whole}, and a loss of {self.limits.tolerance:g} is tolerated"
            )
        return Verdict(
            passed=not reason,
            reason=reason,
            photos=sent,
            accuracy=round(self.right / sent, 4) if sent else None,
            evaluated_accuracy=round(self._expected, 4),
            milliseconds=round(_quantile(self.timed), 2) if sent else None,
        )


def _quantile(values: Sequence[float]) -> float:
    ranked = sorted(values)
    return ranked[min(int(QUANTILE * len(ranked)), len(ranked) - 1)]
