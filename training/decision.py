"""From a network's logits to its two answers: which class a photo shows, and whether it shows one of them at all.

The network gives a logit for each class and, last, one for "none of them". Ships inside the artifact, under code/.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
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


def _logit(probability: float) -> float:
    level = min(max(probability, 1e-12), 1 - 1e-12)
    return math.log(level / (1 - level))


@dataclass(frozen=True)
class Rule:
    """When an answer is accepted: its confidence and its `in_distribution` both reach their thresholds.

    `class_thresholds` are those of the confidence by the class that is answered, in the order of the classes; where
    there are none, `threshold` is that of all.
    """

    temperature: float
    threshold: float
    in_distribution_threshold: float
    class_thresholds: tuple[float, ...] = ()

    @classmethod
    def of(cls, about: dict[str, Any]) -> Rule:
        """The rule that model.json's content states."""
        own = about.get("class_thresholds") or {}
        by_class = tuple(float(own[name]) for name in about["classes"]) if own else ()
        names = ("temperature", "threshold", "in_distribution_threshold")
        temperature, threshold, inside = (float(about[name]) for name in names)
        return cls(temperature, threshold, inside, by_class)

    def near(self, logits: Float32, margin: float) -> npt.NDArray[np.bool_]:
        """(n,): whether logits that change by at most `margin` could alter a decision.

        The decisions are the class, and whether each threshold is reached. A change's size is `spread`'s: of the
        difference between two logits. The log-odds of the winner, and of being one of the classes, move by no more.
        """
        ordered = np.sort(logits[:, :-1].astype(np.float64), axis=1) / self.temperature
        lead = ordered[:, -1] - ordered[:, -2]
        odds = ordered[:, -1] - np.logaddexp.reduce(ordered[:, :-1], axis=1)
        room = margin / self.temperature
        limits = np.array([_logit(one) for one in self.class_thresholds or [self.threshold] * ordered.shape[1]])
        limit = limits[logits[:, :-1].argmax(axis=1)]
        close: npt.NDArray[np.bool_] = (lead <= room) | (np.abs(odds - limit) <= room)
        return close | (np.abs(log_odds(logits) - _logit(self.in_distribution_threshold)) <= margin)


def spread(one: Float32, other: Float32) -> Float32:
    """(n,): how much the difference between any two logits of a row may change, from (n, m) to (n, m)."""
    change = one - other
    return np.asarray(change.max(axis=1) - change.min(axis=1))
