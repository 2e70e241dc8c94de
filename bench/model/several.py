"""Pictures of several vehicles, composed of a test channel's photos, asked about through an artifact's handler.

    .venv-image/bin/python bench/model/several.py TEST_CHANNEL ARTIFACT [--seed 1]

Each photo is enlarged. Two of them make one picture of 64 pixels and more a side: squeezed together, beside each
other as they are, or with ground between and around them; single ones fill the picture or lie somewhere in it. Printed
by kind of picture: how many there are, which share would be accepted without a look at the halves, and which is. At
last what the look costs: processor milliseconds a photo in batches of 8, decoding included, of photos of 32 pixels a
side, of 64 without the look, and of 64 with it.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", MXNET_ENGINE_TYPE="NaiveEngine")

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIDE, PAIRS, GROUNDS, BATCH, ROUNDS = 64, 100, 400, 8, 7
HALF = {0: (SIDE, SIDE // 2), 1: (SIDE // 2, SIDE)}  # (width, height) by the axis along which a picture is halved


def shrunk(photo: Any, width: int, height: int) -> Any:
    """A photo of 32 pixels a side at another size, through an enlarged one."""
    large = cv2.resize(photo, (256, 256), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)


def placed(photo: Any, size: tuple[int, int], share: float, ground: Any, rng: np.random.Generator) -> Any:
    """The photo somewhere in a picture of (width, height), its side a `share` of the shorter one.

    Around it lies `ground`, or its own border stretched where that is None.
    """
    width, height = size
    side = round(share * min(size))
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    small = shrunk(photo, side, side)
    if ground is None:
        margins = top, height - side - top, left, width - side - left
        return cv2.copyMakeBorder(small, *margins, cv2.BORDER_REPLICATE)
    picture = cv2.resize(ground, size, interpolation=cv2.INTER_CUBIC)
    picture[top : top + side, left : left + side] = small
    return picture


def pair(photos: Sequence[Any], how: str, ground: Any, rng: np.random.Generator) -> Any:
    """Two photos in one picture, beside each other or one above the other, in either order."""
    axis, (one, other) = int(rng.integers(2)), (photos[at] for at in rng.permutation(2))
    if how == "squeezed":
        halves = [shrunk(photo, *HALF[axis]) for photo in (one, other)]
    elif how == "wide":
        halves = [shrunk(photo, SIDE, SIDE) for photo in (one, other)]
    else:  # apart
        size = (SIDE, 3 * SIDE // 4) if axis == 0 else (3 * SIDE // 4, SIDE)
        halves = [placed(photo, size, rng.uniform(0.75, 1), ground, rng) for photo in (one, other)]
    return np.concatenate(halves, axis)


def pictures(
    photos: Any, labels: Any, classes: Sequence[str], ground: Callable[[], Any], rng: np.random.Generator
) -> Iterator[tuple[str, list[Any]]]:
    """(kind, pictures) of single vehicles, of two of a class, and of two classes."""
    everyone = range(len(photos))
    yield "single", [shrunk(photos[row], SIDE, SIDE) for row in everyone]
    for least, most in ((0.7, 1.0), (0.5, 0.7)):
        name = f"single, {least:g} to {most:g} of the side"
        yield name, [placed(photos[row], (SIDE, SIDE), rng.uniform(least, most), ground(), rng) for row in everyone]
    yield (
        "single, in a wide picture",
        [placed(photos[row], (2 * SIDE, SIDE), rng.uniform(0.8, 1), ground(), rng) for row in everyone],
    )
    for how in ("squeezed", "wide", "apart"):
        for first in range(len(classes)):
            for second in range(first, len(classes)):
                rows = [(rng.choice(np.flatnonzero(labels == of)) for of in (first, second)) for _ in range(PAIRS)]
                name = f"{how}, {classes[first]} and {classes[second]}"
                yield name, [pair([photos[row] for row in both], how, ground(), rng) for both in rows]


def png(picture: Any) -> bytes:
    """The picture as PNG."""
    return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()


def milliseconds(handler: Any, model: Any, bodies: Sequence[bytes], parts: int) -> float:
    """Processor milliseconds a photo, decoding included, by the median of rounds; `parts` 1 leaves the halves out."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for at in range(0, len(bodies) - BATCH + 1, BATCH):
            images = np.concatenate([handler.input_fn(body, "image/png") for body in bodies[at : at + BATCH]])
            handler.predict_fn(images[:, : len(images[0]) // parts], model)
        found.append((time.process_time() - began) / (len(bodies) // BATCH * BATCH) * 1000)
    return statistics.median(found)


def main() -> None:
    """Ask and print."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("channel", type=Path)
    flags.add_argument("artifact", type=Path)
    flags.add_argument("--seed", type=int, default=1)
    given = flags.parse_args()
    # The handler's modules first, for the artifact decides; crops of scenes are training's.
    sys.path[:0] = [str(given.artifact / "code"), str(Path(__file__).resolve().parents[2] / "training")]
    import halves
    import inference as handler
    import outliers
    import preprocessing
    import records

    model = handler.model_fn(str(given.artifact))
    known, rng = len(model.classes), np.random.default_rng(given.seed)
    stored = list(records.stream(given.channel / records.RECORDS))
    photos = [preprocessing.decode(body, (32, 32)) for _, body in stored]
    labels = np.array([label for label, _ in stored])
    scenes = outliers.crops((SIDE, SIDE), GROUNDS)

    def ground() -> Any:
        return scenes[rng.integers(GROUNDS)] if rng.random() < 0.5 else None

    print("| picture | number | accepted without a look at halves | accepted |\n|---|---|---|---|")
    for kind, made in pictures(photos, labels, model.classes, ground, rng):
        images = np.concatenate([handler.input_fn(png(picture), "image/png") for picture in made])
        whole = halves.apart(images, 32)[:, 0]
        before, after = (
            model.rule.accepted(handler.predict_fn(asked, model)[:, : known + 1]).mean() for asked in (whole, images)
        )
        print(f"| {kind} | {len(made)} | {before:.2f} | {after:.2f} |", flush=True)
    small, large = [png(photo) for photo in photos], [png(shrunk(photo, SIDE, SIDE)) for photo in photos]
    rows = (
        milliseconds(handler, model, small, 1),
        *(milliseconds(handler, model, large, parts) for parts in (halves.PARTS, 1)),
    )
    print("processor ms a photo: {:.2f} of 32 pixels, {:.2f} of 64 without halves, {:.2f} with them".format(*rows))


if __name__ == "__main__":
    main()
