"""Scores a model artifact on the test records, as served: every photo goes through the handler that ships inside it.

    python3 -m processing.evaluate --model MODEL.tar.gz --test DIR --output DIR [--champion-model DIR_OR_TAR
    --tolerance 0.02] [--recent DIR]

Writes evaluation.json (SageMaker's model-quality shape, and under `gate` the figures that decide), evaluation.png,
history.json, statistics.json (what the test photos look like, in SageMaker's form), and verification/: labelled photos
and what was answered to them, with which a deployment can be checked.
docs/evaluation.md says what each figure means. The test photos are used here only: training has no input that reaches
them, and nothing is fitted on them; temperature and thresholds come from the artifact.

The champion is the version approved now. It must be an *input* of the processing step, not something this script
looks up: the step cache compares inputs, so a new champion then leads to a new evaluation, not to a stale one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from processing import datasets, evaluation, job, statistics
from processing.datasets import Photos
from processing.evaluate import artifact, champion, drawn, recent, verification
from processing.evaluate.answers import Answers, ask, result
from processing.evaluate.artifact import Artifact
from processing.evaluation import Evaluation
from processing.job import JobError
from processing.photo_features import Features, measure_encoded
from processing.statistics import Histogram


def run(flags: argparse.Namespace) -> Evaluation:
    """Evaluate and write all outputs; what evaluation.json says."""
    photos, others = _read_test(flags.test)
    lately = _read_recent(flags.recent, photos.classes)
    kinds = drawn.photos()
    flags.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="models-") as scratch:
        model = artifact.load(flags.model, Path(scratch) / "model")
        classes = model.about["classes"]
        if classes != photos.classes:
            raise JobError(f"the model knows {','.join(classes)}, but the test records hold {','.join(photos.classes)}")
        sets = [photos.bodies, *others.values(), *kinds.values(), lately.bodies]
        asked = ask(model.folder, classes, [body for bodies in sets for body in bodies])
        asked_of_both = [*photos.bodies, *lately.bodies]
        rival = _ask_champion(flags.champion_model, photos.classes, asked_of_both, Path(scratch) / "champion")
        # The figures and the picture need libraries that take seconds to load: the models answer meanwhile.
        from processing.evaluate import picture, report

        answered = iter(_divided(result(asked), sets))
        answers = next(answered)
        champions = _champions(rival[1]) if rival else None
        theirs = _divided(champions, [photos.bodies, lately.bodies]) if champions else None
        of_others = {name: next(answered) for name in others}
        of_drawn = {kind: next(answered) for kind in kinds}
        of_lately = next(answered)
        found = report.build(
            model.about,
            artifact.metrics(model),
            photos,
            answers,
            others=of_others,
            drawn=of_drawn,
            rival=(rival[0], theirs[0] if theirs else None) if rival else None,
            recently=recent.judge(
                lately,
                of_lately,
                theirs[1] if theirs else None,
                same_network=rival is not None and champion.same_network(model, rival[0]),
            ),
            tolerance=flags.tolerance,
        )
        evaluation.write(flags.output, found)
        statistics.write(flags.output, _baseline(photos, answers, lately, of_lately))
        shutil.copyfile(model.folder / artifact.HISTORY, flags.output / evaluation.HISTORY)
    picture.draw(flags.output / "evaluation.png", found, answers, photos, model)
    verification.write(flags.output / "verification", photos, answers)
    return found


def _read_test(channel: Path) -> tuple[Photos, Mapping[str, list[bytes]]]:
    """The test photos, and the photos of other classes by class. JobError when there is no test photo."""
    photos = datasets.read(channel)
    if not photos.bodies:
        raise JobError(f"{channel / datasets.PHOTOS} holds no photo to evaluate on")
    return photos, datasets.read_outliers(channel, "test")


def _read_recent(folder: Path | None, classes: list[str]) -> Photos:
    """The recent test photos; none when there is no such folder. JobError when they are of other classes."""
    if folder is None or not (folder / datasets.ABOUT).is_file():
        return Photos([], [], classes)
    photos = datasets.read(folder)
    if photos.classes != classes:
        raise JobError(f"the recent photos are of {','.join(photos.classes)}, the test photos of {','.join(classes)}")
    return photos


def _baseline(photos: Photos, answers: Answers, lately: Photos, of_lately: Answers) -> dict[str, Any]:
    """The statistics with which Monitor compares the stream: what photos look like, and the model's confidence.

    The photos are the recent ones where there are enough, else the test photos: a version that was trained because the
    stream had changed must not be compared with the stream from before.
    """
    from processing.evaluate.report import spread  # loads what takes seconds

    bodies = photos.bodies
    if len(lately.bodies) >= evaluation.MIN_RECENT:
        bodies, answers = lately.bodies, of_lately
    rows = [measure_encoded(bodies[row]) for row in spread(len(bodies))]
    table = np.array([row for row in rows if row is not None], np.float64).reshape(-1, len(Features._fields))
    columns = {**dict(zip(Features._fields, table.T, strict=True)), "confidence": answers.confidence}
    histograms = {name: Histogram.of(values) for name, values in columns.items() if len(values)}
    return statistics.describe(columns, histograms, max(map(len, columns.values())))


def _divided(answers: Answers, sets: Sequence[Sequence[bytes]]) -> list[Answers]:
    """The answers to the sets of photos, which were asked one after the other."""
    parts, at = [], 0
    for bodies in sets:
        parts.append(answers[at : at + len(bodies)])
        at += len(bodies)
    return parts


def _ask_champion(
    place: Path | None, classes: list[str], bodies: Sequence[bytes], scratch: Path
) -> tuple[Artifact, Future[Answers] | None] | None:
    """Load the champion and begin to ask it about the photos; None when there is no champion.

    Returns its artifact and the answers to come, None for the latter where it knows other classes.
    """
    if place is None or not champion.is_there(place):
        return None
    try:
        rival = artifact.load(place, scratch)
    except JobError as error:
        raise _of_champion(error) from error
    return rival, ask(rival.folder, classes, bodies) if rival.about["classes"] == classes else None


def _champions(asked: Future[Answers] | None) -> Answers | None:
    try:
        return result(asked) if asked else None
    except JobError as error:
        raise _of_champion(error) from error


def _of_champion(error: JobError) -> JobError:
    return JobError(f"the approved version, which this one is compared with: {error}")


def parser() -> argparse.ArgumentParser:
    """The flags, with SageMaker's places as defaults."""
    flags = argparse.ArgumentParser(prog="processing.evaluate", description=__doc__, allow_abbrev=False)
    place = "/opt/ml/processing"
    flags.add_argument(
        "--model", type=Path, default=Path(f"{place}/model/{artifact.ARTIFACT}"), help="model.tar.gz, or its folder"
    )
    flags.add_argument("--test", type=Path, default=Path(f"{place}/test"))
    flags.add_argument("--recent", type=Path, help="photos of the stream that people labelled; may be missing")
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
    # Photos are small, and figures must not depend on the machine: MXNet reads this in the processes that ask models.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

    def work() -> None:
        gate = run(flags)["gate"]
        print(" ".join(f"{name}={value:.4f}" for name, value in gate.items()), flush=True)

    return job.run(work, flags.message)


if __name__ == "__main__":
    sys.exit(main())
