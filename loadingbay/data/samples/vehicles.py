"""Bicycles and motorcycles, each of its own build: drawn side on with a pen, in units of their wheelbase."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin

import numpy as np

from loadingbay.data.samples.pen import Colour, Pen, Pixel, Point, along, shade, smooth

Random = np.random.RandomState  # its streams are frozen for good, unlike numpy's newer generators

PAINT: list[Colour] = [
    (196, 30, 36), (32, 74, 160), (24, 120, 70), (235, 190, 40), (240, 240, 236), (28, 28, 32), (120, 124, 130),
    (230, 110, 30), (95, 50, 130), (60, 160, 190), (140, 20, 50), (210, 205, 190), (70, 80, 50), (245, 150, 170),
]  # fmt: skip
BLACK: Colour = (24, 24, 26)
STEEL: Colour = (176, 180, 186)


def pick(random: Random, options: Sequence[Colour]) -> Colour:
    """One of the colours, a little varied."""
    colour = options[random.randint(len(options))]
    return shade(colour, random.uniform(0.75, 1.15))


def _at(point: Pixel, z: float = 0.0) -> Point:
    return point[0], point[1], z


def _bicycle_wheel(pen: Pen, random: Random, x: float, radius: float, tyre: float, turn: float, steered: bool) -> None:
    rim = pick(random, [STEEL, STEEL, BLACK, (200, 170, 120)])
    pen.ring(x, radius, radius - tyre, tyre * 0.6, 0, rim, steered)
    pen.spokes(x, radius, radius - tyre, random.randint(10, 19), 0.006, STEEL, turn, steered)
    pen.ring(x, radius, radius - tyre / 2, tyre, tyre * 0.4, BLACK, steered)
    pen.disc(x, radius, 0.025, 0.02, shade(STEEL, 0.8), steered)


def bicycle(pen: Pen, random: Random) -> None:
    """A road, town, cruiser, mountain, folding or electric bicycle."""
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
        pen.line([_at(seat_top), (-0.12, seat_top[1] - 0.04, 0), (-0.02, radius, 0.04)], 0.016, BLACK)
        if random.rand() < 0.4:
            bag = pick(random, PAINT)
            pen.solid([(-0.16, 0.28), (0.14, 0.28), (0.14, 0.58), (-0.16, 0.58)], 0.10, bag)
    pen.line([_at(crank), _at(rear, 0.03)], tube * 0.7, paint)
    pen.line([_at(seat_top), _at(rear, 0.03)], tube * 0.55, paint)
    pen.line([_at(crank), _at(seat_top)], tube, paint)
    if style == "folding":
        pen.line([_at(along(crank, seat_top, 0.25)), _at(along(head_low, head_top, 0.3))], tube * 1.5, paint)
    elif style == "town" and random.rand() < 0.6:  # step-through
        bend = ((crank[0] + head_low[0]) / 2, min(crank[1], head_low[1]) + 0.06)
        pen.line([_at(along(crank, seat_top, 0.2)), _at(bend), _at(head_low)], tube * 1.15, paint)
    elif style == "cruiser":
        pen.line([_at(seat_top), (0.55, seat_top[1] + 0.03, 0), _at(head_top)], tube, paint)
        pen.line([_at(crank), (0.64, 0.42, 0), _at(head_low)], tube * 1.1, paint)
    else:
        pen.line([_at(along(crank, seat_top, random.uniform(0.84, 1.0))), _at(head_top)], tube, paint)
        pen.line([_at(crank), _at(head_low)], tube * 1.15, paint)
    if style == "electric":
        low, high = along(crank, head_low, 0.2), along(crank, head_low, 0.8)
        pen.line([_at(low), _at(high)], tube * 2.1, BLACK)
        pen.disc(crank[0], crank[1], 0.075, 0.06, BLACK)
    pen.line([_at(head_low), _at(head_top)], tube * 1.2, shade(paint, 0.9), steered=False)
    for z in (-0.03, 0.03):
        pen.line(
            [_at(head_low, z), (1, radius, z)],
            tube * (0.95 if style == "mountain" else 0.65),
            shade(paint, 0.95),
            steered=True,
        )
    pen.line([_at(seat_top), _at(saddle)], tube * 0.6, STEEL)
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
    pen.line([_at(crank, 0.05), _at(pedal, 0.06)], 0.022, STEEL)
    pen.line([(pedal[0] - 0.05, pedal[1], 0.1), (pedal[0] + 0.05, pedal[1], 0.1)], 0.03, BLACK)


def _bicycle_bars(pen: Pen, random: Random, style: str, head: Pixel) -> None:
    x, y = head[0] - 0.02, head[1] + random.uniform(0.05, 0.14)
    pen.line([_at(head), (x, y, 0)], 0.03, STEEL, steered=True)
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


def _motorcycle_wheel(
    pen: Pen, random: Random, x: float, radius: float, tyre: float, spoked: bool, steered: bool
) -> None:
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
    """A naked, cruising, sports, touring or trail motorcycle, a scooter, or a light moped."""
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
    pen.line([(0.36, 0.24, 0), _at(head)], 0.06, BLACK)
    pen.line([(0.3, 0.26, 0), (0.2, seat_height, 0)], 0.05, BLACK)
    _engine(pen, random, style, chrome, lift)
    _body(pen, random, style, paint, head, seat_height)
    _exhaust(pen, random, style, chrome, lift)
    _controls(pen, random, style, paint, chrome, head)


def _engine(pen: Pen, random: Random, style: str, chrome: Colour, lift: float) -> None:
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
    if style in ("trail", "sport"):
        pen.line([(0.62, 0.3 + lift, 0.1), (0.5, 0.2, 0.12), (0.3, 0.3 + lift, 0.12)], 0.04, shade(chrome, 0.8))
        pen.line([(0.28, 0.34 + lift, 0.13), (-0.1, 0.52 + lift, 0.13)], 0.075, chrome)
    else:
        thick = 0.05 if style == "moped" else 0.075
        pen.line([(0.64, 0.34, 0.1), (0.66, 0.2, 0.12), (0.5, 0.14, 0.12)], 0.04, chrome)
        pen.line([(0.42, 0.14, 0.13), (random.uniform(-0.25, -0.05), random.uniform(0.14, 0.22), 0.14)], thick, chrome)


def _controls(pen: Pen, random: Random, style: str, paint: Colour, chrome: Colour, head: Pixel) -> None:
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


def rider(pen: Pen, random: Random, motor: bool) -> None:
    """Somebody on it, leaning forward a little."""
    clothes, trousers = pick(random, PAINT), pick(random, [BLACK, (50, 60, 100), (90, 80, 70)])
    skin = pick(random, [(224, 178, 140), (150, 100, 70), (92, 60, 42)])
    hip: Pixel = (0.28, 0.58) if motor else (0.27, 0.95)
    lean = random.uniform(0.1, 0.3)
    neck: Pixel = (hip[0] + lean, hip[1] + 0.42 - lean * 0.4)
    hand: Pixel = (0.76, 0.74) if motor else (0.8, 0.95)
    foot: Pixel = (0.5, 0.2) if motor else (0.45, 0.2)
    for z in (-0.1, 0.1):
        pen.line(
            [_at(hip, z), ((hip[0] + foot[0]) / 2 + 0.17, (hip[1] + foot[1]) / 2 + 0.06, z), _at(foot, z)],
            0.1,
            trousers,
        )
    pen.line([_at(hip), _at(neck)], 0.2, clothes)
    for z in (-0.16, 0.16):
        pen.line(
            [_at(neck, z), (neck[0] + 0.12, neck[1] - 0.2, z * 1.2), _at(hand, z * 1.2)], 0.07, shade(clothes, 0.9)
        )
    helmet = motor or random.rand() < 0.5
    pen.disc(neck[0] + 0.06, neck[1] + 0.14, 0.12 if helmet else 0.1, 0.09, pick(random, PAINT) if helmet else skin)
