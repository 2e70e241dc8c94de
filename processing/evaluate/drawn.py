"""Pictures that show none of the classes, to measure how many a model accepts.

Eleven kinds, all drawn: flat colour, camera noise, a page of text, a checkerboard, three everyday scenes (a house, a
face, a tree), and what a camera or a person sends by mistake: a black frame, an empty yard, a logo, a screenshot.
Training has outliers of its own (outliers.py): noise, smooth colours and rows of marks resemble four of these kinds
(the marks were added because pages of text were accepted, so that share is flattered), the others it never practised.
The shares are reported by kind.
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
    """Draw one colour all over."""
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
    """Draw sky and ground: the picture, its pen, and the row in pixels where they meet."""
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


def black_frame(rng: np.random.Generator) -> Image.Image:
    """A camera that saw next to no light: a few grey levels of noise over black."""
    pixels = np.clip(rng.normal(rng.uniform(0, 12), rng.uniform(0.5, 6), (32, 32, 3)), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def yard(rng: np.random.Generator) -> Image.Image:
    """A loading yard with nobody in it: sky, a wall with doors, tarmac with a line or two."""
    picture, draw, horizon = _scene(rng)
    top, wall = horizon - int(rng.integers(50, 120)), _colour(rng, 60, 220)
    draw.rectangle((0, top, SIDE, horizon), fill=wall)
    door, wide = _colour(rng, 20, 200), int(rng.integers(40, 80))
    for left in range(int(rng.integers(0, 30)), SIDE, wide + int(rng.integers(15, 50))):
        draw.rectangle((left, top + 20, left + wide, horizon), fill=door)
    for _ in range(int(rng.integers(1, 4))):
        start, end = int(rng.integers(0, SIDE)), int(rng.integers(0, SIDE))
        draw.line((start, horizon, end, SIDE), fill=_colour(rng, 150), width=int(rng.integers(3, 9)))
    return picture


def logo(rng: np.random.Generator) -> Image.Image:
    """A sign on a plain ground: a disc, ring or shield, a letter on it, perhaps a word below."""
    picture = Image.new("RGB", (SIDE, SIDE), _colour(rng) if rng.random() < 0.5 else (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    centre, r, ink = SIDE // 2, int(rng.integers(50, 110)), _colour(rng)
    box = (centre - r, centre - r, centre + r, centre + r)
    form = int(rng.integers(3))
    if form == 0:
        draw.ellipse(box, fill=ink)
    elif form == 1:
        draw.ellipse(box, outline=ink, width=int(rng.integers(8, 30)))
    else:
        draw.polygon(
            [(centre - r, centre - r), (centre + r, centre - r), (centre + r, centre), (centre, centre + r),
             (centre - r, centre)], fill=ink,
        )  # fmt: skip
    letter = str(rng.choice(list("ABEGKMRSXZ")))
    draw.text((centre, centre), letter, fill=_colour(rng), font=ImageFont.load_default(r), anchor="mm")
    if rng.random() < 0.5:
        word = "".join(rng.choice(list("ACEILNORST"), 7))
        draw.text((centre, SIDE - 18), word, fill=ink, font=ImageFont.load_default(30), anchor="mm")
    return picture


def screenshot(rng: np.random.Generator) -> Image.Image:
    """A desktop: a bar along one side, windows with title bars and lines of text."""
    picture = Image.new("RGB", (SIDE, SIDE), _colour(rng))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(10)
    for _ in range(int(rng.integers(1, 4))):
        left, top = int(rng.integers(0, 120)), int(rng.integers(0, 120))
        right, bottom = left + int(rng.integers(70, 136)), top + int(rng.integers(60, 120))
        draw.rectangle((left, top, right, bottom), fill=_colour(rng, 180), outline=_colour(rng, 0, 120))
        draw.rectangle((left, top, right, top + 14), fill=_colour(rng, 40, 200))
        for y in range(top + 20, bottom - 12, 13):
            words = "".join(rng.choice(list("abcdefgh    "), int(rng.integers(6, 20))))
            draw.text((left + 6, y), words, fill=_colour(rng, 0, 100), font=font)
    bar = _colour(rng, 0, 120)
    draw.rectangle((0, SIDE - 18, SIDE, SIDE), fill=bar)
    for left in range(6, int(rng.integers(40, 200)), 22):
        draw.rectangle((left, SIDE - 15, left + 12, SIDE - 3), fill=_colour(rng))
    return picture


KINDS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "flat colour": flat, "noise": noise, "text": text, "checkerboard": checkerboard, "house": house, "face": face,
    "tree": tree, "black frame": black_frame, "empty yard": yard, "logo": logo, "screenshot": screenshot,
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
            picture.save(encoded, "PNG", compress_level=1)  # decoded once: smaller would take longer
            drawn[kind].append(encoded.getvalue())
    return drawn
