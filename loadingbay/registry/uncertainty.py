"""95 % intervals of an evaluation's figures that evaluation.json has none for. Pure.

- calibration error, area under risk and coverage, negative log-likelihood: basic bootstrap over the test photos, whose
  answers are kept one by one (Davison and Hinkley 1997, 5.2);
- share of other things that is accepted: Wilson's interval;
- area under the ROC curve: Hanley and McNeil's standard error (1982).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]
Path = tuple[str, str]

_RESAMPLES = 200
_BINS = 10  # of the calibration error
_Z = 1.959964
ECE, NLL, AURC = ("calibration", "ece"), ("calibration", "nll"), ("risk_coverage", "aurc")
RESAMPLED: tuple[Path, ...] = (ECE, NLL, AURC)
"""The figures that `resampled` can give, by their place in evaluation.json."""


def interval(evaluation: Mapping[str, Any], path: Path) -> Interval | None:
    """The interval of a figure; None where the evaluation does not hold what it is made of."""
    value = _value(evaluation, path)
    if value is None:
        return None
    if path in RESAMPLED:
        drawn = resampled(evaluation, path)
        return None if drawn is None else basic(value, drawn, lowest=0.0)
    others = _count_of_others(evaluation)
    if path == ("gate", "out_of_distribution_accepted") and others:
        return wilson(value, others)
    if path == ("gate", "out_of_distribution_auroc") and others and (known := _count(evaluation)):
        return hanley_mcneil(value, known, others)
    return None


def of_difference(one: Mapping[str, Any], other: Mapping[str, Any], path: Path) -> Interval | None:
    """The interval of `other - one` where both answered the same photos: both are resampled alike.

    None for a figure that is not among `RESAMPLED`, or when not all answers are kept.
    """
    if path not in RESAMPLED:
        return None
    before, now = _value(one, path), _value(other, path)
    first, second = resampled(one, path), resampled(other, path)
    if before is None or now is None or first is None or second is None:
        return None
    return basic(now - before, second - first)


def resampled(evaluation: Mapping[str, Any], path: Path) -> Floats | None:
    """A figure of `RESAMPLED` on resampled test photos, (resamples,); of as many photos always the same ones are drawn.

    None where not all answers are kept, and for the likelihood of more than two classes: only the surest is kept.
    """
    confidence = np.asarray(evaluation.get("confidences", ()), np.float64)
    right = np.asarray(evaluation.get("correct", ()), bool)
    if not len(confidence) or not len(confidence) == len(right) == _count(evaluation):
        return None
    weights = _weights(len(right))
    if path == ECE:
        return _calibration_error(weights, confidence, right)
    if path == AURC:
        return _area(weights, confidence, right)
    classes = str(evaluation.get("metadata", {}).get("classes", "")).split()
    if len(classes) != 2:
        return None
    of_truth = np.clip(np.where(right, confidence, 1 - confidence), 1e-6, 1)  # confidences are kept to six digits
    return np.asarray(weights @ -np.log(of_truth) / len(right), np.float64)


def basic(value: float, drawn: Floats, lowest: float = -math.inf) -> Interval:
    """The basic bootstrap interval: the quantiles of what was drawn, reflected at the value."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return max(lowest, float(2 * value - high)), max(lowest, float(2 * value - low))


def wilson(share: float, count: float) -> Interval:
    """Wilson's interval (1927) of a share of `count`, which may be an effective one."""
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def hanley_mcneil(area: float, positives: int, negatives: int) -> Interval:
    """The interval of an area under the ROC curve of so many cases of each kind."""
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positives - 1) * (one - area**2) + (negatives - 1) * (two - area**2)
    half = _Z * math.sqrt(max(0.0, spread) / (positives * negatives))
    return max(0.0, area - half), min(1.0, area + half)


@lru_cache(maxsize=8)
def _weights(count: int) -> Floats:
    """How often each photo is in each resample, (resamples, count)."""
    drawn = np.random.default_rng(0).integers(0, count, (_RESAMPLES, count))
    drawn += count * np.arange(_RESAMPLES)[:, None]
    return np.bincount(drawn.ravel(), minlength=_RESAMPLES * count).reshape(_RESAMPLES, count).astype(np.float64)


def _calibration_error(weights: Floats, confidence: Floats, right: npt.NDArray[np.bool_]) -> Floats:
    place = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    inside = np.eye(_BINS)[place]
    gap = np.abs(weights @ (inside * (confidence - right)[:, None]))
    return np.asarray(gap.sum(axis=1) / len(right), np.float64)


def _area(weights: Floats, confidence: Floats, right: npt.NDArray[np.bool_]) -> Floats:
    """Return the area under the risk-coverage curve for each resample.

    `weights` (resamples, n) says how often each photo is drawn, `confidence` and `right` (n,) are those of the
    photos.
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_ = weights[:, order]
    given = np.cumsum(sorted_, axis=1)
    wrong = np.cumsum(sorted_ * ~right[order], axis=1)
    return np.asarray((sorted_ * wrong / np.maximum(given, 1)).sum(axis=1) / len(right), np.float64)


def _value(evaluation: Mapping[str, Any], path: Path) -> float | None:
    value = evaluation.get(path[0], {}).get(path[1])
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _count(evaluation: Mapping[str, Any]) -> int:
    return int(evaluation.get("test", {}).get("count", 0))


def _count_of_others(evaluation: Mapping[str, Any]) -> int:
    """How many photos of other things the figures under `gate` are of: photos where there are any, else drawn ones."""
    groups = evaluation.get("out_of_distribution", {})
    return int((groups.get("photos") or groups.get("drawn") or {}).get("count", 0))
