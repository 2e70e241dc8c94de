"""Turns photos of a camera that is mounted askew back, and fills the corners that such a camera leaves black.

Stage finds by how many degrees the photos that people labelled are turned, and training writes it into model.json.
Photos without such corners stay as they are, so that those of before the change are answered as before. Ships inside
the artifact, under code/.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

DARK = 32  # grey level, up to which the pixels of a black corner reach, JPEG's ringing and a blur included
DARK_SHARE = 0.9  # of the corners' pixels
BRIGHTER = 3.0  # times the corners' brightness is that of the content at least: a black photo has no corners
FEWEST = 0.02  # share of all pixels that are corners, below which a turn leaves nothing to know it by
RADIUS = 2.0  # pixels around a missing one that it is filled from

UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]


@lru_cache(maxsize=8)
def _masks(angle: int, height: int, width: int) -> tuple[Bool, Bool, UInt8]:
    """(h, w) each, of photos turned by so many degrees: content, corners, and 1 for what is lost when turned back.

    The pixels between content and corners are neither.
    """
    full = np.full((height, width), 255, np.uint8)
    content = _turned(full, angle, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    kept = _turned(np.where(content > 250, 255, 0).astype(np.uint8), -angle, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
    near = cv2.dilate((content > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    return content > 0, near == 0, (kept <= 250).astype(np.uint8)


def _turned(image: UInt8, angle: int, interpolation: int, border: int) -> UInt8:
    """The image turned about its middle, counter-clockwise in degrees."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), flags=interpolation, borderMode=border), np.uint8)


def are_turned(images: UInt8, angle: int) -> Bool:
    """(n,): which of (n, h, w, 3) photos have black corners as a turn by `angle` degrees, counter-clockwise, leaves."""
    content, corners, _ = _masks(angle, *images.shape[1:3])
    if corners.mean() < FEWEST:
        return np.zeros(len(images), np.bool_)
    grey = images.mean(axis=3)
    inside, outside = grey[:, content].mean(axis=1), grey[:, corners]
    dark = (outside <= DARK).mean(axis=1) >= DARK_SHARE
    return np.asarray(dark & (inside > BRIGHTER * np.maximum(outside.mean(axis=1), 1.0)))


def back(images: UInt8, angle: int) -> UInt8:
    """(n, h, w, 3) RGB photos; those that are turned by `angle` degrees are turned back, their corners filled.

    What was outside of the photo is filled from its edge (Telea, An image inpainting technique, 2004). An angle of 0
    changes nothing.
    """
    if not angle:
        return images
    *_, lost = _masks(angle, *images.shape[1:3])
    upright = images.copy()
    for row in np.flatnonzero(are_turned(images, angle)):
        straight = _turned(images[row], -angle, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        upright[row] = cv2.inpaint(straight, lost, RADIUS, cv2.INPAINT_TELEA)
    return upright
