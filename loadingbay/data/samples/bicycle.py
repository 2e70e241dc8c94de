"""Bicycles, each of its own build: drawn side on with a pen, in units of their wheelbase."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from loadingbay.data.samples.paint import BLACK, PAINT, STEEL, Random, at, pick
from loadingbay.data.samples.pen import Pen, Pixel, Point, along, shade, smooth


def _bicycle_wheel(pen: Pen, random: Random, x: float, radius: float, tyre: float, turn: float, steered: bool) -> None:
    """Draw a wheel at `x`, standing on the ground: rim, spokes (turned by `turn` radians), tyre and hub."""
    rim = pick(random, [STEEL, STEEL, BLACK, (200, 170, 120)])
    pen.ring(x, radius, radius - tyre, tyre * 0.6, 0, rim, steered)
    pen.spokes(x, radius, radius - tyre, random.randint(10, 19), 0.006, STEEL, turn, steered)
    pen.ring(x, radius, radius - tyre / 2, tyre, tyre * 0.4, BLACK, steered)
    pen.disc(x, radius, 0.025, 0.02, shade(STEEL, 0.8), steered)


def bicycle(pen: Pen, random: Random) -> None:
    """Draw a road, town, cruiser, mountain, folding or electric bicycle, chosen at random."""
    style = ("road", "town", "cruiser", "mountain", "folding", "electric")[
        random.choice(6, p=[0.26, 0.2, 0.14, 0.2, 0.08, 0.12])
    ]
    paint = pick(random, PAINT)
    tube = random.uniform(0.028, 0.042) * {"road": 0.9, "electric": 1.7, "mountain": 1.25}.get(style, 1.0)
    radius = random.uniform(0.31, 0.35) * (0.68 if style == "folding" else 1.0)
    tyre = random.uniform(0.022, 0.034) * {"road": 0.8, "mountain": 1.6, "cruiser": 1.4, "electric": 1.3}.get(
        style, 1.0
    )
    crank: Pixel = (random.uniform(0.40, 0.44), random.uniform(0.26, 0.29))
    seat_top: Pixel = (random.uniform(0.26, 0.32), random.uniform(0.66, 0.80))
    saddle: Pixel = (seat_top[0] - 0.03, seat_top[1] + random.uniform(0.06, 0.2))
    head_low: Pixel = (random.uniform(0.82, 0.86), random.uniform(0.62, 0.70))
    head_top: Pixel = (head_low[0] - 0.035, head_low[1] + random.uniform(0.09, 0.18))
    rear: Pixel = (0, radius)
    turn = random.uniform(0, pi)

    pen.line(
        [(crank[0], crank[1], -0.06), (crank[0] - 0.17 * cos(turn), crank[1] - 0.17 * sin(turn), -0.07)], 0.022, STEEL
    )
    _bicycle_wheel(pen, random, 0, radius, tyre, turn, steered=False)
    _bicycle_wheel(pen, random, 1, radius, tyre, turn + 0.3, steered=True)
    if style in ("town", "cruiser") or random.rand() < 0.2:
        for x, steered in ((0.0, False), (1.0, True)):
            arc = [
                (x + (radius + 0.02) * cos(a), radius + (radius + 0.02) * sin(a), 0.0)
                for a in np.linspace(0.5, 2.9, 12)
            ]
            pen.line(arc, 0.03, shade(paint, 0.9), steered)
    if random.rand() < (0.5 if style == "town" else 0.1):  # a rack, sometimes with bags
        pen.line([at(seat_top), (-0.12, seat_top[1] - 0.04, 0), (-0.02, radius, 0.04)], 0.016, BLACK)
        if random.rand() < 0.4:
            bag = pick(random, PAINT)
            pen.solid([(-0.16, 0.28), (0.14, 0.28), (0.14, 0.58), (-0.16, 0.58)], 0.10, bag)
    pen.line([at(crank), at(rear, 0.03)], tube * 0.7, paint)
    pen.line([at(seat_top), at(rear, 0.03)], tube * 0.55, paint)
    pen.line([at(crank), at(seat_top)], tube, paint)
    if style == "folding":
        pen.line([at(along(crank, seat_top, 0.25)), at(along(head_low, head_top, 0.3))], tube * 1.5, paint)
    elif style == "town" and random.rand() < 0.6:  # step-through
        bend = ((crank[0] + head_low[0]) / 2, min(crank[1], head_low[1]) + 0.06)
        pen.line([at(along(crank, seat_top, 0.2)), at(bend), at(head_low)], tube * 1.15, paint)
    elif style == "cruiser":
        pen.line([at(seat_top), (0.55, seat_top[1] + 0.03, 0), at(head_top)], tube, paint)
        pen.line([at(crank), (0.64, 0.42, 0), at(head_low)], tube * 1.1, paint)
    else:
        pen.line([at(along(crank, seat_top, random.uniform(0.84, 1.0))), at(head_top)], tube, paint)
        pen.line([at(crank), at(head_low)], tube * 1.15, paint)
    if style == "electric":
        low, high = along(crank, head_low, 0.2), along(crank, head_low, 0.8)
        pen.line([at(low), at(high)], tube * 2.1, BLACK)
        pen.disc(crank[0], crank[1], 0.075, 0.06, BLACK)
    pen.line([at(head_low), at(head_top)], tube * 1.2, shade(paint, 0.9), steered=False)
    for z in (-0.03, 0.03):
        pen.line(
            [at(head_low, z), (1, radius, z)],
            tube * (0.95 if style == "mountain" else 0.65),
            shade(paint, 0.95),
            steered=True,
        )
    pen.line([at(seat_top), at(saddle)], tube * 0.6, STEEL)
    x, y = saddle
    cushion = pick(random, [BLACK, BLACK, (110, 66, 36), (60, 60, 66)])
    pen.solid(
        smooth([(x - 0.11, y + 0.03), (x + 0.13, y + 0.02), (x + 0.04, y - 0.015), (x - 0.08, y - 0.03)]),
        0.035,
        cushion,
    )
    _bicycle_bars(pen, random, style, head_top)
    pen.disc(crank[0], crank[1], random.uniform(0.07, 0.095), 0.015, shade(STEEL, random.uniform(0.4, 1.0)))
    pen.line([(crank[0], crank[1] + 0.08, 0.03), (0, radius + 0.04, 0.03)], 0.009, BLACK)
    pen.line([(crank[0], crank[1] - 0.08, 0.03), (0, radius - 0.04, 0.03)], 0.009, BLACK)
    pedal: Pixel = (crank[0] + 0.17 * cos(turn), crank[1] + 0.17 * sin(turn))
    pen.line([at(crank, 0.05), at(pedal, 0.06)], 0.022, STEEL)
    pen.line([(pedal[0] - 0.05, pedal[1], 0.1), (pedal[0] + 0.05, pedal[1], 0.1)], 0.03, BLACK)


def _bicycle_bars(pen: Pen, random: Random, style: str, head: Pixel) -> None:
    """Draw the stem and handlebars of a bicycle of this style at `head`, sometimes with a basket or a lamp."""
    x, y = head[0] - 0.02, head[1] + random.uniform(0.05, 0.14)
    pen.line([at(head), (x, y, 0)], 0.03, STEEL, steered=True)
    if style == "road":
        for z in (-0.19, 0.19):
            pen.line([(x, y, 0), (x + 0.06, y, z)], 0.026, BLACK, steered=True)
            hook: list[Point] = [
                (x + 0.06, y, z),
                (x + 0.17, y + 0.01, z),
                (x + 0.18, y - 0.08, z),
                (x + 0.06, y - 0.13, z),
            ]
            pen.line(hook, 0.03, BLACK, steered=True)
        return
    sweep = {"mountain": 0.03, "electric": 0.06, "folding": 0.03}.get(style, random.uniform(0.12, 0.22))
    for z in (-0.27, 0.27):
        pen.line([(x, y, 0), (x + 0.03, y + 0.04, z * 0.5), (x - sweep, y + 0.03, z)], 0.024, STEEL, steered=True)
        pen.line([(x - sweep + 0.02, y + 0.03, z), (x - sweep - 0.07, y + 0.02, z)], 0.036, BLACK, steered=True)
    if style == "town" and random.rand() < 0.45:
        basket = pick(random, [(150, 110, 60), (70, 70, 74), (190, 190, 190)])
        pen.solid(
            [(x + 0.05, y - 0.17), (x + 0.25, y - 0.17), (x + 0.30, y + 0.04), (x + 0.03, y + 0.04)],
            0.13,
            basket,
            steered=True,
        )
    if random.rand() < 0.3:
        pen.disc(x + 0.08, y - 0.1, 0.035, 0.03, (235, 232, 210), steered=True)
