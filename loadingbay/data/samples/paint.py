"""Colours of the drawn vehicles, and the random choice of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loadingbay.data.samples.pen import Colour, Pixel, Point, shade

Random = np.random.RandomState  # its streams are frozen for good, unlike numpy's newer generators

PAINT: list[Colour] = [
    (196, 30, 36), (32, 74, 160), (24, 120, 70), (235, 190, 40), (240, 240, 236), (28, 28, 32), (120, 124, 130),
    (230, 110, 30), (95, 50, 130), (60, 160, 190), (140, 20, 50), (210, 205, 190), (70, 80, 50), (245, 150, 170),
]  # fmt: skip
BLACK: Colour = (24, 24, 26)
STEEL: Colour = (176, 180, 186)


def pick(random: Random, options: Sequence[Colour]) -> Colour:
    """Return one of the colours (RGB, 0 to 255) at random, slightly varied."""
    colour = options[random.randint(len(options))]
    return shade(colour, random.uniform(0.75, 1.15))


def at(point: Pixel, z: float = 0.0) -> Point:
    """A point of the drawing at depth `z`, in units of the wheelbase."""
    return point[0], point[1], z
