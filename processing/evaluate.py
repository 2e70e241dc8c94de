"""Scores a model artifact on the test records, as served: every photo goes through the handler that ships inside it.

    python3 processing/evaluate.py --model MODEL.tar.gz --test DIR --output DIR [--champion-model DIR_OR_TAR
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
import importlib
import json
import os
import shutil
import struct
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before MXNet: photos are small, and figures must not depend on the machine

import mxnet as mx
import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

ARTIFACT, RECORDS, ABOUT = "model.tar.gz", "images.rec", "dataset.json"
MAX_ARTIFACT_BYTES = 1 << 30  # unpacked
MAX_MEMBERS = 1000
VERIFICATION_PHOTOS = 20  # of each class, and no more than
MAX_VERIFICATION = 60  # in all: a deployment waits for them
MAX_POINTS = 2000  # of what is listed photo by photo: evaluation.json stays small whatever the test set
# What an artifact says of itself, and is read here.
ABOUT_MODEL = {
    "classes": list, "threshold": float, "temperature": float, "target_precision": float, "versions": dict,
    "out_of_fold": dict,
}  # fmt: skip
BATCH = 32

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class EvaluationError(Exception):
    """The model or the test records cannot be scored; the message is one sentence."""


@dataclass(frozen=True)
class Photos:
    """The encoded test photos, their class indices, and the class names."""

    bodies: list[bytes]
    labels: Ints
    classes: list[str]


@dataclass(frozen=True)
class Served:
    """A loaded artifact.

    Its model.json, probabilities of encoded photos through its handler, and its metrics module.
    """

    folder: Path
    about: dict[str, Any]
    probabilities: Callable[[Sequence[bytes]], Floats]
    metrics: ModuleType
    strangers: ModuleType | None


def unpack(model: Path, folder: Path) -> Path:
    """The artifact's folder: `model` itself when it is one, or `folder` once model.tar.gz is unpacked into it.

    Members must be plain files and folders inside; sizes and number are bounded. EvaluationError otherwise.
    """
    if (model / "model.json").is_file():
        return model
    if model.is_dir():
        model = model / ARTIFACT
    if not model.is_file():
        raise EvaluationError(f"there is no model artifact at {model}")
    size = 0
    try:
        with tarfile.open(model, "r:gz") as tar:
            for number, member in enumerate(tar, start=1):
                size += member.size
                if number > MAX_MEMBERS or size > MAX_ARTIFACT_BYTES:
                    raise EvaluationError(
                        f"{model} unpacks to more than {MAX_MEMBERS} files or {MAX_ARTIFACT_BYTES} bytes"
                    )
                if not (member.isfile() or member.isdir()):
                    raise EvaluationError(f"{model} holds {member.name!r}, which is neither a file nor a folder")
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise EvaluationError(f"{model} cannot be unpacked: {error}") from error
    return folder


@contextmanager
def _importing_from(code: Path) -> Iterator[None]:
    """Modules are found in `code` first, and forgotten after: two artifacts bring files of the same names."""
    names = {path.stem for path in code.glob("*.py")}
    hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(code))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(code))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


def load(folder: Path) -> Served:
    """Load an unpacked artifact through its own handler. EvaluationError when it does not load."""
    code = folder / "code"
    if not (code / "inference.py").is_file():
        raise EvaluationError("code/inference.py is missing in the model artifact")
    dont_write, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # the artifact's folder stays as it is
    try:
        with _importing_from(code):
            handler = importlib.import_module("inference")
            metrics = importlib.import_module("metrics")
            strangers = importlib.import_module("strangers") if (code / "strangers.py").is_file() else None
            model = handler.model_fn(str(folder))
    except Exception as error:  # code of the artifact: whatever it raises means that it does not load
        raise EvaluationError(
            f"the model does not load through its handler: {type(error).__name__}: {error}"
        ) from error
    finally:
        sys.dont_write_bytecode = dont_write

    def probabilities(bodies: Sequence[bytes]) -> Floats:
        parts = []
        for at in range(0, len(bodies), BATCH):
            try:
                images = [handler.input_fn(body, content_type(body)) for body in bodies[at : at + BATCH]]
                parts.append(handler.predict_fn(np.concatenate(images), model))
            except Exception as error:  # code of the artifact
                where = f"photos {at} to {min(at + BATCH, len(bodies)) - 1}"
                raise EvaluationError(f"the handler fails on {where}: {type(error).__name__}: {error}") from error
        return np.concatenate(parts)

    return Served(folder, _about(folder), probabilities, metrics, strangers)


def _about(folder: Path) -> dict[str, Any]:
    """What model.json says; EvaluationError when it lacks what is read here, as a foreign artifact's may."""
    about = _read_json(folder / "model.json")
    for name, kind in ABOUT_MODEL.items():
        if name not in about:
            raise EvaluationError(f"the artifact's model.json says no {name!r}: it was not written by this training")
        if not isinstance(about[name], (kind, int) if kind is float else kind):
            raise EvaluationError(f"{name!r} in the artifact's model.json is {about[name]!r:.80}, no {kind.__name__}")
    return about


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object; EvaluationError when the file is missing or holds none."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise EvaluationError(f"{path} is missing") from None
    except ValueError as error:
        raise EvaluationError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise EvaluationError(f"{path.name} holds no JSON object")
    return content


def content_type(body: bytes) -> str:
    """The media type by the first bytes."""
    return "image/png" if body.startswith(b"\x89PNG") else "image/jpeg"


def read_photos(channel: Path) -> Photos:
    """All test records of a channel. EvaluationError when files are missing or there is no record."""
    if not (channel / RECORDS).is_file():
        raise EvaluationError(f"{channel / RECORDS} is missing")
    classes = _read_json(channel / ABOUT).get("classes")
    if not isinstance(classes, list) or not classes:
        raise EvaluationError(f"{channel / ABOUT} names no classes")
    bodies, labels = [], []
    try:
        reader = mx.recordio.MXRecordIO(str(channel / RECORDS), "r")
        while (record := reader.read()) is not None:
            header, body = mx.recordio.unpack(record)
            bodies.append(body)
            labels.append(int(header.label))
        reader.close()
    except (mx.MXNetError, struct.error, TypeError, ValueError) as error:
        # MXNet's text is a C++ stack; its first line says what is wrong.
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise EvaluationError(f"{channel / RECORDS} is damaged after {len(bodies)} photos: {reason[0]}") from error
    if not bodies:
        raise EvaluationError(f"{channel / RECORDS} holds no photo to evaluate on")
    if min(labels) < 0 or max(labels) >= len(classes):
        raise EvaluationError(
            f"{channel / RECORDS} has labels from {min(labels)} to {max(labels)}, of {len(classes)} classes"
        )
    return Photos(bodies, np.array(labels, np.int64), classes)


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
        except EvaluationError as error:
            raise EvaluationError(f"the approved version, which this one is compared with: {error}") from error
    about = {key: str(champion.about.get(key, "")) for key in ("seed", "code_sha256", "data_sha256")}
    champion_right = answers == photos.labels
    compared = compare(right, champion_right, tolerance)
    return {"present": True, "comparable": True, "accuracy": float(champion_right.mean()), **about, **compared}


def refusal(served: Served) -> dict[str, Any]:
    """Share of photos of something else that the model accepts, by kind and in all.

    Empty when the artifact draws none.
    """
    if served.strangers is None:
        return {}
    shares = {
        kind: float((served.probabilities(bodies).max(axis=1) >= served.about["threshold"]).mean())
        for kind, bodies in served.strangers.photos().items()
    }
    return {"share_accepted": float(np.mean(list(shares.values()))), "by_kind": shares}


def evaluate(served: Served, photos: Photos, champion: Path | None, tolerance: float) -> tuple[dict[str, Any], Floats]:
    """Everything that evaluation.json says, and the probabilities (n, classes) it was worked out from."""
    about, metrics = served.about, served.metrics
    if about["classes"] != photos.classes:
        raise EvaluationError(
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
            "strangers_accepted": strangers.get("share_accepted", 0.0),
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
    """The epochs that the artifact's history.json lists; EvaluationError when it lists none."""
    try:
        history = json.loads((folder / "history.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise EvaluationError(f"the artifact's history.json is missing or not JSON: {error}") from error
    if not isinstance(history, list):
        raise EvaluationError("the artifact's history.json is no list of epochs")
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
        with _importing_from(served.folder / "code"):
            picture = importlib.import_module("picture")
        picture.draw(
            flags.output / "evaluation.png", report, probabilities, photos.bodies, photos.labels, served.about, history
        )
    write_verification(flags.output / "verification", photos, probabilities)
    return report


def parser() -> argparse.ArgumentParser:
    """The flags, with SageMaker's places as defaults."""
    flags = argparse.ArgumentParser(prog="evaluate.py", description=__doc__, allow_abbrev=False)
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
    message = os.environ.get("PROCESSING_MESSAGE", "/opt/ml/output/message")
    flags.add_argument("--message", type=Path, default=message, help="where a failure's sentence goes")
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 1 with a sentence on stderr and in --message."""
    flags = parser().parse_args(arguments)
    if not 0 <= flags.tolerance <= 1:
        parser().error(f"argument --tolerance: {flags.tolerance} is not between 0 and 1")
    try:
        gate = run(flags)["gate"]
    except (EvaluationError, OSError) as error:
        reason = str(error) if isinstance(error, EvaluationError) else f"reading or writing failed: {error}"
        print(f"evaluate.py: {reason}", file=sys.stderr)
        try:
            flags.message.parent.mkdir(parents=True, exist_ok=True)
            flags.message.write_text(reason[:1000] + "\n", "utf-8")
        except OSError:
            pass  # the sentence is on stderr; a full disk must not hide it
        return 1
    print(" ".join(f"{name}={value:.4f}" for name, value in gate.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
