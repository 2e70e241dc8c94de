"""Compares a version with the champion, the version approved now, on the same test photos."""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from processing.evaluate.answers import Answers, Bools
from processing.evaluate.artifact import ARTIFACT, MODEL, Artifact

NETWORK = ("network-symbol.json", "network-0000.params")
SECOND = ("second-symbol.json", "second-0000.params", "second.json")  # the large network, where there is one


def is_there(place: Path | None) -> bool:
    """Whether there is an artifact at `place`: SageMaker gives an empty folder when no version is approved."""
    return place is not None and any(path.is_file() for path in (place, place / ARTIFACT, place / MODEL))


def same_network(one: Artifact, other: Artifact) -> bool:
    """Whether two artifacts hold the same network, byte by byte: then they differ in thresholds at most."""
    if one.about.get("second_opinion", {}) != other.about.get("second_opinion", {}):
        return False
    names = (*NETWORK, *(SECOND if one.about.get("second_opinion") else ()))
    pairs = [(one.folder / name, other.folder / name) for name in names]
    return all(a.is_file() and b.is_file() and filecmp.cmp(a, b, shallow=False) for a, b in pairs)


def compare(challenger: Bools, champion: Bools, tolerance: float) -> dict[str, Any]:
    """A paired test on the same photos: is the challenger worse than the champion?

    McNemar's exact test looks only at the photos that one of them got right and the other wrong. The challenger
    passes when its accuracy is at most `tolerance` lower, or when the loss is no more than chance explains (one-sided
    p above 0.05).
    """
    won, lost = int((challenger & ~champion).sum()), int((~challenger & champion).sum())
    difference = float(challenger.mean() - champion.mean())
    p_worse = float(binomtest(lost, won + lost, 0.5, alternative="greater").pvalue) if won + lost else 1.0
    return {
        "accuracy_difference": difference,
        "photos_won": won,
        "photos_lost": lost,
        "p_worse": p_worse,
        "tolerance": tolerance,
        "not_worse": lost - won <= tolerance * len(champion) + 1e-9 or p_worse > 0.05,
    }


def judge(champion: Artifact, answers: Answers | None, labels: Any, right: Bools, tolerance: float) -> dict[str, Any]:
    """`champion` of evaluation.json: the champion's answers to the test photos against the challenger's.

    `labels` are the photos' class indices, `right` tells which of them the challenger got right. Without `answers` the
    two know other classes and cannot be compared.
    """
    if answers is None:
        return {"present": True, "classes": champion.about["classes"], "comparable": False, "not_worse": True}
    named = {key: str(champion.about.get(key, "")) for key in ("seed", "code_sha256", "data_sha256")}
    rights = answers.probabilities.argmax(axis=1) == np.asarray(labels)
    compared = compare(right, rights, tolerance)
    return {"present": True, "comparable": True, "accuracy": float(rights.mean()), **named, **compared}
