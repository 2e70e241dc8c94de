"""Temperature and threshold from out-of-fold predictions, and the figures that describe a classifier that may decline.

All functions are pure. `probabilities` are (n, classes), `labels` (n,) class indices, `confidence` is the largest
probability of a row, and a prediction is accepted when its confidence is at least the threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import metrics
import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import beta

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

# The temperature is searched in this range; beyond it a network is broken rather than badly calibrated.
TEMPERATURES = (0.05, 20.0)
RESAMPLES = 200  # of the bootstrap


def nll_at(logits: Floats, labels: Ints, temperature: float) -> float:
    """Mean negative log-likelihood (nats) of the labels under softmax(logits / temperature)."""
    logs = log_softmax(np.asarray(logits, np.float64) / temperature, axis=1)
    return float(-logs[np.arange(len(labels)), labels].mean())


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """The temperature with the least negative log-likelihood (Guo et al., 2017), within TEMPERATURES."""
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not finite")
    low, high = (math.log(value) for value in TEMPERATURES)
    found = minimize_scalar(
        lambda log_t: nll_at(logits, labels, math.exp(log_t)),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(math.exp(found.x))


def precision_lower_bounds(right: Ints, accepted: Ints, level: float) -> Floats:
    """Clopper-Pearson lower bounds, element by element: with `level` certainty the true precision is at least this.

    `right` of `accepted` answers were right; with none right the bound is 0.0.
    """
    if (right < 0).any() or (right > accepted).any():
        raise ValueError("more answers are right than were accepted, or fewer than none")
    bounds = beta.ppf(1 - level, np.maximum(right, 1), accepted - right + 1)
    return np.where(right > 0, bounds, 0.0)


@dataclass(frozen=True)
class Threshold:
    """A decision rule, and what it did on the predictions that it was fitted on."""

    value: float
    coverage: float
    accepted_precision: float
    lower_bound: float
    target_met: bool


def fit_threshold(confidence: Floats, right: npt.NDArray[np.bool_], target: float, level: float) -> Threshold:
    """The lowest threshold whose accepted precision is at least `target` by the lower bound at `level`.

    Predictions of equal confidence are accepted or declined together. Where no threshold qualifies (too few
    predictions, or too many errors among the surest), the one with the best lower bound is returned, with
    `target_met` False, for the caller to say so.
    """
    if len(confidence) == 0 or len(confidence) != len(right):
        raise ValueError(f"{len(confidence)} confidences and {len(right)} outcomes do not make a threshold")
    order = np.argsort(-np.asarray(confidence, np.float64), kind="stable")
    sorted_confidence = np.asarray(confidence, np.float64)[order]
    hits = np.cumsum(np.asarray(right, bool)[order])
    # Only the last of a run of equals is a place to cut.
    cuts = np.flatnonzero(np.append(sorted_confidence[:-1] > sorted_confidence[1:], True))
    bounds = precision_lower_bounds(hits[cuts], cuts + 1, level)
    qualified = np.flatnonzero(bounds >= target)
    chosen = int(qualified[-1]) if len(qualified) else int(bounds.argmax())
    cut = int(cuts[chosen])
    return Threshold(
        value=float(sorted_confidence[cut]),
        coverage=(cut + 1) / len(confidence),
        accepted_precision=float(hits[cut]) / (cut + 1),
        lower_bound=float(bounds[chosen]),
        target_met=bool(len(qualified)),
    )


@dataclass(frozen=True)
class Cheapest:
    """The threshold of least expected cost with its 95 % bootstrap interval, and what a thousand photos cost there."""

    value: float
    interval: tuple[float, float]
    cost: float


def fit_cost_threshold(confidence: Floats, losses: Floats, review: float, seed: int = 0) -> Cheapest:
    """The threshold at which the photos cost least; the lowest of several.

    `losses` (n,) is what each answer costs when it is acted upon: 0 where it is right. `review` is the cost of an
    answer that is not acted upon. To accept nothing is among the choices (metrics.ACCEPT_NOTHING). The interval is that
    of the cheapest thresholds of RESAMPLES bootstrap samples of the photos.
    """
    if len(confidence) == 0 or len(confidence) != len(losses):
        raise ValueError(f"{len(confidence)} confidences and {len(losses)} losses do not make a threshold")
    thresholds, costs = metrics.cost_curve(confidence, losses, review)
    best = int(costs.argmin())
    rng, found = np.random.default_rng(seed), []
    for _ in range(RESAMPLES):
        counts = np.bincount(rng.integers(0, len(confidence), len(confidence)), minlength=len(confidence))
        _, resampled = metrics.cost_curve(confidence, losses, review, counts)
        found.append(thresholds[int(resampled.argmin())])
    low, high = np.percentile(found, [2.5, 97.5])
    return Cheapest(float(thresholds[best]), (float(low), float(high)), float(costs[best]))


def cheapest_unseen(loss: float, review: float) -> float:
    """The cheapest threshold by the confidence alone, for a class that no answer named: 1 - review / loss.

    A calibrated answer is wrong with probability 1 - confidence, so that acting upon it costs `loss` times that.
    """
    return min(max(1 - review / loss, 0.0), 1.0) if loss > 0 else 0.0


def keeping(scores: Floats, share: float) -> float:
    """The highest threshold that at least `share` of the scores reach."""
    if len(scores) == 0:
        raise ValueError("no scores make no threshold")
    ordered = np.sort(np.asarray(scores, np.float64))
    return float(ordered[math.floor((1 - share) * len(ordered) + 1e-9)])
