"""Shows photos of a camera that changed as it took them before: sharpened, and turned back.

Ships inside the artifact, under code/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import focus
import numpy as np
import numpy.typing as npt
import upright

UInt8 = npt.NDArray[np.uint8]


def undone(images: UInt8, about: Mapping[str, Any]) -> UInt8:
    """(n, h, w, 3) RGB photos as a camera of before the change takes them, where they show the change.

    `about` is dataset.json or model.json: `blurred` is the radius that `focus` takes, `turned` the angle that `upright`
    takes. Without them nothing changes.
    """
    return upright.back(focus.sharpened(images, float(about.get("blurred", 0))), int(about.get("turned", 0)))
