"""5-fold cross-validation of the training job's recipe on its own training photos: no test photo is read.

    .venv-image/bin/python bench/model/crossval.py --train DIR --output crossval.json [--epochs N] [--seed 1]

Each fold is trained as the training job trains its own, and predicts the photos that it held out. The temperature and
the threshold are fitted on all of these predictions together, as the job does.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"
os.environ["MXNET_ENGINE_TYPE"] = "NaiveEngine"

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

TRAINING = str(Path(__file__).resolve().parents[2] / "training")
sys.path.insert(0, TRAINING)
# The processes that train folds are new ones, and must find the modules too.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [TRAINING, os.environ.get("PYTHONPATH", "")]))

import fitting  # noqa: E402
import numpy as np  # noqa: E402
import phases  # noqa: E402
import records  # noqa: E402
import train  # noqa: E402

FOLDS = 5


def main() -> None:
    """Train the folds, calibrate, and write the figures."""
    own = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own.add_argument("--output", type=Path, required=True)
    given, rest = own.parse_known_args()
    classes = records.about(Path(rest[rest.index("--train") + 1]))["classes"]
    flags = train.parser().parse_args([*rest, "--classes", ",".join(classes), "--folds", str(FOLDS)])
    recipe = fitting.Recipe(epochs=flags.epochs, batch_size=flags.batch_size, learning_rate=flags.learning_rate)
    size = (flags.image_size, flags.image_size)
    with tempfile.TemporaryDirectory(prefix="crossval-") as name:
        scratch = Path(name)
        train.load_channel(flags.train, classes, size, FOLDS, scratch)
        pixels = records.mapped(scratch, size)
        folds = phases.plan(pixels.labels, FOLDS, flags.seed)[:-1]
        mean, std = phases.colour_statistics(pixels.images)
        outcomes = phases.run_all(
            folds, phases.Job(scratch, size, mean, std, len(classes), recipe, scratch), flags.workers
        )
        logits = np.empty((len(pixels), len(classes)), np.float32)
        for fold, outcome in zip(folds, outcomes, strict=True):
            logits[fold.held_out] = outcome.logits
        temperature, figures = train.calibrate(logits, pixels.labels, flags)
    by_fold = [
        float((o.logits.argmax(1) == pixels.labels[f.held_out]).mean()) for f, o in zip(folds, outcomes, strict=True)
    ]
    found = {"folds": FOLDS, "seed": flags.seed, "temperature": temperature, "accuracy_by_fold": by_fold, **figures}
    given.output.write_text(json.dumps(found) + "\n", "utf-8")


if __name__ == "__main__":
    main()
