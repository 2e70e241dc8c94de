"""The quality of a model from its predictions and the true labels, in the form of AWS's model monitor. Pure.

Source: "Model Quality Metrics" in the SageMaker developer guide; the metrics themselves are scikit-learn's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics

Document = dict[str, Any]
Vector = np.ndarray[Any, np.dtype[Any]]
SECTIONS = {
    "Regression": "regression",
    "BinaryClassification": "binary_classification",
    "MulticlassClassification": "multiclass_classification",
}
_SAMPLES, _SHARE, _ENOUGH = 5, 0.8, 200
_CURVE_POINTS = 100
_CONSTRAINED = {
    "Regression": ("mae", "mse", "rmse", "r2"),
    "BinaryClassification": (
        "recall",
        "precision",
        "accuracy",
        "true_positive_rate",
        "true_negative_rate",
        "false_positive_rate",
        "false_negative_rate",
        "auc",
        "f0_5",
        "f1",
        "f2",
    ),
    "MulticlassClassification": (
        "accuracy",
        "weighted_recall",
        "weighted_precision",
        "weighted_f0_5",
        "weighted_f1",
        "weighted_f2",
    ),
}
_LESS_IS_BETTER = ("mae", "mse", "rmse", "false_positive_rate", "false_negative_rate")
_BETAS = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}


@dataclass(frozen=True)
class Predictions:
    """What a model said of n rows, and what is true: three vectors of n values.

    For a regression both are numbers; for two classes 0 or 1; for several any texts. `probability` is that of class 1
    of two classes; it is None where the model gives none.
    """

    truth: Vector
    predicted: Vector
    probability: Vector | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def at(self, rows: Vector) -> Predictions:
        """The same of some rows."""
        probability = None if self.probability is None else self.probability[rows]
        return Predictions(self.truth[rows], self.predicted[rows], probability)


def statistics(problem: str, given: Predictions) -> Document:
    """The content of statistics.json for a problem type such as Regression.

    With at least 200 rows each metric has the standard deviation of five random samples of 80% of them, else "NaN".
    """
    compute = _METRICS[problem]
    values = compute(given)
    deviations: Mapping[str, float | str] = dict.fromkeys(values, "NaN")
    if len(given) >= _ENOUGH:
        generator = np.random.default_rng(0)
        count = int(len(given) * _SHARE)
        samples = [compute(given.at(generator.permutation(len(given))[:count])) for _ in range(_SAMPLES)]
        # A sample of one class alone has no area under a curve.
        deviations = {name: float(np.std([sample[name] for sample in samples if name in sample])) for name in values}
    section: Document = {
        name: {"value": value, "standard_deviation": deviations[name]} for name, value in values.items()
    }
    if problem != "Regression":
        section = {"confusion_matrix": _confusion(given), **section}
    if given.probability is not None:
        section |= _curves(given)
    return {"version": 0.0, "dataset": {"item_count": len(given)}, f"{SECTIONS[problem]}_metrics": section}


def constraints(problem: str, observed: Document) -> Document:
    """The content of constraints.json: each metric must stay at least as good as in the statistics `observed`."""
    section = observed[f"{SECTIONS[problem]}_metrics"]
    thresholds = {
        name: {
            "threshold": section[name]["value"],
            "comparison_operator": "GreaterThanThreshold" if name in _LESS_IS_BETTER else "LessThanThreshold",
        }
        for name in _CONSTRAINED[problem]
        if name in section
    }
    return {"version": 0.0, f"{SECTIONS[problem]}_constraints": thresholds}


def violations(problem: str, observed: Document, baseline: Document) -> list[Document]:
    """The constraints in `baseline`, the content of a constraints.json, that the statistics `observed` violate."""
    section = observed[f"{SECTIONS[problem]}_metrics"]
    return list(_violated(section, baseline.get(f"{SECTIONS[problem]}_constraints", {})))


def _violated(section: Document, expected: Mapping[str, Document]) -> Iterator[Document]:
    """Yield a violation for each metric of a section that is beyond its constraint."""
    for name, constraint in expected.items():
        operator, threshold = constraint["comparison_operator"], constraint["threshold"]
        if name not in section:
            continue
        value, deviation = section[name]["value"], section[name]["standard_deviation"]
        if value > threshold if operator == "GreaterThanThreshold" else value < threshold:
            yield {
                "constraint_check_type": operator,
                "description": f"Metric {name} with {value} +/- {deviation} was {operator} '{threshold}'",
                "metric_name": name,
            }


def _regression(given: Predictions) -> dict[str, float]:
    """The metrics of a regression by the names of the model monitor's report."""
    error = float(metrics.mean_squared_error(given.truth, given.predicted))
    return {
        "mae": float(metrics.mean_absolute_error(given.truth, given.predicted)),
        "mse": error,
        "rmse": math.sqrt(error),
        "r2": float(metrics.r2_score(given.truth, given.predicted)),
    }


def _binary(given: Predictions) -> dict[str, float]:
    """The metrics of a binary classification by the names of the model monitor's report."""
    (tn, fp), (fn, tp) = metrics.confusion_matrix(given.truth, given.predicted, labels=[0, 1]).tolist()
    rates = {
        "recall": _ratio(tp, tp + fn),
        "precision": _ratio(tp, tp + fp),
        "accuracy": _ratio(tp + tn, len(given)),
        "true_positive_rate": _ratio(tp, tp + fn),
        "true_negative_rate": _ratio(tn, tn + fp),
        "false_positive_rate": _ratio(fp, tn + fp),
        "false_negative_rate": _ratio(fn, tp + fn),
    }
    scores = _scores(given.truth, given.predicted, average="binary", prefix="")
    # Of two constant answers only the one of class 1 has a recall.
    constant = _scores(given.truth, np.ones_like(given.truth), average="binary", prefix="")
    found = {**rates, **{name: scores[name] for name in _BETAS}, **_of_constant(constant)}
    if given.probability is not None and len(set(given.truth.tolist())) == 2:
        found["auc"] = float(metrics.roc_auc_score(given.truth, given.probability))
    return found


def _multiclass(given: Predictions) -> dict[str, float]:
    """The metrics of a classification with several classes, beside those of always answering the commonest one."""
    names, counts = np.unique(given.truth, return_counts=True)
    most = np.full(len(given), names[counts.argmax()], dtype=given.truth.dtype)
    return {
        **_scores(given.truth, given.predicted, average="weighted", prefix="weighted_"),
        **_of_constant(_scores(given.truth, most, average="weighted", prefix="weighted_")),
    }


def _scores(truth: Vector, predicted: Vector, *, average: str, prefix: str) -> dict[str, float]:
    """Accuracy, recall, precision and three F-scores; all but the accuracy have the prefix in their names."""
    found = {"accuracy": float(metrics.accuracy_score(truth, predicted))}
    for name, beta in _BETAS.items():
        precision, recall, score, _ = metrics.precision_recall_fscore_support(
            truth, predicted, beta=beta, average=average, zero_division=0
        )
        found |= {f"{prefix}recall": float(recall), f"{prefix}precision": float(precision)}
        found[f"{prefix}{name}"] = float(score)
    return found


def _of_constant(scores: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}_best_constant_classifier": value for name, value in scores.items()}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _confusion(given: Predictions) -> Document:
    """By true class and predicted class the number of rows."""
    names = np.unique(np.concatenate([given.truth, given.predicted]))
    table = metrics.confusion_matrix(given.truth, given.predicted, labels=names).tolist()
    return {
        str(name): dict(zip(map(str, names.tolist()), row, strict=True))
        for name, row in zip(names.tolist(), table, strict=True)
    }


def _curves(given: Predictions) -> Document:
    """The points of the ROC curve and of the precision-recall curve."""
    false_rates, true_rates, _ = metrics.roc_curve(given.truth, given.probability)
    precisions, recalls, _ = metrics.precision_recall_curve(given.truth, given.probability)
    return {
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": _thinned(false_rates),
            "true_positive_rates": _thinned(true_rates),
        },
        "precision_recall_curve": {"precisions": _thinned(precisions[::-1]), "recalls": _thinned(recalls[::-1])},
    }


def _thinned(values: Vector) -> list[float]:
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), _CURVE_POINTS)).round().astype(int))
    return [float(value) for value in values[places]]


_METRICS: dict[str, Callable[[Predictions], dict[str, float]]] = {
    "Regression": _regression,
    "BinaryClassification": _binary,
    "MulticlassClassification": _multiclass,
}
