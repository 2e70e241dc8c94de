"""Trains the classifier, writes the artifact: `python3 train.py --train DIR --model-dir DIR --classes A,B`.

The networks of k folds give out-of-fold predictions, from which the temperature and both thresholds are fitted; the
network that ships learns from all photos. All start from pretrained.params, unless told not to. Every network trains on
one thread in a process of its own, so the result depends on seed, code and data, and not on how many cores there are.
The test set is not among the inputs: nothing here can reach it.
"""

from __future__ import annotations

import os

# Before MXNet is imported: one thread a process, for two processes beat two threads, and the engine that runs operators
# in program order. The threaded one gave other weights from run to run, and is no faster with one thread.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["MXNET_ENGINE_TYPE"] = "NaiveEngine"

import argparse  # noqa: E402
import dataclasses  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import artifact  # noqa: E402
import calibration  # noqa: E402
import cluster  # noqa: E402
import costs  # noqa: E402
import cv2  # noqa: E402
import decision  # noqa: E402
import fitting  # noqa: E402
import heads  # noqa: E402
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402
import outliers  # noqa: E402
import phases  # noqa: E402
import PIL  # noqa: E402
import pretrained  # noqa: E402
import progress  # noqa: E402
import quantization  # noqa: E402
import records  # noqa: E402
import thresholds  # noqa: E402
import torch_weights  # noqa: E402

FAULTS = (
    records.DataError, fitting.TrainingError, pretrained.PretrainedError, torch_weights.WeightsError,
    json.JSONDecodeError,
)  # fmt: skip


def _number(kind: type, low: float, high: float) -> Callable[[str], Any]:
    """An argparse type: a number of `kind` within [low, high], in ASCII digits."""

    def parse(text: str) -> Any:
        try:
            value = kind(text if text.isascii() and "_" not in text else "")
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not {'a whole number' if kind is int else 'a number'}"
            ) from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return parse


def _classes(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) < 2 or not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} does not name two or more different classes, separated by commas")
    return names


def parser() -> argparse.ArgumentParser:
    """The flags; SageMaker passes hyperparameters as flags, and places as SM_* variables."""
    env = os.environ.get
    flags = argparse.ArgumentParser(prog="train.py", description=__doc__, allow_abbrev=False)
    flags.add_argument("--classes", type=_classes, required=True, help="class names, separated by commas")
    flags.add_argument("--epochs", type=_number(int, 1, 10_000), default=20)
    flags.add_argument("--batch-size", type=_number(int, 2, 4096), default=32)
    flags.add_argument("--learning-rate", type=_number(float, 1e-6, 10), default=0.1, help="the highest, after warm-up")
    flags.add_argument("--seed", type=_number(int, 0, 2**31 - 1), default=1)
    flags.add_argument("--target-precision", type=_number(float, 0.5, 0.9999), default=0.97, help="of accepted answers")
    flags.add_argument("--confidence-level", type=_number(float, 0.5, 0.9999), default=0.9, help="of its lower bound")
    wrong_bay = "of a wrong answer that is accepted: none, 5, or bicycle=2,motorcycle=10; sets the threshold"
    flags.add_argument("--cost-of-wrong-bay", default=costs.NONE, help=wrong_bay)
    flags.add_argument("--cost-of-review", default="1", help="of an answer that is not accepted")
    flags.add_argument("--folds", type=_number(int, 2, 20), default=3)
    flags.add_argument("--pretrained", choices=("yes", "no"), default="yes", help="start from the weights that ship")
    flags.add_argument(
        "--second-opinion-below",
        type=_number(float, 0, 1),
        default=0.995,
        help="confidence and in_distribution below which a large network is asked too: 0 never, 1 always",
    )
    flags.add_argument("--image-size", type=_number(int, 16, 256), default=32, help="pixels a side")
    flags.add_argument("--code-sha256", default="unknown", help="hash of this code, for the record")
    # Where things are.
    flags.add_argument("--train", type=Path, default=Path(env("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train")))
    flags.add_argument("--model-dir", type=Path, default=Path(env("SM_MODEL_DIR", "/opt/ml/model")))
    checkpoints = Path(env("SM_MODEL_DIR", "/opt/ml/model")).parent / "checkpoints"
    flags.add_argument("--checkpoints", type=Path, default=checkpoints, help="used when the folder exists")
    flags.add_argument("--parameter-server-port", type=_number(int, 1, 65535), default=9091, help="on the first host")
    flags.add_argument("--workers", type=_number(int, 1, 64), default=len(os.sched_getaffinity(0)), help="processes")
    return flags


def load_channel(folder: Path, classes: list[str], size: tuple[int, int], folds: int, scratch: Path) -> dict[str, Any]:
    """Decode the channel into `scratch` and check it against the flags. Returns its dataset.json.

    The folders below it are those that phases.py names: the channel's photos of other things where it has any, crops of
    natural photographs, and the training photos saved as JPEG.
    """
    about = records.about(folder)
    if about["classes"] != classes:
        raise records.DataError(
            f"the training records hold the classes {','.join(about['classes'])}, but --classes is {','.join(classes)}"
        )
    records.decode(folder / records.RECORDS, size, scratch, about)
    photos = records.mapped(scratch, size)
    records.check(photos, classes, folds)
    crops = outliers.CROPS  # half a millisecond each, and only the head learns from them where there are others
    if (folder / records.OUTLIERS).is_file():
        records.decode(folder / records.OUTLIERS, size, scratch / phases.OUTLIERS, about)
        crops = min(crops, heads.crops_for(photos))
    records.keep(outliers.crops(size, crops), scratch / phases.CROPS)
    records.keep(heads.saved(photos.images), scratch / phases.SAVED)
    return about


def recipe_of(flags: argparse.Namespace) -> fitting.Recipe:
    """The recipe that the flags ask for."""
    return fitting.Recipe(
        epochs=flags.epochs,
        batch_size=flags.batch_size,
        learning_rate=flags.learning_rate,
        pretrained=flags.pretrained == "yes",
    )


def fingerprint(flags: argparse.Namespace, recipe: fitting.Recipe, *data_sha256: str) -> str:
    """Names a run for its checkpoints: equal when, and only when, the same networks come out of it."""
    decides = [flags.code_sha256, *data_sha256, flags.classes, flags.seed, flags.folds, flags.image_size]
    return hashlib.sha256(json.dumps([*decides, dataclasses.asdict(recipe)]).encode()).hexdigest()


def run(flags: argparse.Namespace) -> dict[str, Any] | None:
    """Train, calibrate and write the artifact. Returns model.json's content; None on hosts but the first."""
    began = time.perf_counter()
    cv2.setNumThreads(0)  # threads would not survive the forks in phases.py
    size = (flags.image_size, flags.image_size)
    recipe = recipe_of(flags)
    hosts = cluster.Cluster.from_environment(os.environ)
    if hosts.size > flags.batch_size:
        raise fitting.TrainingError(
            f"--batch-size {flags.batch_size} is smaller than the number of hosts, {hosts.size}"
        )
    flags.model_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pixels-") as name:
        scratch = Path(name)
        about = load_channel(flags.train, flags.classes, size, flags.folds, scratch)
        labels = records.mapped(scratch, size).labels
        plan = phases.plan(labels, flags.folds, flags.seed, about.get("labelled", 0))
        mean, std = phases.colour_statistics(records.mapped(scratch, size).images)
        others = hashlib.sha256(phases.others(scratch, size).tobytes()).hexdigest()
        # SageMaker makes the folder when the job asks for checkpoints.
        kept = fitting.Checkpoints(flags.checkpoints, fingerprint(flags, recipe, about["sha256"], others))
        kept_if_asked = kept if flags.checkpoints.is_dir() else None
        asks = flags.second_opinion_below > 0
        work = {phase.name: float(len(phase.rows)) for phase in plan}
        overall = progress.Progress(scratch, work | ({phases.SECOND: phases.SECOND_WORK * len(labels)} if asks else {}))
        job = phases.Job(
            scratch, size, mean, std, len(flags.classes), recipe, flags.model_dir, kept_if_asked, overall, asks
        )

        def in_8_bits() -> quantization.Quantized | None:
            photos = quantization.choose(records.mapped(scratch, size).images)
            return quantization.quantize(flags.model_dir, photos, mean, std) if hosts.rank == 0 else None

        with cluster.parameter_server(hosts, flags.parameter_server_port) as exchange:
            outcomes, quantized = phases.run_all(plan, job, flags.workers, exchange, meanwhile=in_8_bits)
        features = heads.read(scratch / phases.FEATURES) if asks and hosts.rank == 0 else None
    if quantized is None:  # on hosts but the first
        return None
    found = thresholds.OutOfFold.gather(plan, outcomes, len(flags.classes))
    second: dict[str, Any] = {}
    consulted: dict[str, float] = {}
    temperature = calibration.fit_temperature(found.logits[:, :-1], labels)
    if features:
        tested_on = about.get("outliers", {}).get("test", {})
        features = thresholds.with_examples(features, recipe, {*flags.classes, *tested_on})
        opinion, head, found, consulted = thresholds.consult(found, labels, features, plan, flags)
        second = dataclasses.asdict(opinion)
        heads.network().export(flags.model_dir, head.weights, head.bias)
    _, out_of_fold = thresholds.calibrate(found, labels, flags, temperature)
    out_of_fold |= consulted
    by_costs = "costs" in out_of_fold
    model = {
        "classes": flags.classes,
        "image_size": list(size),
        "mean": mean.tolist(),
        "std": std.tolist(),
        "temperature": temperature,
        "threshold": out_of_fold["value"],
        "class_thresholds": out_of_fold.get("class_thresholds", {}),
        "costs": {name: out_of_fold["costs"][name] for name in ("wrong_bay", "review")} if by_costs else {},
        "in_distribution_threshold": out_of_fold["in_distribution_threshold"],
        "second_opinion": second,
        "outliers": about.get("outliers", {}).get("train", {}),
        "target_precision": flags.target_precision,
        "blurred": float(about.get("blurred", 0)),
        "turned": int(about.get("turned", 0)),
        "data_label": about["label"],
        "data_sha256": about["sha256"],
        "code_sha256": flags.code_sha256,
        "seed": flags.seed,
        "versions": {
            "python": platform.python_version(),
            "mxnet": mx.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "pillow": PIL.__version__,
        },
        "hyperparameters": {
            "folds": flags.folds,
            "confidence_level": flags.confidence_level,
            "second_opinion_below": flags.second_opinion_below,
            "hosts": hosts.size,
            **dataclasses.asdict(recipe),
        },
        "out_of_fold": out_of_fold,
    }
    print(quantization.export(flags.model_dir, quantized, decision.Rule.of(model)).line(), flush=True)
    artifact.write(flags.model_dir, model, [entry for outcome in outcomes for entry in outcome.history])
    summarise(out_of_fold, temperature, flags, time.perf_counter() - began)
    return model


def summarise(out_of_fold: dict[str, Any], temperature: float, flags: argparse.Namespace, seconds: float) -> None:
    """One line of figures, and a warning where the target precision is out of reach."""
    figures = {
        "phase": "calibration",
        "out_of_fold_accuracy": f"{out_of_fold['accuracy']:.4f}",
        "out_of_fold_nll": f"{out_of_fold['nll']:.4f}",
        "temperature": f"{temperature:.4f}",
        "threshold": f"{out_of_fold['value']:.4f}",
        "in_distribution_threshold": f"{out_of_fold['in_distribution_threshold']:.4f}",
        "asked_twice": f"{out_of_fold.get('asked', 0):.4f}",
        "coverage": f"{out_of_fold['coverage']:.4f}",
        "accepted_precision": f"{out_of_fold['accepted_precision']:.4f}",
        "seconds": f"{seconds:.1f}",
    }
    print(" ".join(f"{key}={value}" for key, value in figures.items()), flush=True)
    if found := out_of_fold.get("costs"):
        low_high = ", ".join(f"{name} {low:.4f} to {high:.4f}" for name, (low, high) in found["intervals"].items())
        print(
            f"The threshold is where a thousand out-of-fold photos cost least: {found['of_a_thousand']:.1f}; "
            f"95 % bootstrap interval of the threshold: {low_high}.",
            flush=True,
        )
    elif not out_of_fold["target_met"]:
        print(
            f"No threshold is sure to reach the target precision {flags.target_precision:g} on {out_of_fold['count']} "
            f"out-of-fold predictions at confidence level {flags.confidence_level:g}: the best lower bound is "
            f"{out_of_fold['lower_bound']:.4f}, at {out_of_fold['value']:.4f}, and that threshold is used.",
            flush=True,
        )


def parse(known: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The flags that `known` takes. The toolkit adds hyperparameters of its own; others that nobody knows end it."""
    flags, unknown = known.parse_known_args(arguments)
    if unknown := [text for text in unknown if text.startswith("--") and not text.startswith("--sagemaker")]:
        known.error(f"unrecognized arguments: {' '.join(unknown)}")
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, 1 with a sentence on stderr when training failed, 2 for wrong flags."""
    known = parser()
    flags = parse(known, arguments)
    try:
        costs.parse(flags.cost_of_wrong_bay, flags.cost_of_review, flags.classes)
    except ValueError as error:
        known.error(str(error))
    try:
        run(flags)
    except FAULTS as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
