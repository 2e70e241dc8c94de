"""Draws the rider of a bicycle or motorcycle."""

from __future__ import annotations

from loadingbay.data.samples.paint import BLACK, PAINT, Random, at, pick
from loadingbay.data.samples.pen import Pen, Pixel, shade


def rider(pen: Pen, random: Random, motor: bool) -> None:
    """Draw a rider who leans forward a little; `motor`: seated as on a motorcycle, and with a helmet."""
    clothes, trousers = pick(random, PAINT), pick(random, [BLACK, (50, 60, 100), (90, 80, 70)])
    skin = pick(random, [(224, 178, 140), (150, 100, 70), (92, 60, 42)])
    hip: Pixel = (0.28, 0.58) if motor else (0.27, 0.95)
    lean = random.uniform(0.1, 0.3)
    neck: Pixel = (hip[0] + lean, hip[1] + 0.42 - lean * 0.4)
    hand: Pixel = (0.76, 0.74) if motor else (0.8, 0.95)
    foot: Pixel = (0.5, 0.2) if motor else (0.45, 0.2)
    for z in (-0.1, 0.1):
        pen.line(
            [at(hip, z), ((hip[0] + foot[0]) / 2 + 0.17, (hip[1] + foot[1]) / 2 + 0.06, z), at(foot, z)],
            0.1,
            trousers,
        )
    pen.line([at(hip), at(neck)], 0.2, clothes)
    for z in (-0.16, 0.16):
        pen.line([at(neck, z), (neck[0] + 0.12, neck[1] - 0.2, z * 1.2), at(hand, z * 1.2)], 0.07, shade(clothes, 0.9))
    helmet = motor or random.rand() < 0.5
    pen.disc(neck[0] + 0.06, neck[1] + 0.14, 0.12 if helmet else 0.1, 0.09, pick(random, PAINT) if helmet else skin)
