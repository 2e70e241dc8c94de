"""Figures of a classifier that may decline, on data it has not learned from. Ships in the artifact for Evaluate.

`probabilities` are (n, classes) float, `labels` (n,) class indices; the confidence of a row is its largest probability,
and an answer is accepted when its confidence is at least the threshold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


def nll(probabilities: Floats, labels: Ints) -> float:
    """Mean negative log-likelihood of the labels, in nats."""
    likelihood = np.clip(probabilities[np.arange(len(labels)), labels].astype(np.float64), 1e-12, 1)
    return float(-np.log(likelihood).mean())


def brier(probabilities: Floats, labels: Ints) -> float:
    """Mean squared distance from the one-hot label, summed over classes (Brier, 1950): 0 is best, 2 worst."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities.astype(np.float64) - truth) ** 2).sum(axis=1).mean())


def reliability(probabilities: Floats, labels: Ints, bins: int = 10) -> list[dict[str, float]]:
    """Confidence against accuracy in bins of equal width; empty bins are left out."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            "count": int((place == bin_).sum()),
            "confidence": float(confidence[place == bin_].mean()),
            "accuracy": float(right[place == bin_].mean()),
        }
        for bin_ in range(bins)
        if (place == bin_).any()
    ]


def ece(probabilities: Floats, labels: Ints, bins: int = 10) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over the bins, weighted by their counts."""
    return sum(
        abs(b["confidence"] - b["accuracy"]) * b["count"] for b in reliability(probabilities, labels, bins)
    ) / len(labels)


def risk_coverage(confidence: Floats, right: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Coverage and error rate when only the surest 1, 2, ... n answers are given; among equals, in expectation."""
    order = np.argsort(-confidence, kind="stable")
    wrong = (~right[order]).astype(np.float64)
    # Answers of equal confidence cannot be told apart: each counts as the mean of its run.
    _, run = np.unique(-confidence[order], return_inverse=True)
    wrong = (np.bincount(run, wrong) / np.bincount(run))[run]
    given = np.arange(1, len(wrong) + 1)
    return given / len(wrong), np.cumsum(wrong) / given


def aurc(confidence: Floats, right: npt.NDArray[np.bool_]) -> float:
    """Area under the risk-coverage curve: the error rate, averaged over all coverages (Geifman and El-Yaniv, 2017)."""
    return float(risk_coverage(confidence, right)[1].mean())


def accepted(probabilities: Floats, labels: Ints, threshold: float) -> dict[str, float]:
    """Coverage, and precision of what is accepted; the precision is 0.0 when nothing is."""
    confidence = probabilities.max(axis=1)
    taken = confidence >= threshold
    right = probabilities.argmax(axis=1) == labels
    return {
        "coverage": float(taken.mean()),
        "accepted_precision": float(right[taken].mean()) if taken.any() else 0.0,
    }


ACCEPT_NOTHING = 1.01  # a threshold that no probability reaches


def cost_curve(
    confidence: Floats, losses: Floats, review: float, counts: npt.ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Thresholds (k,), rising, and what a thousand photos cost at each (k,).

    `losses` (n,) is what each answer costs when it is acted upon, 0 for a right one; `review` is the cost of one that
    is not. The thresholds are all values of `confidence` and ACCEPT_NOTHING. A photo of negative confidence goes to a
    person at every threshold. `counts` (n,) says how often each photo counts, once unless given.
    """
    order = np.argsort(confidence, kind="stable")
    ordered = np.asarray(confidence, np.float64)[order]
    weights = (np.ones(len(ordered)) if counts is None else np.asarray(counts, np.float64))[order]
    below = np.append(0.0, np.cumsum(weights))
    lost = np.append(0.0, np.cumsum(weights * np.asarray(losses, np.float64)[order]))
    thresholds = np.append(np.unique(ordered[ordered >= 0]), ACCEPT_NOTHING)
    at = np.searchsorted(ordered, thresholds, side="left")
    return thresholds, 1000 * (review * below[at] + lost[-1] - lost[at]) / below[-1]


def scores(labels: Ints, predicted: Ints, classes: int) -> dict[str, float]:
    """Accuracy, and precision, recall and F scores weighted by class counts and as plain means (macro).

    They are scikit-learn's with `zero_division=0`.
    """
    return {name: float(value) for name, value in _scores(_counts(labels, predicted, classes)).items()}


def _counts(labels: Ints, predicted: Ints, classes: int) -> Ints:
    """How many photos of each class were given each answer: (true, answered)."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _scores(counts: Ints) -> dict[str, Floats]:
    """`scores` of each of the confusion matrices (..., true, answered)."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    true, answered = counts.sum(axis=-1), counts.sum(axis=-2)

    def of_class(beta_squared: float) -> Floats:
        """F of each class. Without weight on the true ones it is the precision."""
        return _share((1 + beta_squared) * right, beta_squared * true + answered)

    recall = _share(right, true)
    found = {"precision": of_class(0), "recall": recall, "f1": of_class(1), "f0_5": of_class(0.25), "f2": of_class(4)}
    total = true.sum(axis=-1)
    figures = {"accuracy": right.sum(axis=-1) / total}
    figures |= {f"weighted_{name}": (each * true).sum(axis=-1) / total for name, each in found.items()}
    return figures | {name: found[name].mean(axis=-1) for name in ("precision", "recall", "f1")}


def _share(part: Floats | Ints, whole: Floats | Ints) -> Floats:
    """The quotient of each pair; 0 where `whole` is."""
    shares = np.zeros(part.shape)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def with_deviations(
    labels: Ints, predicted: Ints, classes: int, draws: int = 200, seed: int = 0
) -> dict[str, dict[str, float]]:
    """`scores` as {"value", "standard_deviation"}; the deviation is over bootstrap draws of the test photos."""
    rng = np.random.default_rng(seed)
    rows = (rng.integers(0, len(labels), len(labels)) for _ in range(draws))
    drawn = _scores(np.stack([_counts(labels[row], predicted[row], classes) for row in rows]))
    return {
        name: {"value": value, "standard_deviation": float(np.std(drawn[name]))}
        for name, value in scores(labels, predicted, classes).items()
    }


def confusion(labels: Ints, predicted: Ints, classes: list[str]) -> dict[str, dict[str, int]]:
    """How many photos of each true class were given each answer: {true: {answered: count}}."""
    return {
        true: {answer: int(((labels == row) & (predicted == column)).sum()) for column, answer in enumerate(classes)}
        for row, true in enumerate(classes)
    }


def worst_mistakes(probabilities: Floats, labels: Ints, classes: list[str], most: int = 20) -> list[dict[str, Any]]:
    """The wrong answers that were given with most confidence, by record number."""
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    ordered = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [
        {
            "record": int(row),
            "label": classes[int(labels[row])],
            "answer": classes[int(predicted[row])],
            "confidence": float(confidence[row]),
        }
        for row in ordered
    ]
