"""Motorcycles and scooters, each of its own build: drawn side on with a pen, in units of their wheelbase."""

from __future__ import annotations

from math import cos, sin

import numpy as np

from loadingbay.data.samples.paint import BLACK, PAINT, STEEL, Random, at, pick
from loadingbay.data.samples.pen import Colour, Pen, Pixel, shade, smooth


def _motorcycle_wheel(
    pen: Pen, random: Random, x: float, radius: float, tyre: float, spoked: bool, steered: bool
) -> None:
    """Draw a wheel with its tyre and brake disc at `x`, standing on the ground.

    Lengths are in the scene's unit, in which the wheels are 1 apart.
    """
    if not spoked:
        pen.disc(x, radius, radius - tyre * 0.9, tyre * 0.2, (58, 58, 62), steered)
    metal = pick(random, [STEEL, BLACK, (200, 160, 60)])
    pen.ring(x, radius, radius - tyre * 1.1, tyre * 0.35, 0, metal, steered)
    pen.spokes(
        x,
        radius,
        radius - tyre,
        14 if spoked else random.randint(3, 7),
        0.01 if spoked else 0.03,
        metal,
        random.rand(),
        steered,
    )
    pen.ring(x, radius, radius - tyre / 2, tyre, tyre * 0.5, BLACK, steered)
    pen.disc(x, radius, random.uniform(0.045, 0.085), 0.04, shade(STEEL, 0.7), steered)


def motorcycle(pen: Pen, random: Random) -> None:
    """Draw a naked, cruising, sports, touring or trail motorcycle, a scooter or a moped, chosen at random."""
    style = ("naked", "cruiser", "sport", "touring", "trail", "scooter", "moped")[
        random.choice(7, p=[0.22, 0.2, 0.18, 0.1, 0.12, 0.08, 0.10])
    ]
    if style == "scooter":
        _scooter(pen, random)
        return
    paint = pick(random, PAINT)
    light = style in ("trail", "moped")
    radius = random.uniform(0.215, 0.245) * (1.12 if light else 1.0)
    front = radius * (1.08 if light else 1.0)
    tyre = random.uniform(0.062, 0.085) * (0.62 if style == "moped" else 0.78 if style == "trail" else 1.0)
    lift = 0.08 if style == "trail" else 0.0
    spoked = light or random.rand() < 0.35
    chrome = pick(random, [STEEL, STEEL, shade(STEEL, 0.5), BLACK])
    head: Pixel = (random.uniform(0.74, 0.80), random.uniform(0.58, 0.64) + lift)
    seat_height = {"cruiser": 0.44, "sport": 0.58, "moped": 0.54}.get(style, 0.52) + lift + random.uniform(-0.02, 0.02)

    _motorcycle_wheel(pen, random, 0, radius, tyre, spoked, steered=False)
    _motorcycle_wheel(pen, random, 1, front, tyre * 0.85, spoked, steered=True)
    for z in (-0.05, 0.05):
        pen.line([(0, radius, z), (0.36, 0.26, z)], 0.035, chrome)
        pen.line([(0.03, radius + 0.03, z), (0.16, seat_height - 0.02, z)], 0.03, shade(chrome, 0.8))  # shock absorber
        pen.line(
            [(1, front, z), (head[0] + 0.02, head[1] + 0.06, z)],
            0.034 if style == "cruiser" else 0.042,
            chrome,
            steered=True,
        )
    guard = [
        (1 + (front + 0.03) * cos(a), front + (front + 0.03) * sin(a) + lift * 0.8, 0.0)
        for a in np.linspace(0.7, 2.4, 9)
    ]
    pen.line(guard, 0.04 if style == "trail" else 0.055, shade(paint, 0.95), steered=True)
    pen.line([(0.36, 0.24, 0), at(head)], 0.06, BLACK)
    pen.line([(0.3, 0.26, 0), (0.2, seat_height, 0)], 0.05, BLACK)
    _engine(pen, random, style, chrome, lift)
    _body(pen, random, style, paint, head, seat_height)
    _exhaust(pen, random, style, chrome, lift)
    _controls(pen, random, style, paint, chrome, head)


def _engine(pen: Pen, random: Random, style: str, chrome: Colour, lift: float) -> None:
    """Draw the engine: the crankcase, its cover, and one or two cylinders with fins; `lift` raises it."""
    size = {"moped": 0.62, "trail": 0.85}.get(style, 1.0) * random.uniform(0.9, 1.08)
    x, y = 0.50, 0.27 + lift * 0.7
    block = shade(chrome, random.uniform(0.45, 0.85))
    case = [
        (x - 0.17 * size, y - 0.13 * size),
        (x + 0.12 * size, y - 0.14 * size),
        (x + 0.2 * size, y),
        (x + 0.06 * size, y + 0.1 * size),
        (x - 0.15 * size, y + 0.06 * size),
    ]
    pen.solid(smooth(case), 0.1, block)
    pen.disc(x - 0.06 * size, y - 0.03, 0.075 * size, 0.115, shade(chrome, 0.95))
    leans = (-0.5, 0.45) if style in ("cruiser", "touring") else (0.3,)
    for lean in leans:  # cylinders with their fins
        for fin in range(5):
            share = fin / 4
            cx, cy = x + 0.03 + lean * 0.22 * share * size, y + 0.05 + 0.19 * share * size
            tone = shade(block, 0.6 if fin % 2 else 1.2)
            pen.line([(cx - 0.075 * size, cy, 0.07), (cx + 0.075 * size, cy, 0.07)], 0.045 * size, tone)


def _body(pen: Pen, random: Random, style: str, paint: Colour, head: Pixel, seat_height: float) -> None:
    """Draw the seat, tank, fairing and bags of a motorcycle of this style."""
    leather = pick(random, [BLACK, BLACK, (52, 40, 34)])
    back = {"sport": 0.12, "trail": 0.05}.get(style, 0.0)
    if style == "cruiser":
        pen.solid(
            smooth(
                [
                    (0.16, seat_height + 0.05),
                    (0.3, seat_height),
                    (0.44, seat_height + 0.03),
                    (0.42, seat_height - 0.05),
                    (0.1, seat_height - 0.05),
                ]
            ),
            0.09,
            leather,
        )
        arc = [(0.27 * cos(a), 0.23 + 0.27 * sin(a), 0.0) for a in np.linspace(0.6, 2.9, 10)]
        pen.line(arc, 0.09, paint)
    else:
        pen.solid(
            smooth(
                [
                    (-0.1, seat_height + 0.06 + back),
                    (0.12, seat_height + 0.05 + back / 2),
                    (0.44, seat_height),
                    (0.42, seat_height - 0.05),
                    (0.06, seat_height - 0.03),
                    (-0.1, seat_height + 0.03 + back),
                ]
            ),
            0.075,
            leather,
        )
        pen.solid(
            smooth(
                [
                    (-0.14, seat_height + 0.03 + back),
                    (0.2, seat_height - 0.01),
                    (0.4, seat_height - 0.1),
                    (0.18, seat_height - 0.12),
                ]
            ),
            0.07,
            paint,
        )
    depth = {"moped": 0.09, "trail": 0.13}.get(style, 0.17) * random.uniform(0.9, 1.1)
    top = head[1] + random.uniform(0.03, 0.09)
    tank = [
        (0.40, seat_height + 0.01),
        (0.5, top),
        (0.66, top + 0.01),
        (head[0] + 0.01, head[1] - 0.02),
        (0.68, top - depth),
        (0.46, seat_height - 0.05),
    ]
    pen.solid(smooth(tank), 0.10, paint)
    pen.line([(0.48, top - 0.03, 0.09), (0.66, top - 0.03, 0.09)], 0.018, shade(paint, 1.5))
    if style == "sport":
        fairing = [
            (head[0] - 0.06, head[1] + 0.1),
            (0.93, head[1] - 0.02),
            (0.88, head[1] - 0.14),
            (0.76, 0.24),
            (0.5, 0.13),
            (0.44, 0.2),
            (0.62, 0.4),
        ]
        pen.solid(smooth(fairing), 0.12, paint)
        pen.solid(
            [(head[0] - 0.04, head[1] + 0.09), (head[0] + 0.02, head[1] + 0.2), (0.91, head[1] + 0.02)],
            0.08,
            (120, 140, 155),
        )
        pen.solid(
            smooth([(0.62, 0.36), (0.8, 0.34), (0.7, 0.2)]), 0.125, shade(paint, 1.45 if sum(paint) < 380 else 0.5)
        )
    if style == "touring":
        pen.solid(
            smooth([(head[0] - 0.04, head[1] + 0.06), (0.92, head[1]), (0.9, head[1] - 0.16), (0.74, head[1] - 0.2)]),
            0.16,
            paint,
        )
        pen.solid(
            [
                (head[0] - 0.05, head[1] + 0.3),
                (head[0] + 0.0, head[1] + 0.31),
                (0.92, head[1] + 0.02),
                (0.84, head[1] + 0.02),
            ],
            0.12,
            (150, 170, 185),
        )
        pen.solid(smooth([(-0.16, 0.52), (0.18, 0.52), (0.18, 0.32), (-0.14, 0.32)]), 0.16, shade(paint, 0.9))


def _exhaust(pen: Pen, random: Random, style: str, chrome: Colour, lift: float) -> None:
    """Draw the exhaust: high for trail and sports motorcycles, low for the others; `lift` raises it."""
    if style in ("trail", "sport"):
        pen.line([(0.62, 0.3 + lift, 0.1), (0.5, 0.2, 0.12), (0.3, 0.3 + lift, 0.12)], 0.04, shade(chrome, 0.8))
        pen.line([(0.28, 0.34 + lift, 0.13), (-0.1, 0.52 + lift, 0.13)], 0.075, chrome)
    else:
        thick = 0.05 if style == "moped" else 0.075
        pen.line([(0.64, 0.34, 0.1), (0.66, 0.2, 0.12), (0.5, 0.14, 0.12)], 0.04, chrome)
        pen.line([(0.42, 0.14, 0.13), (random.uniform(-0.25, -0.05), random.uniform(0.14, 0.22), 0.14)], thick, chrome)


def _controls(pen: Pen, random: Random, style: str, paint: Colour, chrome: Colour, head: Pixel) -> None:
    """Draw the handlebars, mirrors, headlamp and rear lamp of a motorcycle of this style at `head`."""
    x, y = head[0] - 0.02, head[1] + 0.08
    rise = {"cruiser": random.uniform(0.05, 0.22), "sport": -0.03, "touring": 0.08}.get(
        style, random.uniform(0.03, 0.09)
    )
    pull = {"cruiser": 0.14, "sport": 0.02}.get(style, 0.08)
    for z in (-0.24, 0.24):
        pen.line([(x, y, 0), (x + 0.02, y + rise, z * 0.55), (x - pull, y + rise, z)], 0.026, chrome, steered=True)
        pen.line([(x - pull + 0.02, y + rise, z), (x - pull - 0.06, y + rise - 0.01, z)], 0.042, BLACK, steered=True)
        if random.rand() < 0.6:
            pen.line([(x, y + rise, z * 0.8), (x - 0.02, y + rise + 0.09, z)], 0.012, BLACK, steered=True)
            pen.disc(x - 0.02, y + rise + 0.11, 0.032, 0.02, shade(chrome, 0.6), steered=True)
    if style not in ("sport", "touring"):
        pen.disc(x + 0.1, y - 0.05, random.uniform(0.055, 0.085), 0.06, chrome, steered=True)
        pen.disc(x + 0.13, y - 0.05, 0.05, 0.05, (240, 236, 210), steered=True)
    pen.disc(-0.14, 0.5 if style == "cruiser" else 0.62, 0.025, 0.03, (190, 20, 20))


def _scooter(pen: Pen, random: Random) -> None:
    """Draw a scooter: small wheels, a step to stand on, a leg shield, and a seat over the engine."""
    paint = pick(random, PAINT)
    radius, tyre = random.uniform(0.17, 0.2), 0.07
    for x, steered in ((0.05, False), (1.0, True)):
        _motorcycle_wheel(pen, random, x, radius, tyre, spoked=False, steered=steered)
    pen.solid(
        smooth([(-0.14, 0.5), (0.1, 0.56), (0.36, 0.52), (0.42, 0.28), (0.3, 0.17), (0.05, 0.3), (-0.1, 0.32)]),
        0.13,
        paint,
    )
    pen.solid(smooth([(0.3, 0.2), (0.74, 0.18), (0.78, 0.24), (0.36, 0.26)]), 0.13, shade(paint, 0.8))
    pen.solid(smooth([(0.72, 0.2), (0.8, 0.72), (0.88, 0.7), (0.9, 0.4), (0.82, 0.2)]), 0.15, paint, steered=False)
    pen.solid(
        smooth([(-0.1, 0.58), (0.14, 0.62), (0.38, 0.58), (0.36, 0.53), (-0.08, 0.53)]),
        0.1,
        pick(random, [BLACK, (110, 70, 40)]),
    )
    pen.solid(smooth([(0.82, 0.3), (0.98, 0.42), (1.16, 0.3), (1.0, 0.34)]), 0.07, paint, steered=True)
    pen.line([(0.98, 0.3, 0), (0.82, 0.78, 0)], 0.06, shade(paint, 0.9), steered=True)
    for z in (-0.22, 0.22):
        pen.line([(0.84, 0.78, 0), (0.78, 0.82, z)], 0.045, BLACK, steered=True)
        pen.line([(0.81, 0.8, z * 0.6), (0.8, 0.93, z * 0.6)], 0.014, BLACK, steered=True)
        pen.line([(0.8, 0.92, z * 0.5), (0.8, 0.95, z * 0.8)], 0.06, STEEL, steered=True)
    pen.disc(0.89, 0.74, 0.055, 0.05, (240, 236, 210), steered=True)
