"""Makes pretrained.params from photos of other things than the classes: deterministic by data, code and seed.

    python3 pretrain.py --train DIR --output pretrained.params --log pretrained.log

DIR is a channel of records as Stage writes them. Training keeps its layers but the last, whatever the classes were; a
tenth of the photos is held out to measure what was learned. One process of one thread. docs/pretraining.md says from
which data the file beside this script was made.
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
import phases  # noqa: E402
import pretrained  # noqa: E402
import records  # noqa: E402

HOLD_OUT = 10  # one photo in so many


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(prog="pretrain.py", description=__doc__, allow_abbrev=False)
    flags.add_argument("--train", type=Path, required=True, help="channel of records with photos of other things")
    flags.add_argument("--output", type=Path, default=pretrained.FILE)
    flags.add_argument("--log", type=Path, help="file for a line an epoch, beside standard output")
    flags.add_argument("--epochs", type=int, default=12)
    flags.add_argument("--batch-size", type=int, default=64)
    flags.add_argument("--learning-rate", type=float, default=0.1)
    flags.add_argument("--image-size", type=int, default=32, help="pixels a side")
    flags.add_argument("--seed", type=int, default=1)
    return flags


def run(flags: argparse.Namespace) -> None:
    """Train, and write the weights."""
    recipe = fitting.Recipe(
        epochs=flags.epochs, batch_size=flags.batch_size, learning_rate=flags.learning_rate, average=0.995,
        outlier_share=1 / 32, pretrained=False, strength=augmentation.Strength(jpeg=0.5, jpeg_quality=50),
    )  # fmt: skip
    cv2.setNumThreads(0)
    size = (flags.image_size, flags.image_size)
    about = records.about(flags.train)
    lines: list[str] = [f"classes={','.join(about['classes'])} count={about['count']} sha256={about['sha256']}"]

    def report(line: str, _epoch: int = 0) -> None:
        lines.append(line)
        print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="pixels-") as name:
        records.decode(flags.train / records.RECORDS, size, Path(name))
        pixels = records.mapped(Path(name), size)
        records.check(pixels, about["classes"], HOLD_OUT)
        phase = phases.plan(pixels.labels, HOLD_OUT, flags.seed)[0]
        statistics = phases.colour_statistics(pixels.images)
        channel = fitting.Channel(pixels, *statistics, len(about["classes"]), pixels.images[:0])
        fit = fitting.fit(phase, channel, recipe, report)
    pretrained.save(fit.weights, flags.output)
    report(f"output={flags.output.name} sha256={hashlib.sha256(flags.output.read_bytes()).hexdigest()}")
    if flags.log:
        flags.log.write_text("\n".join(lines) + "\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 1 with a sentence on stderr when the photos cannot be trained on."""
    try:
        run(parser().parse_args(arguments))
    except (records.DataError, fitting.TrainingError) as error:
        print(f"pretrain.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
