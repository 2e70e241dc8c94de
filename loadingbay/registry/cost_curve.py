"""What photos cost at each confidence threshold, and the curve of a version by its answers to the test photos. Pure.

`loadingbay threshold` estimates the same on recent labelled traffic, of the version in service only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

ACCEPT_NOTHING = 1.01  # a threshold that no confidence reaches

Floats = npt.NDArray[np.float64]

_MOST = 200  # points


def costs_at(confidence: Floats, losses: Floats, review: float, weights: Floats, thresholds: Floats) -> Floats:
    """(k,) thresholds to (k,) costs: the sum of the photos' costs by their `weights`.

    `losses` (n,) is what each answer costs when it is acted upon, 0 for a right one; `review` is the cost of one that
    is not.
    """
    order = np.argsort(confidence, kind="stable")
    below = np.append(0.0, np.cumsum(weights[order]))
    # Summed from the top: a difference of two sums would lose small costs beside large ones.
    lost = np.append(np.cumsum((weights * losses)[order][::-1])[::-1], 0.0)
    at = np.searchsorted(confidence[order], thresholds, side="left")
    return np.asarray(review * below[at] + lost[at], np.float64)


def cost_curve(evaluation: Mapping[str, Any], wrong: float, review: float) -> list[tuple[float, float]]:
    """(threshold, cost of a thousand photos), thresholds rising, at most 200; [] where no answers are kept.

    `wrong` is the cost of a wrong answer that is acted upon, `review` that of a photo that a person looks at.
    """
    confidence = np.asarray(evaluation.get("confidences", ()), np.float64)
    right = np.asarray(evaluation.get("correct", ()), bool)
    if not len(confidence) or len(confidence) != len(right):
        return []
    thresholds = np.append(np.unique(confidence), ACCEPT_NOTHING)
    if len(thresholds) > _MOST:
        thresholds = thresholds[np.linspace(0, len(thresholds) - 1, _MOST).round().astype(int)]
    each = np.full(len(right), 1000 / len(right))
    costs = costs_at(confidence, np.where(right, 0.0, wrong), review, each, thresholds)
    return list(zip(thresholds.tolist(), costs.tolist(), strict=True))
