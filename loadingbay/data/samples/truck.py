"""Pickup trucks, for runs with a third class: drawn side on like the other vehicles, their wheels one unit apart."""

from __future__ import annotations

from loadingbay.data.samples.paint import BLACK, PAINT, STEEL, Random, pick
from loadingbay.data.samples.pen import Pen, shade, smooth

GLASS = (70, 92, 110)


def pickup_truck(pen: Pen, random: Random) -> None:
    """Draw a pickup truck, a cab before an open bed: old and rounded or new and square, sometimes loaded."""
    paint = pick(random, PAINT)
    radius, width = random.uniform(0.13, 0.17), random.uniform(0.17, 0.21)
    floor, belt = radius + 0.02, radius + random.uniform(0.2, 0.25)
    roof = belt + random.uniform(0.18, 0.24)
    cab, nose, tail = random.uniform(0.42, 0.5), random.uniform(1.18, 1.26), random.uniform(-0.26, -0.18)
    slope = random.uniform(0.04, 0.14)
    if random.rand() < 0.35:
        load = pick(random, PAINT)
        high = belt + random.uniform(0.05, 0.16)
        pen.solid([(tail + 0.1, floor), (cab - 0.06, floor), (cab - 0.06, high), (tail + 0.1, high)], 0.12, load)
    pen.solid([(tail, floor), (nose, floor), (nose, belt), (tail, belt)], width, paint)
    glasshouse = [(cab, belt - 0.02), (cab + 0.03, roof), (0.82 - slope, roof), (0.92, belt - 0.02)]
    pen.solid(smooth(glasshouse, 2) if random.rand() < 0.4 else glasshouse, width * 0.92, paint)
    window = [(cab + 0.05, belt), (cab + 0.07, roof - 0.04), (0.8 - slope, roof - 0.04), (0.86, belt)]
    pen.solid(window, width * 0.96, GLASS)
    pen.line([((cab + 0.86) / 2, belt, width), ((cab + 0.84) / 2, roof, width)], 0.025, paint)
    pen.line([(tail, belt, width), (cab, belt, width)], 0.03, shade(paint, 0.7))
    chrome = STEEL if random.rand() < 0.6 else BLACK
    for x in (tail - 0.02, nose):
        pen.solid([(x, floor), (x + 0.03, floor), (x + 0.03, floor + 0.06), (x, floor + 0.06)], width, chrome)
    pen.disc(nose - 0.03, belt - 0.06, 0.035, width, (240, 236, 210))
    for x in (0.0, 1.0):
        pen.disc(x, radius, radius, width + 0.02, BLACK, steered=x > 0)
        pen.disc(x, radius, radius * 0.5, width + 0.03, chrome, steered=x > 0)
