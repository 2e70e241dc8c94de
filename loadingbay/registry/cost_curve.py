"""What a thousand photos cost at each confidence threshold, by what a version answered to its test photos. Pure.

`loadingbay threshold` estimates the same on recent labelled traffic, of the version in service only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_MOST = 200  # points


def cost_curve(evaluation: Mapping[str, Any], wrong: float, review: float) -> list[tuple[float, float]]:
    """(threshold, cost of a thousand photos), thresholds rising, at most 200; [] where no answers are kept.

    `wrong` is the cost of a wrong answer that is acted upon, `review` that of a photo that a person looks at.
    """
    confidence = np.asarray(evaluation.get("confidences", ()), np.float64)
    right = np.asarray(evaluation.get("correct", ()), bool)
    if not len(confidence) or len(confidence) != len(right):
        return []
    order = np.argsort(confidence, kind="stable")
    confidence, right = confidence[order], right[order]
    thresholds = np.append(np.unique(confidence), 1.0)  # at 1 nothing is sure enough, where nothing is that sure
    if len(thresholds) > _MOST:
        thresholds = thresholds[np.linspace(0, len(thresholds) - 1, _MOST).round().astype(int)]
    below = np.searchsorted(confidence, thresholds, side="left")
    wrong_from = np.append(np.cumsum(~right[::-1])[::-1], 0)
    costs = 1000 * (review * below + wrong * wrong_from[below]) / len(right)
    return list(zip(thresholds.tolist(), costs.tolist(), strict=True))
