"""Serves with 8-bit integers, and asks the float network wherever that could matter: no decision changes.

An 8-bit network answers in about half the time, a little beside the float one. How far beside was measured when it was
made (quantization.py); a photo whose answer lies within twice that of a decision, which class it is or whether the
threshold is reached, is answered by the float network instead. It travels inside the model artifact under code/.
The 8-bit network is a symbol only: it has the float one's parameters, and oneDNN rounds them when it binds them.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import mxnet as mx
import numpy as np
import numpy.typing as npt
from fused import Fused

SYMBOL, ABOUT = "int8-symbol.json", "int8.json"

Float32 = npt.NDArray[np.float32]
Network = Callable[[Float32], Float32]
log = logging.getLogger(__name__)


def spread(one: Float32, other: Float32) -> Float32:
    """(n,): how much the difference between any two classes' logits may change, from (n, classes) to (n, classes)."""
    change = one - other
    return np.asarray(change.max(axis=1) - change.min(axis=1))


def near(logits: Float32, margin: float, temperature: float, threshold: float) -> npt.NDArray[np.bool_]:
    """(n,): whether a change by `margin` (see `spread`) could alter the class, or on which side of the threshold it is.

    The log-odds of the winner move by no more than its lead over the others does.
    """
    ordered = np.sort(logits.astype(np.float64), axis=1) / temperature
    lead = ordered[:, -1] - ordered[:, -2]
    odds = ordered[:, -1] - np.logaddexp.reduce(ordered[:, :-1], axis=1)
    level = min(max(threshold, 1e-12), 1 - 1e-12)
    edge, room = math.log(level / (1 - level)), margin / temperature
    close: npt.NDArray[np.bool_] = (lead <= room) | (np.abs(odds - edge) <= room)
    return close


class Guarded:
    """Logits by `fast`, and by `exact` for photos near a decision: each by itself, whatever else is in the batch."""

    def __init__(self, fast: Network, exact: Network, margin: float, temperature: float, threshold: float) -> None:
        self._fast, self._exact = fast, exact
        self._margin, self._temperature, self._threshold = margin, temperature, threshold

    def __call__(self, images: Float32) -> Float32:
        """(n, 3, h, w) normalised -> (n, classes)."""
        logits = self._fast(images)
        for row in np.flatnonzero(near(logits, self._margin, self._temperature, self._threshold)):
            logits[row] = self._exact(images[row : row + 1])[0]
        return logits


def probes(size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """(16, h, w, 3) coloured patches of several grains, always the same: to see how this processor calculates."""
    rng = np.random.default_rng(8)
    drawn = [
        cv2.resize(rng.uniform(0, 255, (grain, grain, 3)), size[::-1], interpolation=cv2.INTER_LINEAR)
        for grain in (2, 3, 5, 8) * 4
    ]
    return np.stack(drawn).astype(np.uint8)


def guard(folder: Path, exact: Fused, images: Float32, temperature: float, threshold: float) -> Network:
    """The artifact's 8-bit network behind its guard; `exact` itself where there is none, or where it does not hold.

    Processors without 8-bit dot products may saturate sums. `images` are the normalised probes: where they come out
    further from `exact` than was measured in training, the 8-bit network is not used.
    """
    if not (folder / ABOUT).is_file():
        return exact
    margin = float(json.loads((folder / ABOUT).read_text("utf-8"))["margin"])
    fast = Fused(mx.sym.load(str(folder / SYMBOL)), exact.arguments, exact.auxiliary)
    alone = np.concatenate([exact(image[None]) for image in images])  # and so the first photo near waits for nothing
    found = float(spread(fast(images), alone).max())
    if not found <= margin:
        log.warning(
            "on this processor the 8-bit network differs by %.3f from the float one, more than %.3f: it is not used",
            found,
            margin,
        )
        return exact
    return Guarded(fast, exact, margin, temperature, threshold)
