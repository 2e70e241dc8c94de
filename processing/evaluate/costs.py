"""What a thousand photos cost at each threshold, on the test photos: `costs` of evaluation.json.

A wrong answer that is acted upon costs what the artifact's `costs` say of its class, an answer that is not acted upon
costs a person's look. Where the artifact names no costs, those of ASSUMED are taken, and `assumed` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from processing.evaluate.answers import Answers, Bools, Floats
from processing.evaluate.artifact import About

ASSUMED = {"wrong_bay": 10.0, "review": 1.0}
MAX_POINTS = 200  # of a curve
ALL = "all"


def measure(
    about: About, metrics: ModuleType, answers: Answers, labels: Any, champion: Answers | None
) -> dict[str, Any]:
    """`costs` of evaluation.json, of the answers to the test photos with these class indices as `labels`.

    `metrics` is the artifact's metrics.py; {} where it is of a time before costs. A curve is of all answers, or where
    the costs or the thresholds of the classes differ, of those that name one class, as its part of a thousand photos.
    `champion` are the approved version's answers to the same photos, for what they cost at its own thresholds.
    """
    if not hasattr(metrics, "cost_curve"):
        return {}
    given = about.get("costs") or {}
    review = float(given.get("review", ASSUMED["review"]))
    wrong_bay = {name: float(given.get("wrong_bay", {}).get(name, ASSUMED["wrong_bay"])) for name in about["classes"]}
    found: dict[str, Any] = {
        "assumed": not given,
        "wrong_bay": wrong_bay,
        "review": review,
        "of_a_thousand": _of_a_thousand(answers, labels, wrong_bay, review),
        "champion": None,
        "curves": [],
    }
    if champion is not None:
        found["champion"] = {
            "thresholds": champion.thresholds,
            "of_a_thousand": _of_a_thousand(champion, labels, wrong_bay, review),
        }
    confidence = np.where(answers.inside, answers.confidence, -1.0)
    losses = _losses(answers, labels, wrong_bay)
    intervals = about["out_of_fold"].get("costs", {}).get("intervals", {})
    for name, rows in _groups(answers, wrong_bay):
        share = float(rows.mean())
        own = answers.thresholds[answers.classes[0] if name == ALL else name]
        thresholds, costs = metrics.cost_curve(confidence[rows], losses[rows], review)
        best = int(costs.argmin())
        at = np.searchsorted(thresholds, own)
        shown = _spread(len(thresholds), best, int(at))
        found["curves"].append(
            {
                "answers": name,
                "threshold": own,
                "interval": intervals.get(name),
                "cost": share * float(costs[min(int(at), len(costs) - 1)]),
                "best": {"threshold": float(thresholds[best]), "cost": share * float(costs[best])},
                "points": {"threshold": thresholds[shown].tolist(), "cost": (share * costs[shown]).tolist()},
            }
        )
    return found


def _losses(answers: Answers, labels: Any, wrong_bay: dict[str, float]) -> Floats:
    """(n,): what each answer costs when it is acted upon."""
    predicted = answers.probabilities.argmax(axis=1)
    by_class: Floats = np.array([wrong_bay[name] for name in answers.classes])
    return np.where(predicted != labels, by_class[predicted], 0.0)


def _of_a_thousand(answers: Answers, labels: Any, wrong_bay: dict[str, float], review: float) -> float:
    return float(1000 * np.where(answers.accepted, _losses(answers, labels, wrong_bay), review).mean())


def _groups(answers: Answers, wrong_bay: dict[str, float]) -> Iterator[tuple[str, Bools]]:
    """The answers that are judged by one threshold: its class, or ALL, and which answers they are."""
    predicted = answers.probabilities.argmax(axis=1)
    if len(set(wrong_bay.values())) == 1 and len(set(answers.thresholds.values())) == 1:
        yield ALL, np.ones(len(predicted), bool)
        return
    for at, name in enumerate(answers.classes):
        if (predicted == at).any():
            yield name, predicted == at


def _spread(count: int, *kept: int) -> Any:
    """Row numbers 0 to count - 1, the ends and `kept` included; about MAX_POINTS of them."""
    spread = np.linspace(0, count - 1, min(count, MAX_POINTS)).round().astype(int)
    return np.unique([*spread, *(min(one, count - 1) for one in kept)])
