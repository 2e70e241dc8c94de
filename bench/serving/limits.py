"""How fast the handler is without a server: `python limits.py ARTIFACT SECONDS PHOTO...` prints JSON, images a second.

One process for each core, as the server has, started together: `decode_and_forward` reads a photo's bytes for every
image and writes every answer; `forward` runs the network alone on ready batches.
"""

import itertools
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

BATCHES = (1, 8)


def _rate(work, images, seconds):
    """Return images a second: `work` handles `images` of them a call; it runs 0.3 s unmeasured, then `seconds`."""
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        work()
    done, began = 0, time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        work()
        done += images
    return done / (now - began)


def _measure(artifact, seconds, photos, barrier, results):
    """Put into `results` how many photos a second one process decodes and classifies without a server, by batch size.

    `barrier` lets several processes measure at the same time.
    """
    sys.path.insert(0, f"{artifact}/code")
    import inference
    import numpy as np

    model = inference.model_fn(artifact)
    found = {}
    for size in BATCHES:
        groups = itertools.cycle([photos[at : at + size] for at in range(0, len(photos) - size + 1, size)])

        def decoded(groups=groups):
            return np.concatenate([inference.input_fn(photo, "image/png") for photo in next(groups)])

        ready = itertools.cycle([decoded() for _ in range(len(photos) // size)])

        def forward(ready=ready):
            inference.predict_fn(next(ready), model)

        def whole(decoded=decoded):
            rows = inference.predict_fn(decoded(), model)
            for index in range(len(rows)):
                inference.output_fn(rows[index : index + 1], "application/json", model)

        for name, work in (("forward", forward), ("decode_and_forward", whole)):
            barrier.wait()
            found[f"{name}_{size}"] = _rate(work, size, seconds)
    results.put(found)


def main(artifact, seconds, names):
    """Measure on all cores at once and print the sums."""
    photos = [Path(name).read_bytes() for name in names]
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(cores), context.SimpleQueue()
    arguments = (artifact, seconds, photos, barrier, results)
    processes = [context.Process(target=_measure, args=arguments) for _ in range(cores)]
    for process in processes:
        process.start()
    parts = [results.get() for _ in processes]
    for process in processes:
        process.join()
    print(json.dumps({name: sum(part[name] for part in parts) for name in parts[0]}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])
