"""The second opinion as it is served: an ImageNet network with a head for the classes, asked about enlarged photos.

backbone.py makes its three files. It travels inside the model artifact under code/.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import fused
import numpy as np
import numpy.typing as npt

SYMBOL, PARAMETERS, ABOUT = "second-symbol.json", "second-0000.params", "second.json"
SIZES = (4, 2, 1)  # photos in one forward pass: 4 cost what 8 do, and each size costs a worker some 25 MB
MEAN, SCALE = 127.0, 128.0  # grey levels, as the network was trained

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]


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


class Second:
    """The network as a function of (n, h, w, 3) uint8 RGB photos of any size; (n, outputs) logits.

    Rows do not depend on each other, to the last digits of float32. Not for several threads at once.
    """

    def __init__(self, network: fused.Fused, side: int) -> None:
        self._network, self.side = network, side

    def __call__(self, images: UInt8) -> Float32:
        """Logits, or features where the network has no head."""
        return self._network(enlarge(images, self.side))

    def warm(self) -> None:
        """Plan the memory of every batch size, so that no request pays for it."""
        for size in self._network.sizes:
            self(np.zeros((size, self.side, self.side, 3), np.uint8))


def load(folder: Path) -> Second | None:
    """The second opinion of the artifact in `folder`, or None where it has none.

    FileNotFoundError when it is not whole.
    """
    if not (folder / ABOUT).is_file():
        return None
    for name in (SYMBOL, PARAMETERS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{name} is missing in the model artifact at {folder}")
    about = json.loads((folder / ABOUT).read_text("utf-8"))
    return Second(fused.Fused.load(folder / SYMBOL, folder / PARAMETERS, SIZES), int(about["side"]))
