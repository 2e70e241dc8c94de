"""Works out evaluation.json from what an artifact, and the champion, answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from processing.datasets import Photos
from processing.evaluate import champion, costs, out_of_distribution
from processing.evaluate.answers import Answers, Bools
from processing.evaluate.artifact import About, Artifact
from processing.evaluation import Evaluation, Gate, Test

MAX_POINTS = 2000  # of what is listed photo by photo: evaluation.json stays small whatever the test set

Ints = npt.NDArray[np.int64]


def build(
    about: About,
    metrics: ModuleType,
    photos: Photos,
    answers: Answers,
    *,
    others: Mapping[str, Answers],
    drawn: Mapping[str, Answers],
    rival: tuple[Artifact, Answers | None] | None,
    recently: Mapping[str, Any],
    tolerance: float,
) -> Evaluation:
    """Everything that evaluation.json says.

    `answers` are to the test photos, `others` to photos of classes that the model does not know (by class, may be
    empty), `drawn` to drawn pictures of other things (by kind). `rival` is the champion and what it answers to the test
    photos, None for the latter when it knows other classes. `recently` is what recent.judge says. `metrics` is the
    artifact's metrics.py.
    """
    probabilities, labels = answers.probabilities, np.array(photos.labels, np.int64)
    predicted, confidence, taken = probabilities.argmax(axis=1), answers.confidence, answers.accepted
    right = predicted == labels
    refusal = {"drawn": out_of_distribution.measure(answers, drawn)}
    if others:
        refusal["photos"] = out_of_distribution.measure(answers, others)
    judged: dict[str, Any] = {"present": False, "not_worse": True}
    if rival:
        judged = champion.judge(*rival, labels, right, tolerance)
    coverage, risk = metrics.risk_coverage(confidence, right)
    shown = spread(len(labels))
    seen = refusal.get("photos", refusal["drawn"])
    gate = Gate(
        accuracy=float(right.mean()),
        coverage=float(taken.mean()),
        accepted_precision=float(right[taken].mean()) if taken.any() else 0.0,
        out_of_distribution_accepted=seen["accepted"],
        out_of_distribution_auroc=seen["auroc"],
        champion_accuracy=float(judged.get("accuracy", 0.0)),
        not_worse_than_champion=float(judged["not_worse"]),
        recent_accuracy=float(recently.get("accuracy", 0.0)),
        recent_champion_accuracy=float(recently.get("champion", {}).get("accuracy", 0.0)),
        better_on_recent=float(recently["better"]),
    )
    intervals = _intervals(right, taken)
    priced = costs.measure(about, metrics, answers, labels, rival[1] if rival else None)
    best_constant = np.bincount(labels, minlength=len(photos.classes)).max() / len(labels)
    return Evaluation(
        multiclass_classification_metrics={
            **metrics.with_deviations(labels, predicted, len(photos.classes)),
            "accuracy_best_constant_classifier": {"value": float(best_constant), "standard_deviation": 0.0},
            "confusion_matrix": metrics.confusion(labels, predicted, photos.classes),
        },
        gate=gate,
        confidence_intervals=intervals,
        calibration={
            "nll": metrics.nll(probabilities, labels),
            "ece": metrics.ece(probabilities, labels),
            "brier": metrics.brier(probabilities, labels),
            "bins": metrics.reliability(probabilities, labels),
        },
        risk_coverage={
            "aurc": metrics.aurc(confidence, right),
            "coverage": coverage[shown].tolist(),
            "risk": risk[shown].tolist(),
        },
        per_class_thresholds={
            name: {
                "threshold": limit,
                **metrics.accepted(probabilities[predicted == at], labels[predicted == at], limit),
            }
            for at, (name, limit) in enumerate(about["out_of_fold"].get("per_class_thresholds", {}).items())
            if (predicted == at).any()
        },
        thresholds={**answers.thresholds, **about.get("class_thresholds", {})},
        costs=priced,
        out_of_distribution={
            "score": "confidence" if answers.in_distribution_threshold is None else "in_distribution",
            **refusal,
        },
        second_opinion=_asked_twice({"test": [answers], "photos": others.values(), "drawn": drawn.values()}),
        champion=judged,
        recent=dict(recently),
        # Photo by photo, in the order of the records: what monitoring compares the stream with.
        confidences=[round(float(value), 6) for value in confidence[shown]],
        correct=right[shown].tolist(),
        worst_mistakes=metrics.worst_mistakes(probabilities, labels, photos.classes),
        test=Test(
            count=len(labels),
            per_class=dict(
                zip(photos.classes, np.bincount(labels, minlength=len(photos.classes)).tolist(), strict=True)
            ),
        ),
        metadata={**metadata(about, gate), **_tested(intervals["accuracy"], recently), **_priced(about, priced)},
    )


def spread(count: int) -> Ints:
    """Row numbers 0 to count - 1, the last included; at most MAX_POINTS of them, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, MAX_POINTS)).round().astype(np.int64))


def _asked_twice(groups: Mapping[str, Iterable[Answers]]) -> dict[str, float]:
    """By group, the mean share of its photos about which a large network was asked too; none without such a network."""
    shares = {name: [one.asked_twice for one in group] for name, group in groups.items()}
    known = {name: [share for share in some if share is not None] for name, some in shares.items()}
    return {name: float(np.mean(some)) for name, some in known.items() if some}


def _intervals(right: Bools, taken: Bools) -> dict[str, list[float]]:
    """95 % confidence intervals (Wilson, 1927) of the shares under `gate`, as [lower, upper]."""
    parts = {"accuracy": right, "coverage": taken, "accepted_precision": right[taken]}
    found = {}
    for name, part in parts.items():
        if len(part):
            interval = binomtest(int(part.sum()), len(part)).proportion_ci(0.95, method="wilson")
            found[name] = [float(interval.low), float(interval.high)]
    return found


def _tested(interval: list[float], recently: Mapping[str, Any]) -> dict[str, str]:
    """Figures of the old and the recent test with their intervals, `none` without recent photos."""

    def words(ends: list[float] | None) -> str:
        return f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else "none"

    accuracy = recently.get("accuracy")
    return {
        "accuracy_interval": words(interval),
        "recent_photos": str(recently["count"]),
        "recent_accuracy": "none" if accuracy is None else f"{accuracy:.4f}",
        "recent_accuracy_interval": words(recently.get("interval")),
    }


def _priced(about: About, priced: Mapping[str, Any]) -> dict[str, str]:
    """Thresholds by class, costs, and the cost of a thousand photos in words; `none` where there are no such."""
    given = about.get("costs") or {}
    each = {**given.get("wrong_bay", {}), **({"review": given["review"]} if given else {})}
    return {
        "class_thresholds": _named(about.get("class_thresholds") or {}, ".4f"),
        "costs": _named(each, "g"),
        "cost_of_a_thousand": f"{priced['of_a_thousand']:.1f}" if given and priced else "none",
    }


def _named(values: Mapping[str, float], form: str) -> str:
    return " ".join(f"{name}={value:{form}}" for name, value in values.items()) or "none"


def metadata(about: About, gate: Gate) -> dict[str, str]:
    """What becomes the package's CustomerMetadataProperties: strings without the comma, which SageMaker forbids."""
    texts = {key: str(about.get(key, "unknown")) for key in ("data_label", "data_sha256", "code_sha256", "seed")}
    figures = {name: f"{value:.4f}" for name, value in gate.items() if "champion" not in name and "recent" not in name}
    return {
        "classes": " ".join(about["classes"]),
        "threshold": f"{about['threshold']:.4f}",
        "temperature": f"{about['temperature']:.4f}",
        "target_precision": f"{about['target_precision']:.4f}",
        "versions": " ".join(f"{name}-{version}" for name, version in sorted(about["versions"].items())),
        **texts,
        **figures,
    }
