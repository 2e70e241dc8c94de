"""The recent test: photos of the stream that people labelled and that no version is trained on.

What arrives may have changed since the test photos were taken. A version that is trained because of that must answer
the recent photos better than the version approved now.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import binomtest

from processing.datasets import Photos
from processing.evaluate import champion
from processing.evaluate.answers import Answers, Bools


def judge(
    photos: Photos | None, answers: Answers | None, rival: Answers | None, same_network: bool = False
) -> dict[str, Any]:
    """`recent` of evaluation.json: `count`, accuracy with its 95 % interval (Wilson), accepted share and precision.

    `rival` are the approved version's answers to the same photos; with them `champion` compares the two (McNemar), and
    `better` says whether more photos are answered right. Without recent photos, or without a version to compare with,
    `better` is true: there is nothing that the version could be worse at. So it is where `same_network` says that the
    approved version has the same network: with another threshold it gives the same answers, and cannot have more right.
    """
    if photos is None or answers is None or not photos.bodies:
        return {"count": 0, "better": True}
    labels = np.array(photos.labels, np.int64)
    right = answers.probabilities.argmax(axis=1) == labels
    taken = answers.accepted
    found: dict[str, Any] = {
        "count": len(labels),
        "accuracy": float(right.mean()),
        "interval": _interval(right),
        "coverage": float(taken.mean()),
        "accepted_precision": float(right[taken].mean()) if taken.any() else 0.0,
        "better": True,
    }
    if rival is not None:
        theirs = rival.probabilities.argmax(axis=1) == labels
        compared = champion.compare(right, theirs, 0.0)
        found["champion"] = {"accuracy": float(theirs.mean()), "interval": _interval(theirs), **compared}
        found["better"] = same_network or compared["photos_won"] > compared["photos_lost"]
    return found


def _interval(right: Bools) -> list[float]:
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(0.95, method="wilson")
    return [float(interval.low), float(interval.high)]
