"""Images a second of a training epoch, beside the bare forward and backward pass on ready batches, in one process.

    .venv-image/bin/python bench/model/throughput.py

One thread, as training runs. Rounds of both alternate, so that a busy machine slows both alike; the medians are
compared. Prints one line of JSON.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MXNET_ENGINE_TYPE"] = "NaiveEngine"
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "training"))

import fitting
import mxnet as mx
import numpy as np
import records

PHOTOS, ROUNDS = 960, 7


def bare_pass(fit: fitting.Fit, batches: list) -> None:
    """Forward and backward over ready batches: no drawing of views, no step, no average."""
    for data, targets in batches:
        with mx.autograd.record():
            logits = fit.net.members(data)
            loss = fit.loss(logits, targets.expand_dims(1).broadcast_like(logits))
        loss.backward()
    mx.nd.waitall()


def main() -> None:
    """Measure both rates and print them."""
    rng = np.random.default_rng(0)
    pixels = records.Pixels(rng.integers(0, 256, (PHOTOS, 32, 32, 3)).astype(np.uint8), np.arange(PHOTOS) % 2)
    spread = np.full(3, 64, np.float32)
    rows = np.arange(PHOTOS)
    fit = fitting.Fit(
        fitting.Phase("final", rows, rows[:0], 1),
        fitting.Channel(pixels, spread * 2, spread, 2, pixels.images[:0]),
        fitting.Recipe(epochs=1000),
    )
    batches = list(fit.batches(0))
    images = sum(len(data) for data, _ in batches)
    bare, epoch = [], []
    for _ in range(ROUNDS + 1):  # the first warms up
        for rates, work in ((bare, lambda: bare_pass(fit, batches)), (epoch, fit.train_epoch)):
            began = time.process_time()
            work()
            rates.append(images / (time.process_time() - began))
    bare_rate, epoch_rate = statistics.median(bare[1:]), statistics.median(epoch[1:])
    print(json.dumps({"bare": bare_rate, "training": epoch_rate, "share": epoch_rate / bare_rate}))


if __name__ == "__main__":
    main()
