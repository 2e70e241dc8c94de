"""Makes a version with the jobs of the pipeline, without a cloud, and asks it about many photos at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from loadingbay.story.drift.cameras import CLASSES
from processing import evaluation, statistics
from processing.evaluate import artifact
from processing.evaluate.answers import ask, result
from processing.evaluation import Evaluation
from processing.monitor.captures import Answer, decided
from processing.photo_features import Features, measure_encoded
from processing.statistics import Histogram

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Version:
    """A version that was trained and evaluated in `folder`."""

    folder: Path
    seconds: float  # that its three jobs took

    @property
    def evaluated(self) -> Evaluation:
        """What Evaluate measured of it."""
        found = evaluation.read(self.folder / "evaluation")
        assert found is not None, f"{self.folder} holds no evaluation"
        return found

    @property
    def baseline(self) -> Mapping[str, Histogram]:
        """What Evaluate wrote for Monitor to compare the stream with."""
        return statistics.read(self.folder / "evaluation")


def make(
    base: Path, folder: Path, seed: int, *, labelled: Path | None = None, champion: Path | None = None, epochs: int = 0
) -> Version:
    """Stage, Train and Evaluate as the pipeline runs them.

    `base` holds class folders, `labelled` what people labelled, `champion` is the folder of the approved version.
    `epochs` of 0 are the training's own. The bench ends with the job's last line when a job fails.
    """
    began, classes = time.perf_counter(), ",".join(CLASSES)
    train, test, recent = (folder / name for name in ("train", "test", "recent"))
    folder.mkdir(parents=True, exist_ok=True)
    stage = ["-m", "processing.stage", "--input", base, "--train", train, "--test", test, "--photos", folder / "photos"]
    stage += ["--classes", classes, "--data-label", "photos", "--seed", 1, "--recent", recent]
    _job(stage + (["--labelled", labelled] if labelled else []), folder / "stage.log")
    fit = [ROOT / "training/train.py", "--train", train, "--model-dir", folder / "model"]
    fit += ["--classes", classes, "--seed", seed]
    _job(fit + (["--epochs", epochs] if epochs else []), folder / "train.log")
    evaluate = ["-m", "processing.evaluate", "--model", folder / "model", "--test", test]
    evaluate += ["--output", folder / "evaluation", "--recent", recent]
    _job(evaluate + (["--champion-model", champion / "model"] if champion else []), folder / "evaluate.log")
    return Version(folder, time.perf_counter() - began)


def _job(command: Sequence[Any], log: Path) -> None:
    """Run a job's command with its output in `log`; the bench ends with the log's last line when it fails."""
    with log.open("wb") as output:
        ended = subprocess.run(
            [sys.executable, "-W", "ignore", *map(str, command)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    if ended.returncode:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        sys.exit(f"{log} ends with: {' '.join(last)}")


def answers(version: Version, photos: Sequence[tuple[str, bytes]]) -> pd.DataFrame:
    """What the version answers to (label, encoded photo) pairs, in the table in which Monitor has captured answers.

    In addition the columns `shown` (the label) and the features of each photo.
    """
    loaded = artifact.load(version.folder / "model", version.folder / "unpacked")
    bodies = [body for _, body in photos]
    given = result(ask(loaded.folder, list(CLASSES), bodies))
    least = given.in_distribution_threshold
    rows = [
        Answer(
            str(number), str(number), 0, "", one["label"], one["confidence"], given.threshold,
            float("nan") if least is None else one["in_distribution"], float("nan") if least is None else least,
            False, "photos", Path(), 0,
        )
        for number, one in enumerate(given.predictions)
    ]  # fmt: skip
    features = np.array([measure_encoded(body) for body in bodies], np.float64)
    return decided(pd.DataFrame(rows, columns=Answer._fields)).assign(
        shown=[label for label, _ in photos], **dict(zip(Features._fields, features.T, strict=True))
    )
