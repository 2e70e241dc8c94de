"""From a network's logits to its two answers: which class a photo shows, and whether it shows one of them at all.

The network gives a logit for each class and, last, one for "none of them". Ships inside the artifact, under code/.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def softmax(logits: Float32, temperature: float) -> Float32:
    """(n, classes) logits to probabilities at a temperature: above 1 is less sure, below 1 surer."""
    scaled = logits.astype(np.float64) / temperature
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True), np.float32)


def log_odds(logits: Float32) -> Float64:
    """(n,): log-odds that a photo shows one of the classes, from (n, classes + 1) logits."""
    exact = logits.astype(np.float64)
    odds: Float64 = np.logaddexp.reduce(exact[:, :-1], axis=1) - exact[:, -1]
    return odds


def answers(logits: Float32, temperature: float) -> Float32:
    """(n, classes + 1) logits to (n, classes + 1) answers.

    Probabilities of the classes given that it is one of them, at the temperature; and last, from 0 to 1,
    `in_distribution`: the probability that it is one of them.
    """
    inside = 1 / (1 + np.exp(-log_odds(logits).clip(-80, 80)))
    return np.concatenate([softmax(logits[:, :-1], temperature), inside[:, None].astype(np.float32)], axis=1)


@dataclass(frozen=True)
class SecondOpinion:
    """When a large network is asked beside the small one, and how its outputs are combined with the small one's logits.

    It is asked about photos whose confidence or `in_distribution`, by the small network alone, is less than `below`;
    about all of them at 1. `small` and `large` are the factors of their logits of the classes in the sum. A photo asked
    about is taken for one of the classes only where both networks take it for one: their odds against it add up.
    """

    below: float
    small: float
    large: float

    @classmethod
    def of(cls, about: dict[str, Any]) -> SecondOpinion | None:
        """What model.json's content states; None for an artifact of one network."""
        stated = about.get("second_opinion")
        return cls(**{name: float(value) for name, value in stated.items()}) if stated else None

    @property
    def sensitivity(self) -> float:
        """By how much more than the small network's logits the combined ones may change, see `spread`."""
        return max(self.small, 1.0)

    def asked(self, logits: Float32, temperature: float) -> npt.NDArray[np.bool_]:
        """(n,): whether the large network is asked, from the small one's (n, classes + 1) logits."""
        return self._distance(logits, temperature) < 0

    def unsettled(self, logits: Float32, temperature: float, margin: float) -> npt.NDArray[np.bool_]:
        """(n,): whether logits that change by at most `margin` (see `spread`) could alter whether it is asked."""
        return np.abs(self._distance(logits, temperature)) <= margin

    def _distance(self, logits: Float32, temperature: float) -> Float64:
        """(n,): how far above the limit a row is, in units of its logits; negative where the large network is asked."""
        if self.below >= 1:
            return np.full(len(logits), -np.inf)
        limit = logit(self.below)
        distance: Float64 = np.minimum(
            (winning_odds(logits, temperature) - limit) * temperature, log_odds(logits) - limit
        )
        return distance

    def apply(self, logits: Float32, outputs: Float32, temperature: float) -> Float32:
        """(n, classes + 1) logits: combined where the large network is asked, else the small one's as they are."""
        asked = self.asked(logits, temperature)[:, None]
        return np.asarray(np.where(asked, self.combine(logits, outputs), logits), np.float32)

    def combine(self, logits: Float32, outputs: Float32) -> Float32:
        """(n, classes + 1) logits of both, from the small network's and from the large one's `outputs`.

        The latter are (n, classes + 1): logits of the classes, and last the log-odds of being one of them.
        """
        classes = self.small * logits[:, :-1].astype(np.float64) + self.large * outputs[:, :-1].astype(np.float64)
        against = np.logaddexp(-log_odds(logits), -outputs[:, -1].astype(np.float64))
        none_of_them = np.logaddexp.reduce(classes, axis=1) + against
        return np.concatenate([classes, none_of_them[:, None]], axis=1).astype(np.float32)


def winning_odds(logits: Float32, temperature: float) -> Float64:
    """(n,): log-odds of the class that is answered against the others, at the temperature: what `confidence` is of."""
    ordered = np.sort(logits[:, :-1].astype(np.float64), axis=1) / temperature
    odds: Float64 = ordered[:, -1] - np.logaddexp.reduce(ordered[:, :-1], axis=1)
    return odds


def logit(probability: float) -> float:
    """Its log-odds; of 0 and 1 large finite ones."""
    level = min(max(probability, 1e-12), 1 - 1e-12)
    return math.log(level / (1 - level))


@dataclass(frozen=True)
class Rule:
    """When an answer is accepted: its confidence and its `in_distribution` both reach their thresholds.

    `class_thresholds` are those of the confidence by the class that is answered, in the order of the classes; where
    there are none, `threshold` is that of all. `second` says which photos a second network is asked about.
    """

    temperature: float
    threshold: float
    in_distribution_threshold: float
    class_thresholds: tuple[float, ...] = ()
    second: SecondOpinion | None = None

    @classmethod
    def of(cls, about: dict[str, Any]) -> Rule:
        """The rule that model.json's content states."""
        own = about.get("class_thresholds") or {}
        by_class = tuple(float(own[name]) for name in about["classes"]) if own else ()
        names = ("temperature", "threshold", "in_distribution_threshold")
        temperature, threshold, inside = (float(about[name]) for name in names)
        return cls(temperature, threshold, inside, by_class, SecondOpinion.of(about))

    def accepted(self, answers: Float32) -> npt.NDArray[np.bool_]:
        """(n,): which of (n, classes + 1) answers are accepted."""
        limits = np.array(self.class_thresholds or [self.threshold] * (answers.shape[1] - 1), np.float64)
        sure = answers[:, :-1].max(axis=1) >= limits[answers[:, :-1].argmax(axis=1)]
        return np.asarray(sure & (answers[:, -1] >= self.in_distribution_threshold))

    def near(self, logits: Float32, margin: float) -> npt.NDArray[np.bool_]:
        """(n,): whether logits of the small network that change by at most `margin` could alter a decision.

        The decisions are whether the large network is asked; and where it is not, the class, and whether each threshold
        is reached. A change's size is `spread`'s: of the difference between two logits. The log-odds of the winner, and
        of being one of the classes, move by no more.
        """
        ordered = np.sort(logits[:, :-1].astype(np.float64), axis=1) / self.temperature
        lead = ordered[:, -1] - ordered[:, -2]
        odds = winning_odds(logits, self.temperature)
        room = margin / self.temperature
        limits = np.array([logit(one) for one in self.class_thresholds or [self.threshold] * ordered.shape[1]])
        limit = limits[logits[:, :-1].argmax(axis=1)]
        close: npt.NDArray[np.bool_] = (lead <= room) | (np.abs(odds - limit) <= room)
        close |= np.abs(log_odds(logits) - logit(self.in_distribution_threshold)) <= margin
        if self.second is None:
            return close
        asked = self.second.asked(logits, self.temperature)
        return (close & ~asked) | self.second.unsettled(logits, self.temperature, margin)

    def near_combined(self, logits: Float32, margin: float) -> npt.NDArray[np.bool_]:
        """(n,): the same for logits of both networks combined: whether a change of the small one's could matter."""
        if self.second is None:
            raise ValueError("this rule has no second opinion")
        return replace(self, second=None).near(logits, margin * self.second.sensitivity)


def spread(one: Float32, other: Float32) -> Float32:
    """(n,): how much the difference between any two logits of a row may change, from (n, m) to (n, m)."""
    change = one - other
    return np.asarray(change.max(axis=1) - change.min(axis=1))
