"""Random views of training photos: what a network learns from instead of the photos themselves.

A view is a photo that may have been saved as JPEG anew, is mirrored or not, warped (turned, scaled, sheared, shifted),
changed in colour, and covered by a small grey square. The same generator state gives the same views.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Strength:
    """How much views may differ from their photos.

    `rotation` is in degrees, either way; `scale` in powers of e; `shear` a slope; `shift` and `cutout` shares of the
    image side. `brightness` is a share of 255, `contrast` and `saturation` are factors up to so far from 1.
    """

    rotation: float = 12.0
    scale: float = 0.15
    shear: float = 0.10
    shift: float = 0.10
    brightness: float = 0.20
    contrast: float = 0.20
    saturation: float = 0.30
    cutout: float = 0.25
    jpeg: float = 0.3  # share of photos that are compressed anew
    jpeg_quality: int = 70  # the lowest of these, of 100; the highest is 95


def _matrices(count: int, height: int, width: int, strength: Strength, rng: np.random.Generator) -> Float32:
    """(count, 2, 3) affine maps: flip, rotate, scale, shear and shift around the centre, in one."""

    def draw(limit: float) -> npt.NDArray[np.float64]:
        return rng.uniform(-limit, limit, count)

    angle = np.deg2rad(draw(strength.rotation))
    scale_x, scale_y = np.exp(draw(strength.scale)), np.exp(draw(strength.scale))
    shear = draw(strength.shear)
    flip = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.empty((count, 2, 2))
    linear[:, 0, 0] = flip * cos * scale_x
    linear[:, 0, 1] = flip * (shear * cos - sin) * scale_y
    linear[:, 1, 0] = sin * scale_x
    linear[:, 1, 1] = (shear * sin + cos) * scale_y
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = np.stack([draw(strength.shift) * width, draw(strength.shift) * height], axis=1)
    offset = centre + shift - linear @ centre
    return np.concatenate([linear, offset[:, :, None]], axis=2).astype(np.float32)


def _colour(images: Float32, strength: Strength, rng: np.random.Generator) -> None:
    """Saturation, contrast and brightness, in place."""
    shape = (len(images), 1, 1, 1)
    grey = images @ np.array([[0.299], [0.587], [0.114]], np.float32)
    saturation = rng.uniform(1 - strength.saturation, 1 + strength.saturation, shape).astype(np.float32)
    images -= grey
    images *= saturation
    images += grey
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    contrast = rng.uniform(1 - strength.contrast, 1 + strength.contrast, shape).astype(np.float32)
    brightness = rng.uniform(-strength.brightness, strength.brightness, shape).astype(np.float32) * np.float32(255)
    images -= mean
    images *= contrast
    images += mean + brightness


def _cut_out(images: Float32, share: float, rng: np.random.Generator) -> None:
    """One square of each image, of side up to `share`, becomes that image's mean brightness, in place."""
    count, height, width = images.shape[:3]
    half = rng.uniform(0, share / 2, count)
    y, x = rng.uniform(0, height, count), rng.uniform(0, width, count)
    edges = np.stack([y - half * height, y + half * height, x - half * width, x + half * width], axis=1)
    means = images.mean(axis=(1, 2, 3))
    for image, (top, bottom, left, right), mean in zip(images, edges.round().clip(0).astype(int), means, strict=True):
        image[top:bottom, left:right] = mean


def recompress(images: UInt8, share: float, lowest: int, rng: np.random.Generator, full_colour: float = 0.0) -> UInt8:
    """A copy of (n, h, w, 3) RGB images; a random `share` were saved as JPEG of a random quality from `lowest` to 95.

    `full_colour` is the share of these that keep colours at the resolution of brightness (4:4:4); the others keep half
    of it each way (4:2:0), as most cameras and programs do.

    Photos of the classes and photos of other things may come from archives that were compressed differently. Without
    this the network could tell them apart by the traces of compression instead of by what they show.
    """
    copies = images.copy()
    chosen, qualities = rng.random(len(images)) < share, rng.integers(lowest, 96, len(images))
    full = rng.random(len(images)) < full_colour if full_colour else np.zeros(len(images), bool)
    for row in np.flatnonzero(chosen):
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full[row] else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        how = [cv2.IMWRITE_JPEG_QUALITY, int(qualities[row]), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        # The channels' order matters to the codec's colour conversion only; it comes back as it went in.
        saved = cv2.imencode(".jpg", images[row, :, :, ::-1], how)[1]
        copies[row] = cv2.imdecode(saved, cv2.IMREAD_COLOR)[:, :, ::-1]
    return copies


def augment(images: UInt8, strength: Strength, rng: np.random.Generator) -> Float32:
    """Random views of (n, h, w, 3) uint8 images, as (n, h, w, 3) float32 in 0..255 and slightly beyond."""
    count, height, width = images.shape[:3]
    images = recompress(images, strength.jpeg, strength.jpeg_quality, rng)
    views = np.empty(images.shape, np.float32)
    for view, image, matrix in zip(views, images, _matrices(count, height, width, strength, rng), strict=True):
        view[:] = cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
    _colour(views, strength, rng)
    if strength.cutout > 0:
        _cut_out(views, strength.cutout, rng)
    return views
