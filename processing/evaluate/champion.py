"""Compares a version with the champion, the version approved now, on the same test photos."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from processing.evaluate.artifact import ARTIFACT, load, unpack
from processing.evaluate.test_set import Photos
from processing.job import JobError


def compare(challenger: npt.NDArray[np.bool_], champion: npt.NDArray[np.bool_], tolerance: float) -> dict[str, Any]:
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


def judge_champion(
    place: Path | None, photos: Photos, right: npt.NDArray[np.bool_], tolerance: float
) -> dict[str, Any]:
    """`compare` against the artifact at `place`; without one there is nothing to be worse than."""
    if place is None or not any(file.is_file() for file in (place, place / ARTIFACT, place / "model.json")):
        return {"present": False, "not_worse": True}
    with tempfile.TemporaryDirectory(prefix="champion-") as scratch:
        try:
            champion = load(unpack(place, Path(scratch)))
            if champion.about["classes"] != photos.classes:
                return {"present": True, "classes": champion.about["classes"], "comparable": False, "not_worse": True}
            answers = champion.probabilities(photos.bodies).argmax(axis=1)
        except JobError as error:
            raise JobError(f"the approved version, which this one is compared with: {error}") from error
    about = {key: str(champion.about.get(key, "")) for key in ("seed", "code_sha256", "data_sha256")}
    champion_right = answers == photos.labels
    compared = compare(right, champion_right, tolerance)
    return {"present": True, "comparable": True, "accuracy": float(champion_right.mean()), **about, **compared}
