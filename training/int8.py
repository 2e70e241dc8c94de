"""Serves with 8-bit integers, and asks the float network wherever that could matter: no decision changes.

An 8-bit network answers in about half the time, a little beside the float one. How far beside was measured when it was
made (quantization.py); a photo whose answer lies within twice that of a decision, which class it is or whether a
threshold is reached, is answered by the float network instead. It travels inside the model artifact under code/.
The 8-bit network is a symbol only: it has the float one's parameters, and oneDNN rounds them when it binds them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from decision import Rule, spread
from fused import Fused
from mxnet_alone import mx

SYMBOL, ABOUT = "int8-symbol.json", "int8.json"

Float32 = npt.NDArray[np.float32]
Network = Callable[[Float32], Float32]
log = logging.getLogger(__name__)


class Guarded:
    """Logits by `fast`, and by `exact` for photos near a decision: each by itself, whatever else is in the batch."""

    def __init__(self, fast: Network, exact: Network, margin: float, rule: Rule) -> None:
        self._fast, self._exact, self.margin, self._rule = fast, exact, margin, rule

    def __call__(self, images: Float32) -> Float32:
        """(n, 3, h, w) normalised -> (n, classes + 1)."""
        logits = self._fast(images)
        for row in np.flatnonzero(self._rule.near(logits, self.margin)):
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


def guard(folder: Path, exact: Fused, images: Float32, rule: Rule) -> Network:
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
    return Guarded(fast, exact, margin, rule)
