"""The second opinion as it is served: an ImageNet network's features of enlarged photos, and a linear head on them.

backbone.py makes its files. It travels inside the model artifact under code/.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import fused
import int8
import numpy as np
import numpy.typing as npt
from mxnet_alone import mx

SYMBOL, PARAMETERS, ABOUT = "second-symbol.json", "second-0000.params", "second.json"
INT8_SYMBOL = "second-int8-symbol.json"
# The root mean square by which features of the probes may differ in 8 bits, as a share of their standard deviation:
# they do by 0.18 on processors with 8-bit dot products, and by 0.39 where sums saturate.
LIMIT = 0.25
SIZES = (4, 2, 1)  # photos in one forward pass: 4 cost what 8 do, and each size costs a worker some 25 MB
MEAN, SCALE = 127.0, 128.0  # grey levels, as the network was trained

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]
log = logging.getLogger(__name__)


def enlarge(images: UInt8, side: int) -> Float32:
    """(n, h, w, 3) RGB to the network's input, (n, 3, side, side) from -1 to 1, by cubic interpolation.

    Photos are turned by half a turn, as the network's kernels are: backbone.py says why.
    """
    planes = np.empty((len(images), 3, side, side), np.float32)
    for image, plane in zip(images, planes, strict=True):
        large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
        plane[:] = large[::-1, ::-1].transpose(2, 0, 1)
    planes -= np.float32(MEAN)
    planes *= np.float32(1 / SCALE)
    return planes


def choose(fast: fused.Fused, exact: fused.Fused, side: int) -> fused.Fused:
    """The 8-bit network, or the float one where this processor calculates the other so that their features differ.

    Unlike the small network's, its answers stand as they are: docs/log.md shows that heads do not tell them apart.
    """
    probes = enlarge(int8.probes((side, side)), side)
    true = exact(probes)
    error = float(np.sqrt(np.square(fast(probes) - true).mean()) / true.std(axis=0).mean())
    if error <= LIMIT:
        return fast
    log.warning("on this processor the second opinion's 8-bit network differs by %.2f, more than %.2f", error, LIMIT)
    return exact


class Features:
    """The body of the network as a function of (n, h, w, 3) uint8 RGB photos of any size; (n, features) float32.

    Rows do not depend on each other, to the last digits of float32. Not for several threads at once.
    """

    def __init__(self, network: fused.Fused, side: int) -> None:
        self._network, self._side = network, side

    def __call__(self, images: UInt8) -> Float32:
        """The features of each photo."""
        return self._network(enlarge(images, self._side))

    def warm(self) -> None:
        """Plan the memory of every batch size, so that no request pays for it."""
        for size in self._network.sizes:
            self(np.zeros((size, self._side, self._side, 3), np.uint8))


class Second:
    """The second opinion as a function of (n, h, w, 3) uint8 RGB photos of any size; (n, outputs) logits.

    `weights` (outputs, features) and `bias` (outputs,) are the head's. Rows and threads as for Features.
    """

    def __init__(self, features: Features, weights: Float32, bias: Float32) -> None:
        self.features, self._weights, self._bias = features, weights, bias

    def __call__(self, images: UInt8) -> Float32:
        """The logits of each photo."""
        logits: Float32 = self.features(images) @ self._weights.T + self._bias
        return logits

    def warm(self) -> None:
        """Plan the memory of every batch size, so that no request pays for it."""
        self.features.warm()


def load(folder: Path) -> Second | None:
    """The second opinion of the artifact in `folder`, or None where it has none.

    FileNotFoundError when it is not whole.
    """
    if not (folder / ABOUT).is_file():
        return None
    for name in (SYMBOL, INT8_SYMBOL, PARAMETERS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{name} is missing in the model artifact at {folder}")
    about = json.loads((folder / ABOUT).read_text("utf-8"))
    side = int(about["side"])
    exact = fused.Fused.load(folder / SYMBOL, folder / PARAMETERS, SIZES)
    fast = fused.Fused(mx.sym.load(str(folder / INT8_SYMBOL)), exact.arguments, {}, SIZES, shared=False)
    weights, bias = (np.asarray(about[name], np.float32) for name in ("head_weights", "head_bias"))
    return Second(Features(choose(fast, exact, side), side), weights, bias)
