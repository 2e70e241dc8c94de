"""How the confidence of a stream differs from that on the test photos."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from processing.evaluation import Evaluation
from processing.statistics import stability

PSI_NOTABLE, PSI_LARGE = 0.1, 0.25  # the usual reading of the population stability index
MIN_COUNT = 30  # answers, below which nothing is said

Floats = npt.NDArray[np.float64]


def verdict(psi: float) -> str:
    """The index in a word: none, some or large."""
    return "none" if psi < PSI_NOTABLE else "some" if psi < PSI_LARGE else "large"


def drift(confidence: Floats, evaluation: Evaluation | None) -> dict[str, Any]:
    """How (n,) confidences differ from those on the test photos.

    `psi` over the evaluation's confidence bins, and, when it lists single confidences, the two-sample
    Kolmogorov-Smirnov test. `verdict` puts it in words; it stands alone where nothing can be compared.
    """
    if evaluation is None:
        return {"verdict": "not known: no evaluation to compare with"}
    if len(confidence) < MIN_COUNT:
        return {"verdict": f"not known: {len(confidence)} answers are fewer than {MIN_COUNT}"}
    expected = np.zeros(10)
    for one in evaluation["calibration"]["bins"]:
        expected[min(int(one["confidence"] * 10), 9)] += one["count"]
    observed = np.histogram(confidence, bins=np.linspace(0, 1, 11))[0]
    used = (expected > 0) | (observed > 0)
    psi = stability(expected[used], observed[used])
    found: dict[str, Any] = {"psi": round(psi, 4), "reference_count": int(expected.sum())}
    if reference := evaluation.get("confidences"):
        from scipy.stats import ks_2samp  # takes half a second to import

        test = ks_2samp(np.asarray(reference, float), confidence)
        found |= {"ks_statistic": round(float(test.statistic), 4), "ks_p_value": round(float(test.pvalue), 6)}
    counted = f"population stability index {psi:.2f} against {int(expected.sum())} test photos"
    return found | {"verdict": f"{verdict(psi)} ({counted})"}
