"""Sharpens photos of a camera that is out of focus, as far as its blur has left what can be sharpened.

Stage finds how much the photos that people labelled are blurred, and training writes it into model.json. Photos with
finer detail than such a blur leaves stay as they are, so that those of before the change are answered as before. Ships
inside the artifact, under code/.

The filter is Wiener's (Extrapolation, interpolation, and smoothing of stationary time series, 1949), on the cosine
transform: a Gaussian blur that mirrors the photo at its edges multiplies each of its coefficients.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

SIDE = 32  # pixels: a blur is told in those of a photo of this width
LEAST = 1.0  # radius of a blur below which photos with and without it cannot be told apart
NOISE = 0.002  # power of a photo's noise, as part of the power that a sharp photo has at a frequency of 1 a pixel
GONE, LEFT = 0.02, (0.1, 0.6)  # the blur's factors, of detail that it takes, and of detail that shows what there was
FINE = 0.012  # the power of the former is at most this part of the latter's in a blurred photo
ROUNDED = 0.5  # or this much, of which 8 bits and a saved JPEG make a part

UInt8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]


class _Filter(NamedTuple):
    """Cosine transforms (h, h) and (w, w); of (h, w) coefficients the gains, and which a blur takes or leaves."""

    rows: Float64
    columns: Float64
    gains: Float64
    gone: Bool
    left: Bool


@lru_cache(maxsize=8)
def _filter(blur: float, height: int, width: int) -> _Filter:
    """The filter against a blur, of photos of this size."""
    radius = blur * max(height, width) / SIDE
    down, across = (np.pi * np.arange(side) / side for side in (height, width))  # radians a pixel
    squared = down[:, None] ** 2 + across[None] ** 2
    kept = np.exp(-(radius**2) * squared / 2)
    # The power of photos falls with the square of the frequency (Field, 1987).
    gains = kept / (kept**2 + NOISE * squared)
    return _Filter(_cosines(height), _cosines(width), gains, kept < GONE, (kept > LEFT[0]) & (kept < LEFT[1]))


def _cosines(side: int) -> Float64:
    """The orthonormal cosine transform (DCT-II) of so many samples, a frequency a row."""
    steps = np.arange(side)
    waves = np.sqrt(2 / side) * np.cos(np.pi * steps[:, None] * (steps[None] + 0.5) / side)
    waves[0] /= np.sqrt(2)
    return np.asarray(waves, np.float64)


def _transformed(images: UInt8, of: _Filter) -> Float64:
    """(n, h, w, 3) photos to their coefficients, (n, 3, h, w)."""
    planes = images.transpose(0, 3, 1, 2).astype(np.float64)
    return np.asarray(of.rows @ planes @ of.columns.T, np.float64)


def _blurred(coefficients: Float64, of: _Filter) -> Bool:
    """(n,): which photos are blurred; none of a size that has no detail to tell it by."""
    if not of.gone.any() or not of.left.any():
        return np.zeros(len(coefficients), np.bool_)
    power = (coefficients**2).mean(axis=1)
    return np.asarray(power[:, of.gone].mean(axis=1) <= np.maximum(FINE * power[:, of.left].mean(axis=1), ROUNDED))


def are_blurred(images: UInt8, blur: float) -> Bool:
    """(n,): which of (n, h, w, 3) photos have as little fine detail as a blur of this radius leaves."""
    of = _filter(blur, *images.shape[1:3])
    return _blurred(_transformed(images, of), of)


def sharpened(images: UInt8, blur: float) -> UInt8:
    """(n, h, w, 3) RGB photos; those that are blurred are sharpened.

    `blur` is the radius of a Gaussian (its standard deviation) in pixels of a photo of SIDE pixels. Less than LEAST
    changes nothing.
    """
    if blur < LEAST:
        return images
    of = _filter(blur, *images.shape[1:3])
    coefficients = _transformed(images, of)
    rows = np.flatnonzero(_blurred(coefficients, of))
    planes = of.rows.T @ (coefficients[rows] * of.gains) @ of.columns
    sharp = images.copy()
    sharp[rows] = np.clip(np.rint(planes.transpose(0, 2, 3, 1)), 0, 255).astype(np.uint8)
    return sharp
