"""Makes pretrained.params from photos of other things than the classes: deterministic by data, code and seed.

It holds weights to start from, and the large network's features of a few of the photos (pretrained.py).

    python3 pretrain.py --train DIR [DIR ...] --output pretrained.params --log pretrained.log

Each DIR is a channel of records as Stage writes them, all of the same classes. Training keeps the layers but the last,
whatever the classes were; one photo in twenty is held out to measure what was learned. One process of one thread.
docs/pretraining.md says from which data the file beside this script was made.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["MXNET_ENGINE_TYPE"] = "NaiveEngine"  # as in train.py: operators in program order, the same bits each time

import argparse  # noqa: E402
import hashlib  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

import augmentation  # noqa: E402
import cv2  # noqa: E402
import fitting  # noqa: E402
import heads  # noqa: E402
import numpy as np  # noqa: E402
import phases  # noqa: E402
import pretrained  # noqa: E402
import records  # noqa: E402
import torch_weights  # noqa: E402
import train  # noqa: E402

HOLD_OUT = 20  # one photo in so many


def parser() -> argparse.ArgumentParser:
    """What the command line takes; in a training job, SageMaker's places are the defaults."""
    env = os.environ.get
    flags = argparse.ArgumentParser(prog="pretrain.py", description=__doc__, allow_abbrev=False)
    channel = Path(env("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
    flags.add_argument("--train", type=Path, nargs="+", default=[channel], help="channels of records")
    folder = Path(env("SM_MODEL_DIR", pretrained.FILE.parent))
    flags.add_argument("--output", type=Path, default=folder / pretrained.FILE.name)
    flags.add_argument("--log", type=Path, help="file for a line an epoch, beside standard output")
    flags.add_argument("--epochs", type=int, default=18)
    flags.add_argument("--batch-size", type=int, default=64)
    flags.add_argument("--learning-rate", type=float, default=0.1)
    flags.add_argument("--image-size", type=int, default=32, help="pixels a side")
    flags.add_argument("--seed", type=int, default=1)
    return flags


def load(channels: Sequence[Path], size: tuple[int, int], scratch: Path) -> tuple[list[str], records.Pixels, list[str]]:
    """(classes, photos, a line a channel for the log) of channels of the same classes, decoded into `scratch`.

    DataError when a channel cannot be read, or has other classes than the first.
    """
    classes: list[str] = []
    parts, lines = [], []
    for number, channel in enumerate(channels):
        about = records.about(channel)
        classes = classes or about["classes"]
        if about["classes"] != classes:
            raise records.DataError(
                f"{channel} holds the classes {','.join(about['classes'])}, but {channels[0]} {','.join(classes)}"
            )
        records.decode(channel / records.RECORDS, size, scratch / str(number))
        parts.append(records.mapped(scratch / str(number), size))
        lines.append(f"classes={','.join(classes)} count={about['count']} sha256={about['sha256']}")
    images, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels"))
    return classes, records.Pixels(images, labels), lines


def run(flags: argparse.Namespace) -> None:
    """Train on the channels of `flags.train`, and write `flags.output` and, where it is asked for, `flags.log`."""
    recipe = fitting.Recipe(
        epochs=flags.epochs, batch_size=flags.batch_size, learning_rate=flags.learning_rate, average=0.995,
        outlier_share=1 / 32, pretrained=False, strength=augmentation.Strength(jpeg=0.5, jpeg_quality=50),
    )  # fmt: skip
    cv2.setNumThreads(0)
    size = (flags.image_size, flags.image_size)

    lines: list[str] = []

    def report(line: str, _epoch: int = 0) -> None:
        lines.append(line)
        print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="pixels-") as name:
        classes, pixels, sources = load(flags.train, size, Path(name))
        for line in sources:
            report(line)
        records.check(pixels, classes, HOLD_OUT)
        phase = phases.plan(pixels.labels, HOLD_OUT, flags.seed)[0]
        statistics = phases.colour_statistics(pixels.images)
        channel = fitting.Channel(pixels, *statistics, len(classes), pixels.images[:0])
        fit = fitting.fit(phase, channel, recipe, report)
        examples = heads.examples(pixels.images, pixels.labels, classes)
    pretrained.save(fit.weights, examples, flags.output)
    report(f"examples={sum(map(len, examples.values()))} classes={len(examples)}")
    report(f"output={flags.output.name} sha256={hashlib.sha256(flags.output.read_bytes()).hexdigest()}")
    if flags.log:
        flags.log.write_text("\n".join(lines) + "\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 1 with a sentence on stderr when the photos cannot be trained on."""
    try:
        run(train.parse(parser(), arguments))
    except (records.DataError, fitting.TrainingError, torch_weights.WeightsError) as error:
        print(f"pretrain.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
