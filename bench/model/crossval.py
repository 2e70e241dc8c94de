"""5-fold cross-validation of the training job's recipe on its own training photos: no test photo is read.

    .venv-image/bin/python bench/model/crossval.py --train DIR --output crossval.json [--epochs N] [--seed 1]
        [--unseen DIR [--without-others] | --others DIR --leave-out truck,cat]

Each fold is trained as the training job trains its own, and predicts the photos that it held out. The temperature and
the thresholds are fitted on all of these predictions together, as the job does. The same photos are asked about once
more after they were saved as JPEG: a network that takes the traces of compression for "other" would refuse them.

Photos of other things that are never learned from tell how many of them are accepted: those of `--unseen`, Stage's test
channel (its test photos are not read), or the classes of `--others`, a channel of other things, that are left out. With
`--without-others` no photo of other things is learned from, as where the data have none.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["MXNET_ENGINE_TYPE"] = "NaiveEngine"

import argparse  # noqa: E402
import dataclasses  # noqa: E402
import json  # noqa: E402
import shutil  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from multiprocessing import get_context  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

TRAINING = str(Path(__file__).resolve().parents[2] / "training")
sys.path.insert(0, TRAINING)
# The processes that train folds are new ones, and must find the modules too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [TRAINING, os.environ.get("PYTHONPATH", "")]))

import calibration  # noqa: E402
import decision  # noqa: E402
import fitting  # noqa: E402
import heads  # noqa: E402
import numpy as np  # noqa: E402
import outliers  # noqa: E402
import phases  # noqa: E402
import records  # noqa: E402
import thresholds  # noqa: E402
import train  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

FOLDS = 5


@dataclasses.dataclass(frozen=True)
class Fold:
    """What a fold's network says of the photos held out, of these saved as JPEG, and of photos of other things.

    `jpeg` and `strange` are the small network's logits; `large` holds the large one's features of both, where it is
    asked too.
    """

    held_out: phases.Outcome
    jpeg: Any
    strange: Any
    large: list[Any]
    seconds: float


def one_fold(fold: fitting.Phase, job: phases.Job, unseen: Path) -> Fold:
    """Train a fold as the training job does, and ask its network also about photos in `unseen`."""
    began = time.process_time()
    channel = phases.channel(job)
    fit = fitting.fit(fold, channel, job.recipe, lambda line, epoch: None)
    seconds = time.process_time() - began
    rng = np.random.default_rng(fold.seed)
    saved = heads.recompressed(channel.pixels.images[fold.held_out], rng)
    parts = [records.Pixels(saved, fold.held_out), records.mapped(unseen, job.size)]
    jpeg, strange = (
        fitting.predict(fit.net, dataclasses.replace(channel, pixels=part), np.arange(len(part))) for part in parts
    )
    large = heads.network() if job.second else None
    seen = [large.features(part.images) for part in parts if len(part)] if large else []
    return Fold(phases.outcome(fit, fold, channel, job), jpeg, strange, seen, seconds)


def accepted(logits: Any, temperature: float, figures: dict[str, Any]) -> Any:
    """(n,) bool: the answers that reach both thresholds."""
    answers = decision.answers(logits, temperature)
    return (answers[:, :-1].max(axis=1) >= figures["value"]) & (answers[:, -1] >= figures["in_distribution_threshold"])


def unseen_of(channel: Path, size: tuple[int, int], folder: Path) -> list[str]:
    """Decode a test channel's photos of other things into `folder`; the class name of each. None, when it has none."""
    if not (channel / records.OUTLIERS).is_file():
        return []
    records.decode(channel / records.OUTLIERS, size, folder)
    names = list(records.about(channel)["outliers"]["test"])
    return [names[label] for label in records.mapped(folder, size).labels]


def share_out(others: Path, leave_out: list[str], size: tuple[int, int], scratch: Path) -> list[str]:
    """Decode a channel of other things: what is learned from into OUTLIERS, the rest into `unseen`. The latter's names.

    Without `leave_out`, all are learned from.
    """
    names = records.about(others)["classes"]
    if missing := set(leave_out) - set(names):
        sys.exit(f"--leave-out names {sorted(missing)[0]}, but the channel holds {', '.join(names)}")
    records.decode(others / records.RECORDS, size, scratch / "all")
    pixels = records.mapped(scratch / "all", size)
    left = np.isin(pixels.labels, [names.index(name) for name in leave_out])
    records.keep(pixels.images[~left], scratch / phases.OUTLIERS)
    records.keep(pixels.images[left], scratch / "unseen")
    return [names[label] for label in pixels.labels[left]]


def refusal(outside: Any, names: list[str], inside: Any, temperature: float, figures: dict[str, Any]) -> dict[str, Any]:
    """How photos of classes never learned from are told apart: accepted share by class, area under the ROC curve.

    `outside` is a list of (n, classes + 1) logits of them, one a fold; `inside` the logits of the photos held out.
    """
    known = decision.log_odds(inside)
    strange = np.concatenate([decision.log_odds(logits) for logits in outside])
    taken = np.mean([accepted(logits, temperature, figures) for logits in outside], axis=0)
    by_class = {name: float(taken[np.array(names) == name].mean()) for name in sorted(set(names))}
    ordered = np.sort(known)
    at_95 = ordered[int(0.05 * len(ordered))]
    return {
        "accepted_by_class": by_class,
        "auroc": float(roc_auc_score(np.repeat([1, 0], [len(known), len(strange)]), np.concatenate([known, strange]))),
        "fpr_at_95_tpr": float((strange >= at_95).mean()),
    }


def as_jpeg_at_best(logits: Any, labels: Any, temperature: float, flags: argparse.Namespace) -> dict[str, float]:
    """What could be accepted of photos saved as JPEG, with a threshold fitted on them and `in_distribution` unasked.

    The rest of the coverage that they lose is refused as other things.
    """
    probabilities = decision.softmax(logits[:, :-1], temperature)
    right, wanted = probabilities.argmax(axis=1) == labels, (flags.target_precision, flags.confidence_level)
    best = calibration.fit_threshold(probabilities.max(axis=1), right, *wanted)
    return {"coverage_as_jpeg_at_best": best.coverage}


def main() -> None:
    """Train the folds, calibrate, and write the figures."""
    own = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--output", type=Path, required=True)
    own.add_argument("--unseen", type=Path, help="Stage's test channel, for its photos of other things")
    own.add_argument("--without-others", action="store_true", help="learn as if the data had only the classes")
    own.add_argument("--others", type=Path, help="channel of photos of other things")
    own.add_argument("--leave-out", default="", help="classes of --others that are not learned from")
    own.add_argument("--folds", type=int, default=FOLDS)
    own.add_argument("--recipe", type=json.loads, default={}, help="JSON of recipe fields to change, to try variants")
    given, rest = own.parse_known_args()
    classes = records.about(Path(rest[rest.index("--train") + 1]))["classes"]
    flags = train.parser().parse_args([*rest, "--classes", ",".join(classes), "--folds", str(given.folds)])
    recipe = dataclasses.replace(train.recipe_of(flags), **given.recipe)
    size = (flags.image_size, flags.image_size)
    with tempfile.TemporaryDirectory(prefix="crossval-") as name:
        scratch = Path(name)
        about = train.load_channel(flags.train, classes, size, given.folds, scratch)
        names: list[str] = []
        records.keep(np.empty((0, *size, 3), np.uint8), scratch / "unseen")
        if given.unseen:
            names = unseen_of(given.unseen, size, scratch / "unseen")
        elif given.others:
            names = share_out(given.others, [name for name in given.leave_out.split(",") if name], size, scratch)
        if given.without_others:
            shutil.rmtree(scratch / phases.OUTLIERS, ignore_errors=True)
            records.keep(outliers.crops(size), scratch / phases.CROPS)
        pixels = records.mapped(scratch, size)
        folds = phases.plan(pixels.labels, given.folds, flags.seed)[:-1]
        job = phases.Job(
            scratch, size, *phases.colour_statistics(pixels.images), len(classes), recipe, scratch,
            second=flags.second_opinion_below > 0,
        )  # fmt: skip
        if job.second:
            phases.measure(job)
            features = heads.read(scratch / phases.FEATURES)
            tested_on = {*names, *about.get("outliers", {}).get("test", {})}
            features = thresholds.with_examples(features, recipe, {*classes, *tested_on})
        with ProcessPoolExecutor(flags.workers, mp_context=get_context("spawn")) as pool:
            waiting = [pool.submit(one_fold, fold, job, scratch / "unseen") for fold in folds]
            outcomes = [future.result() for future in waiting]
        labels = np.array(pixels.labels)
    found = thresholds.OutOfFold.gather(folds, [outcome.held_out for outcome in outcomes], len(classes))
    saved = np.empty_like(found.logits)
    for fold, outcome in zip(folds, outcomes, strict=True):
        saved[fold.held_out] = outcome.jpeg
    outside = [outcome.strange for outcome in outcomes]
    temperature = calibration.fit_temperature(found.logits[:, :-1], labels)
    asked: dict[str, float] = {}
    if job.second:
        # The last of a plan is the final network, which is not among these: its place is held by any fold.
        opinion, _, found, asked = thresholds.consult(found, labels, features, [*folds, folds[-1]], flags)
        for number, (fold, outcome) in enumerate(zip(folds, outcomes, strict=True)):
            head = heads.fit(features, labels, fold.rows, len(classes))
            saved[fold.held_out] = opinion.apply(saved[fold.held_out], head(outcome.large[0]), temperature)
            if names:
                outside[number] = opinion.apply(outside[number], head(outcome.large[1]), temperature)
    _, figures = thresholds.calibrate(found, labels, flags, temperature)
    right = found.logits[:, :-1].argmax(axis=1) == labels
    result = {
        "folds": given.folds,
        "seed": flags.seed,
        "temperature": temperature,
        "accuracy_by_fold": [float(right[fold.held_out].mean()) for fold in folds],
        **figures,
        **asked,
        "accuracy_as_jpeg": float((saved[:, :-1].argmax(axis=1) == labels).mean()),
        "coverage_as_jpeg": float(accepted(saved, temperature, figures).mean()),
        **as_jpeg_at_best(saved, labels, temperature, flags),
        "processor_seconds": sum(outcome.seconds for outcome in outcomes),
        "left_out": given.leave_out,
    }
    if names:
        result |= refusal(outside, names, found.logits, temperature, figures)
    given.output.write_text(json.dumps(result) + "\n", "utf-8")


if __name__ == "__main__":
    main()
