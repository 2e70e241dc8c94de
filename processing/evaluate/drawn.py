"""Pictures that show none of the classes, to measure how many a model accepts.

Seven kinds, all drawn: flat colour, camera noise, a page of text, a checkerboard, and three everyday scenes: a house, a
face, a tree. Training has outliers of its own (outliers.py): noise, smooth colours and rows of marks resemble three of
these kinds (the marks were added because pages of text were accepted, so that share is flattered), the other four it
never practised. The shares are reported by kind.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
SIDE = 256  # drawn large, then scaled down by the preprocessing like any photo


def _colour(rng: np.random.Generator, low: int = 0, high: int = 256) -> Colour:
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


def flat(rng: np.random.Generator) -> Image.Image:
    """One colour."""
    return Image.new("RGB", (SIDE, SIDE), _colour(rng))


def noise(rng: np.random.Generator) -> Image.Image:
    """A grey picture of a sensor that saw nothing: Gaussian noise about one level."""
    level, spread = rng.uniform(30, 220), rng.uniform(15, 80)
    pixels = np.clip(rng.normal(level, spread, (32, 32, 3)), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def text(rng: np.random.Generator) -> Image.Image:
    """A page of words on a light ground."""
    page = Image.new("RGB", (SIDE, SIDE), _colour(rng, 200))
    draw = ImageDraw.Draw(page)
    size = int(rng.integers(12, 36))
    font = ImageFont.load_default(size)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz     "))
    ink = _colour(rng, 0, 90)
    for y in range(int(rng.integers(4, 20)), SIDE - size, int(size * 1.4)):
        draw.text((int(rng.integers(4, 24)), y), "".join(rng.choice(letters, 60)), fill=ink, font=font)
    return page


def checkerboard(rng: np.random.Generator) -> Image.Image:
    """Squares of two colours."""
    board = Image.new("RGB", (SIDE, SIDE), _colour(rng))
    draw = ImageDraw.Draw(board)
    step, ink = int(rng.integers(16, 65)), _colour(rng)
    for y in range(0, SIDE, step):
        for x in range(0, SIDE, step):
            if (x // step + y // step) % 2:
                draw.rectangle((x, y, x + step - 1, y + step - 1), fill=ink)
    return board


def _scene(rng: np.random.Generator) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    """Sky and ground, and where they meet."""
    picture = Image.new("RGB", (SIDE, SIDE), _colour(rng, 120))
    horizon = int(rng.integers(130, 210))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, horizon, SIDE, SIDE), fill=_colour(rng, 40, 180))
    return picture, draw, horizon


def house(rng: np.random.Generator) -> Image.Image:
    """Walls, a roof, a door and windows."""
    picture, draw, horizon = _scene(rng)
    left, width, height = int(rng.integers(30, 90)), int(rng.integers(80, 140)), int(rng.integers(50, 100))
    top, bottom = horizon - height + 30, horizon + 30
    draw.rectangle((left, top, left + width, bottom), fill=_colour(rng))
    draw.polygon(
        [(left - 12, top), (left + width + 12, top), (left + width // 2, top - height // 2)], fill=_colour(rng)
    )
    draw.rectangle((left + width // 2 - 10, bottom - 40, left + width // 2 + 10, bottom), fill=_colour(rng))
    for x in (left + 12, left + width - 34):
        draw.rectangle((x, top + 14, x + 22, top + 34), fill=_colour(rng))
    return picture


def face(rng: np.random.Generator) -> Image.Image:
    """A round head with hair, eyes and a mouth."""
    picture = Image.new("RGB", (SIDE, SIDE), _colour(rng))
    draw = ImageDraw.Draw(picture)
    x, y, r = int(rng.integers(100, 156)), int(rng.integers(110, 150)), int(rng.integers(55, 95))
    draw.ellipse((x - r, y - int(r * 1.3), x + r, y + r), fill=_colour(rng, 0, 120))
    draw.ellipse((x - int(r * 0.85), y - r, x + int(r * 0.85), y + int(r * 1.15)), fill=_colour(rng, 100))
    for side in (-1, 1):
        eye = x + side * r // 3
        draw.ellipse((eye - 8, y - r // 5 - 6, eye + 8, y - r // 5 + 6), fill=_colour(rng, 0, 80))
    draw.arc((x - r // 3, y + r // 5, x + r // 3, y + r * 2 // 3), 20, 160, fill=_colour(rng, 60, 160), width=6)
    return picture


def tree(rng: np.random.Generator) -> Image.Image:
    """A trunk and a crown of leaves."""
    picture, draw, horizon = _scene(rng)
    x, width = int(rng.integers(90, 166)), int(rng.integers(8, 18))
    draw.rectangle((x - width, horizon - 70, x + width, horizon + 25), fill=_colour(rng, 40, 110))
    for _ in range(40):
        cx, cy, r = x + rng.normal(0, 32), horizon - 105 + rng.normal(0, 25), rng.uniform(12, 28)
        green = (int(rng.integers(10, 90)), int(rng.integers(80, 190)), int(rng.integers(10, 80)))
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=green)
    return picture


KINDS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "flat colour": flat, "noise": noise, "text": text, "checkerboard": checkerboard, "house": house, "face": face,
    "tree": tree,
}  # fmt: skip


def photos(each: int = 40, seed: int = 2024) -> dict[str, list[bytes]]:
    """`each` PNG photos of every kind; the same seed gives the same pixels."""
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[bytes]] = {}
    for kind, draw in KINDS.items():
        drawn[kind] = []
        for _ in range(each):
            picture = draw(rng)
            if picture.width == SIDE and rng.random() < 0.5:
                picture = picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 3))))
            encoded = io.BytesIO()
            picture.save(encoded, "PNG")
            drawn[kind].append(encoded.getvalue())
    return drawn
