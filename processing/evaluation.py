"""The figures of a version, evaluation.json: written by Evaluate, read by the pipeline's gate and by Monitor.

docs/evaluation.md says what each figure means.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

NAME, HISTORY = "evaluation.json", "history.json"


class Gate(TypedDict):
    """The figures that decide whether a version is registered, and those shown beside them."""

    accuracy: float
    coverage: float
    accepted_precision: float
    out_of_distribution_accepted: float
    out_of_distribution_auroc: float
    champion_accuracy: float
    not_worse_than_champion: float
    recent_accuracy: float  # of the photos that people labelled; 0 without any
    recent_champion_accuracy: float
    better_on_recent: float  # 1 when there is nothing to be better at


class Bin(TypedDict):
    """Test photos whose confidence lies in one of ten intervals of equal width."""

    count: int
    confidence: float  # their mean
    accuracy: float


class Calibration(TypedDict):
    """How honest the confidence is."""

    nll: float
    ece: float
    brier: float
    bins: list[Bin]


class RiskCoverage(TypedDict):
    """Error rate when only the surest answers are given, against the share of photos answered."""

    aurc: float
    coverage: list[float]
    risk: list[float]


class Test(TypedDict):
    """How many photos were tested with."""

    count: int
    per_class: dict[str, int]


class Evaluation(TypedDict):
    """What evaluation.json says."""

    multiclass_classification_metrics: dict[str, Any]
    gate: Gate
    confidence_intervals: dict[str, list[float]]
    calibration: Calibration
    risk_coverage: RiskCoverage
    per_class_thresholds: dict[str, dict[str, float]]
    thresholds: dict[str, float]  # by the class that is answered, what the confidence must reach
    costs: dict[str, Any]  # processing.evaluate.costs
    out_of_distribution: dict[str, Any]
    second_opinion: dict[str, float]  # share of the photos about which a large network was asked too, if there is one
    champion: dict[str, Any]
    recent: dict[str, Any]
    confidences: list[float]
    correct: list[bool]
    worst_mistakes: list[dict[str, Any]]
    test: Test
    metadata: dict[str, str]
    baseline: NotRequired[dict[str, Any]]


MIN_RECENT = 30  # photos of the recent test, below which nothing is compared with it


def has_recent(evaluation: Evaluation) -> bool:
    """Whether the stream is compared with the recent test, and not with the test photos."""
    return int(evaluation.get("recent", {}).get("count", 0)) >= MIN_RECENT


def write(folder: Path, evaluation: Evaluation) -> None:
    """Write evaluation.json: sorted, and refusing NaN, which JSON does not have."""
    text = json.dumps(evaluation, indent=2, sort_keys=True, allow_nan=False)
    (folder / NAME).write_text(text + "\n", "utf-8")


def thresholds(evaluation: Evaluation) -> dict[str, float]:
    """What the confidence of an answer must reach, by the class that is answered; one value in older evaluations."""
    classes = evaluation["multiclass_classification_metrics"]["confusion_matrix"]
    common = dict.fromkeys(classes, float(evaluation["metadata"]["threshold"]))
    return {**common, **evaluation.get("thresholds", {})}


def read(folder: Path | None) -> Evaluation | None:
    """The evaluation in a folder; None when there is none, or the file lacks what Monitor reads of it."""
    content = _read(folder, NAME)
    try:
        float(content["metadata"]["threshold"]) + float(content["gate"]["accuracy"])
        for one in content["calibration"]["bins"]:
            float(one["confidence"]) + float(one["accuracy"]) + float(one["count"])
        for answers in content["multiclass_classification_metrics"]["confusion_matrix"].values():
            sum(map(float, answers.values()))
        sum(map(float, content.get("confidences", ())))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return cast(Evaluation, content)


def read_history(folder: Path | None) -> list[dict[str, Any]]:
    """The epochs of each network, from the history.json beside it; none when there is no such file."""
    content = _read(folder, HISTORY)
    return [entry for entry in content if isinstance(entry, dict)] if isinstance(content, list) else []


def _read(folder: Path | None, name: str) -> Any:
    try:
        return json.loads((folder / name).read_bytes()) if folder else None
    except (OSError, ValueError, RecursionError):
        return None
