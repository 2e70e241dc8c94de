"""What a photo looks like in four numbers, with which a camera that changed is noticed without any label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from processing.photos import PhotoError, opened

SIDE = 32  # pixels: photos are compared at the size that the default network sees


class Features(NamedTuple):
    """Numbers of one photo, all of them from 0 up."""

    brightness: float  # mean luma, 0 black to 1 white
    contrast: float  # standard deviation of the luma
    sharpness: float  # mean absolute Laplacian of the luma: how much neighbouring pixels differ
    colour: float  # colourfulness, 0 for grey (Hasler and Suesstrunk, 2003, eq. 4, of values from 0 to 1)


def measure(photo: Image.Image) -> Features:
    """The features of a decoded photo."""
    pixels = np.asarray(photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64) / 255
    luma = pixels @ (0.299, 0.587, 0.114)
    middle = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * middle
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    opponents = np.stack([red - green, (red + green) / 2 - blue])
    spread, centre = np.linalg.norm(opponents.std(axis=(1, 2))), np.linalg.norm(opponents.mean(axis=(1, 2)))
    return Features(
        float(luma.mean()), float(luma.std()), float(np.abs(laplacian).mean()), float(spread + 0.3 * centre)
    )


def measure_encoded(body: bytes) -> Features | None:
    """The features of an encoded photo; None when it cannot be read."""
    try:
        with opened(body) as photo:
            photo.draft("RGB", (4 * SIDE, 4 * SIDE))
            return measure(photo)
    except PhotoError:
        return None
