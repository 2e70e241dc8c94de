"""Works out what monitoring.json says: shares, accuracy once labels arrive, and drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from processing.monitor.captures import Answer

PSI_NOTABLE, PSI_LARGE = 0.1, 0.25  # the usual reading of the population stability index
MIN_FOR_DRIFT = 30


def stability(expected: npt.ArrayLike, observed: npt.ArrayLike) -> float:
    """Population stability index of two histograms over the same bins; an empty bin counts as half a photo."""
    before, now = (np.maximum(np.asarray(counts, float), 0.5) for counts in (expected, observed))
    before, now = before / before.sum(), now / now.sum()
    return float(((now - before) * np.log(now / before)).sum())


def drift(answers: Sequence[Answer], evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    """How the confidence of the stream differs from that on the test photos.

    `psi` over the evaluation's confidence bins, and, when it lists single confidences, the two-sample
    Kolmogorov-Smirnov test. `verdict` puts it in words.
    """
    bins = ((evaluation or {}).get("calibration") or {}).get("bins") or []
    if not bins:
        return {"verdict": "not known: no evaluation to compare with"}
    if len(answers) < MIN_FOR_DRIFT:
        return {"verdict": f"not known: {len(answers)} answers are fewer than {MIN_FOR_DRIFT}"}
    confidence = np.array([answer.confidence for answer in answers])
    expected = np.zeros(10)
    for entry in bins:
        expected[min(int(entry["confidence"] * 10), 9)] += entry["count"]
    observed = np.histogram(confidence, bins=np.linspace(0, 1, 11))[0]
    used = (expected > 0) | (observed > 0)
    psi = stability(expected[used], observed[used])
    found: dict[str, Any] = {"psi": round(psi, 4), "reference_count": int(expected.sum())}
    if reference := (evaluation or {}).get("confidences"):
        from scipy.stats import ks_2samp  # takes half a second to import

        test = ks_2samp(np.asarray(reference, float), confidence)
        found |= {"ks_statistic": round(float(test.statistic), 4), "ks_p_value": round(float(test.pvalue), 6)}
    size = "none" if psi < PSI_NOTABLE else "some" if psi < PSI_LARGE else "large"
    found["verdict"] = f"{size} (population stability index {psi:.2f} against {int(expected.sum())} test photos)"
    return found


def figures(answers: Sequence[Answer], unread: int, evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    """What monitoring.json says. Shares are of all answers; accuracies of those whose label is known."""
    above = sum(answer.accepted for answer in answers)
    known = [answer for answer in answers if answer.truth is not None]
    taken = [answer for answer in known if answer.accepted]
    labels = Counter(answer.data_label for answer in answers if answer.data_label)
    return {
        "data_label": labels.most_common(1)[0][0] if labels else None,
        "count": len(answers),
        "unreadable_lines": unread,
        "first": answers[0].time,
        "last": answers[-1].time,
        "threshold": answers[-1].threshold,
        "share_above": above / len(answers),
        "share_below": 1 - above / len(answers),
        "mean_confidence": float(np.mean([answer.confidence for answer in answers])),
        "answers": dict(sorted(Counter(answer.label for answer in answers).items())),
        "labelled": len(known),
        "accuracy": _share(sum(not answer.wrong for answer in known), len(known)),
        "accepted_precision": _share(sum(not answer.wrong for answer in taken), len(taken)),
        "mistakes": sum(answer.wrong for answer in known),
        "accepted_mistakes": sum(answer.wrong for answer in taken),
        "drift": drift(answers, evaluation),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
