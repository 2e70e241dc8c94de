"""Scores a model artifact on the test records, as served: every photo goes through the handler that ships inside it.

    python3 -m processing.evaluate --model MODEL.tar.gz --test DIR --output DIR [--champion-model DIR_OR_TAR
    --tolerance 0.02]

Writes evaluation.json (SageMaker's model-quality shape, and under `gate` the figures that decide), evaluation.png,
history.json, and verification/: labelled photos and what was answered to them, with which a deployment can be checked.
What each figure means is said in metrics.py, which the artifact carries. The test photos are used here only: training
has no input that reaches them, and nothing is fitted on them; temperature and thresholds come from the artifact.

The champion is the version approved now. It must be an *input* of the processing step, not something this script
looks up: the step cache compares inputs, so a new champion then leads to a new evaluation, not to a stale one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Before MXNet: photos are small, and figures must not depend on the machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from processing import job
from processing.evaluate import out_of_distribution, picture
from processing.evaluate.artifact import ARTIFACT, Floats, Served, content_type, load, unpack
from processing.evaluate.champion import judge_champion
from processing.evaluate.test_set import Ints, Photos, read_photos
from processing.job import JobError

VERIFICATION_PHOTOS = 20  # of each class, and no more than
MAX_VERIFICATION = 60  # in all: a deployment waits for them
MAX_POINTS = 2000  # of what is listed photo by photo: evaluation.json stays small whatever the test set


def refusal(served: Served) -> dict[str, Any]:
    """Share of drawn photos of something else that the model accepts, by kind and in all."""
    shares = {
        kind: float((served.probabilities(bodies).max(axis=1) >= served.about["threshold"]).mean())
        for kind, bodies in out_of_distribution.photos().items()
    }
    return {"share_accepted": float(np.mean(list(shares.values()))), "by_kind": shares}


def evaluate(served: Served, photos: Photos, champion: Path | None, tolerance: float) -> tuple[dict[str, Any], Floats]:
    """Everything that evaluation.json says, and the probabilities (n, classes) it was worked out from."""
    about, metrics = served.about, served.metrics
    if about["classes"] != photos.classes:
        raise JobError(
            f"the model knows {','.join(about['classes'])}, but the test records hold {','.join(photos.classes)}"
        )
    probabilities, labels = served.probabilities(photos.bodies), photos.labels
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = predicted == labels
    threshold = float(about["threshold"])
    taken = metrics.accepted(probabilities, labels, threshold)
    rival = judge_champion(champion, photos, right, tolerance)
    strangers = refusal(served)
    by_class = {
        name: {"threshold": limit, **metrics.accepted(probabilities[predicted == at], labels[predicted == at], limit)}
        for at, (name, limit) in enumerate(about["out_of_fold"].get("per_class_thresholds", {}).items())
        if (predicted == at).any()
    }
    coverage, risk = metrics.risk_coverage(confidence, right)
    shown = _spread(len(labels))
    figures = metrics.with_deviations(labels, predicted, len(photos.classes))
    best_constant = np.bincount(labels, minlength=len(photos.classes)).max() / len(labels)
    report = {
        "multiclass_classification_metrics": {
            **figures,
            "accuracy_best_constant_classifier": {"value": float(best_constant), "standard_deviation": 0.0},
            "confusion_matrix": metrics.confusion(labels, predicted, photos.classes),
        },
        "gate": {
            "accuracy": float(right.mean()),
            **taken,
            "strangers_accepted": strangers["share_accepted"],
            "champion_accuracy": float(rival.get("accuracy", 0.0)),
            "not_worse_than_champion": float(rival["not_worse"]),
        },
        "confidence_intervals": _intervals(right, confidence >= threshold),
        "calibration": {
            "nll": metrics.nll(probabilities, labels),
            "ece": metrics.ece(probabilities, labels),
            "brier": metrics.brier(probabilities, labels),
            "bins": metrics.reliability(probabilities, labels),
        },
        "risk_coverage": {
            "aurc": metrics.aurc(confidence, right),
            "coverage": coverage[shown].tolist(),
            "risk": risk[shown].tolist(),
        },
        "per_class_thresholds": by_class,
        "strangers": strangers,
        "champion": rival,
        # Photo by photo, in the order of the records: what monitoring compares the stream with.
        "confidences": [round(float(value), 6) for value in confidence[shown]],
        "correct": right[shown].tolist(),
        "worst_mistakes": metrics.worst_mistakes(probabilities, labels, photos.classes),
        "test": {
            "count": len(labels),
            "per_class": dict(zip(photos.classes, np.bincount(labels).tolist(), strict=False)),
        },
    }
    report["metadata"] = metadata(about, report["gate"])
    return report, probabilities


def _spread(count: int) -> Ints:
    """Row numbers 0 to count - 1, the last included; at most MAX_POINTS of them, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, MAX_POINTS)).round().astype(np.int64))


def _intervals(right: npt.NDArray[np.bool_], taken: npt.NDArray[np.bool_]) -> dict[str, list[float]]:
    """95 % confidence intervals (Wilson, 1927) of the shares under `gate`, as [lower, upper]."""
    parts = {"accuracy": right, "coverage": taken, "accepted_precision": right[taken]}
    found = {}
    for name, part in parts.items():
        if len(part):
            interval = binomtest(int(part.sum()), len(part)).proportion_ci(0.95, method="wilson")
            found[name] = [float(interval.low), float(interval.high)]
    return found


def metadata(about: dict[str, Any], gate: dict[str, float]) -> dict[str, str]:
    """What becomes the package's CustomerMetadataProperties.

    Strings, without the comma, which SageMaker does not allow.
    """
    texts = {key: str(about.get(key, "unknown")) for key in ("data_label", "data_sha256", "code_sha256", "seed")}
    figures = {key: f"{gate[key]:.4f}" for key in ("accuracy", "coverage", "accepted_precision", "strangers_accepted")}
    return {
        "classes": " ".join(about["classes"]),
        "threshold": f"{about['threshold']:.4f}",
        "temperature": f"{about['temperature']:.4f}",
        "target_precision": f"{about['target_precision']:.4f}",
        "versions": " ".join(f"{name}-{version}" for name, version in sorted(about["versions"].items())),
        **texts,
        **figures,
    }


def write_verification(folder: Path, photos: Photos, probabilities: Floats) -> None:
    """The first test photos of each class as files, with labels.json, {file: class}, and answers.json.

    answers.json is what this model answered: {"accuracy": share right of these photos, "answers": {file: answer}}, each
    answer as the endpoint gives it. A deployment that answers otherwise serves another model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels, answers = {}, {}
    each = max(1, min(VERIFICATION_PHOTOS, MAX_VERIFICATION // len(photos.classes)))
    for at, name in enumerate(photos.classes):
        for number, row in enumerate(np.flatnonzero(photos.labels == at)[:each], start=1):
            body = photos.bodies[row]
            file = f"{name}-{number:02d}.{'png' if content_type(body) == 'image/png' else 'jpg'}"
            (folder / file).write_bytes(body)
            labels[file] = name
            mine = dict(zip(photos.classes, probabilities[row].tolist(), strict=True))
            winner = max(mine, key=mine.__getitem__)
            answers[file] = {"label": winner, "confidence": mine[winner], "probabilities": mine}
    right = sum(answers[file]["label"] == name for file, name in labels.items())
    accuracy = right / len(labels)
    for name, content in (("labels", labels), ("answers", {"accuracy": accuracy, "answers": answers})):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")


def _history(folder: Path) -> list[dict[str, Any]]:
    """The epochs that the artifact's history.json lists; JobError when it lists none."""
    try:
        history = json.loads((folder / "history.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise JobError(f"the artifact's history.json is missing or not JSON: {error}") from error
    if not isinstance(history, list):
        raise JobError("the artifact's history.json is no list of epochs")
    return history


def run(flags: argparse.Namespace) -> dict[str, Any]:
    """Evaluate and write all outputs. Returns evaluation.json's content."""
    photos = read_photos(flags.test)
    flags.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="model-") as scratch:
        served = load(unpack(flags.model, Path(scratch)))
        report, probabilities = evaluate(served, photos, flags.champion_model, flags.tolerance)
        text = json.dumps(report, indent=2, sort_keys=True, allow_nan=False)
        (flags.output / "evaluation.json").write_text(text + "\n", "utf-8")
        history = _history(served.folder)
        shutil.copyfile(served.folder / "history.json", flags.output / "history.json")
        picture.draw(
            flags.output / "evaluation.png", report, probabilities, photos.bodies, photos.labels, served.about, history
        )
    write_verification(flags.output / "verification", photos, probabilities)
    return report


def parser() -> argparse.ArgumentParser:
    """The flags, with SageMaker's places as defaults."""
    flags = argparse.ArgumentParser(prog="processing.evaluate", description=__doc__, allow_abbrev=False)
    place = "/opt/ml/processing"
    flags.add_argument(
        "--model", type=Path, default=Path(f"{place}/model/{ARTIFACT}"), help="model.tar.gz, or its folder"
    )
    flags.add_argument("--test", type=Path, default=Path(f"{place}/test"))
    flags.add_argument("--output", type=Path, default=Path(f"{place}/evaluation"))
    flags.add_argument(
        "--champion-model", type=Path, default=Path(f"{place}/champion"), help="may be missing, or hold none"
    )
    flags.add_argument("--tolerance", type=float, default=0.02, help="accuracy that a version may lose to the champion")
    job.add_message_flag(flags)
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 with the reason in --message and on stderr."""
    flags = parser().parse_args(arguments)
    if not 0 <= flags.tolerance <= 1:
        parser().error(f"argument --tolerance: {flags.tolerance} is not between 0 and 1")

    def work() -> None:
        gate = run(flags)["gate"]
        print(" ".join(f"{name}={value:.4f}" for name, value in gate.items()), flush=True)

    return job.run(work, flags.message)


if __name__ == "__main__":
    sys.exit(main())
