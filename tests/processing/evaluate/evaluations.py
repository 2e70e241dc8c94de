"""Runs the evaluation in this process, over data sets and artifacts that tests make."""

import io
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from processing import datasets
from processing.evaluate import __main__ as evaluate
from processing.evaluate import answers
from tests.processing.evaluate.small_artifact import CLASSES, encoded, tinted


def write_photos(folder: Path, bodies: list[bytes], labels: list[int], classes: tuple[str, ...] = CLASSES) -> Path:
    datasets.write(folder, zip(labels, bodies, strict=True), list(classes), label="photos", source="test")
    return folder


def run_evaluation(model: Path, photos: Path, output: Path, *more: str) -> int:
    message = output / "message"
    return evaluate.main(
        ["--model", str(model), "--test", str(photos), "--output", str(output), "--message", str(message), *more]
    )


def answers_of(model: Path, bodies: list[bytes]) -> answers.Answers:
    return answers.result(answers.ask(model, list(CLASSES), bodies))


def pack(folder: Path, target: Path) -> Path:
    with tarfile.open(target, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return target


def tar(target: Path, name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> Path:
    """Write a .tar.gz with one member; its path."""
    with tarfile.open(target, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.type, member.linkname = len(content), kind, "/etc/passwd"
        tar.addfile(member, io.BytesIO(content))
    return target


def spoilt_copy(model: Path, target: Path, file: str, content: bytes) -> Path:
    spoilt = shutil.copytree(model, target)
    (spoilt / file).write_bytes(content)
    return spoilt


def with_others(folder: Path, photos: Path) -> Path:
    """The test records, and 10 blue and 10 green photos of classes that the model does not know."""
    rng = np.random.default_rng(3)
    known = datasets.read(photos)
    others = {name: [lambda tint=tint: encoded(tinted(tint, rng)) for _ in range(10)] for name, tint in SIDES}
    sides: dict[datasets.Side, Any] = {"train": {}, "test": others}
    pairs = zip(known.labels, known.bodies, strict=True)
    datasets.write(folder, pairs, known.classes, label="photos", source="test", side="test", outliers=sides)
    return folder


SIDES = (("fly", 2), ("moth", 1))


def answers_inside(*scores: float) -> answers.Answers:
    """Answers of a model without in-distribution scores, by the confidence for the first class."""
    rows = [
        answers.Prediction(label="ant", confidence=score, probabilities={"ant": score, "bee": 1 - score})
        for score in scores
    ]
    return answers.Answers(rows, list(CLASSES), 0.75, None)
