"""Draws a photo of one vehicle by `draw`: background, camera, what hides a part of the vehicle, light and lens."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, radians

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from loadingbay.data.samples.bicycle import bicycle
from loadingbay.data.samples.motorcycle import motorcycle
from loadingbay.data.samples.paint import PAINT, Random, pick
from loadingbay.data.samples.pen import Colour, Pen, View, shade
from loadingbay.data.samples.rider import rider
from loadingbay.data.samples.truck import pickup_truck

DRAWERS = {"bicycle": bicycle, "motorcycle": motorcycle, "pickup_truck": pickup_truck}
KINDS = tuple(DRAWERS)
TINY = 48  # below this many pixels a side the picture is drawn four times as large, and shrunk


def draw(kind: str, seed: int, size: tuple[int, int] = (32, 32)) -> Image.Image:
    """Draws one photo, RGB, `size` = (width, height) pixels. The same kind, seed and size give the same pixels.

    Raises KeyError for a kind that is not in KINDS.
    """
    drawer = DRAWERS[kind]
    random = Random(np.array([seed & 0xFFFFFFFF, KINDS.index(kind)], dtype=np.uint32))
    width, height = size
    factor = 4 if min(size) < TINY else 2
    difficulty = _difficulty(random)
    canvas = _place(random, width * factor, height * factor)
    vehicle = Random(random.randint(2**31))  # its own stream: the place does not change the vehicle
    ridden = bool(vehicle.rand() < 0.14) and kind != "pickup_truck"
    view = _view(random, canvas.size, difficulty, ridden)
    pen = Pen(canvas, view, steering=vehicle.normal(0, 0.22))
    _shadow(pen, random)
    drawer(pen, vehicle)
    if ridden:
        rider(pen, vehicle, motor=kind == "motorcycle")
    if random.rand() < difficulty.occlusion:
        _occlude(canvas, random)
    return _develop(canvas, size, random, difficulty)


@dataclass(frozen=True)
class Difficulty:
    """How hard a photo is to tell: shares of the size, blur in pixels of the photo, noise in grey levels."""

    zoom: float
    blur: float
    noise: float
    contrast: float
    light: float
    occlusion: float
    offset: float


def _difficulty(random: Random) -> Difficulty:
    """Choose how hard a photo is: three in four are plain, the others small, dark, blurred, pale or partly hidden."""
    plain = Difficulty(
        zoom=random.uniform(0.62, 0.86),
        blur=random.uniform(0, 0.5),
        noise=random.uniform(1, 7),
        contrast=random.uniform(0.75, 1.15),
        light=random.uniform(0.75, 1.2),
        occlusion=0.15,
        offset=0.06,
    )
    hard = random.choice(
        ["", "tiny", "dark", "blurred", "pale", "hidden", "cropped"], p=[0.72, 0.05, 0.05, 0.06, 0.04, 0.04, 0.04]
    )
    changes: dict[str, dict[str, float]] = {
        "tiny": {"zoom": random.uniform(0.26, 0.4), "offset": 0.22},
        "dark": {"light": random.uniform(0.25, 0.45), "noise": random.uniform(3, 8)},
        "blurred": {"blur": random.uniform(1.1, 2.2)},
        "pale": {"contrast": random.uniform(0.22, 0.42), "noise": random.uniform(3, 8)},
        "hidden": {"occlusion": 1.0, "noise": random.uniform(4, 10)},
        "cropped": {"zoom": random.uniform(1.2, 1.7), "offset": 0.3},
    }
    return Difficulty(**{**plain.__dict__, **changes.get(str(hard), {})})


def _view(random: Random, size: tuple[int, int], difficulty: Difficulty, ridden: bool) -> View:
    """Choose the camera at random; a vehicle with a rider is drawn smaller and lower, so that the rider fits in."""
    width, height = size
    yaw = radians(float(np.clip(random.normal(0, 30), -68, 68)))
    return View(
        yaw=yaw,
        pitch=radians(random.uniform(0, 16)),
        roll=radians(random.normal(0, 3.5)),
        scale=difficulty.zoom * min(width * 0.68, height * 0.88) * (0.74 if ridden else 1),
        centre=(
            width * (0.5 + random.uniform(-1, 1) * difficulty.offset),
            height * ((0.68 if ridden else 0.56) + random.uniform(-1, 1) * difficulty.offset),
        ),
        mirrored=bool(random.rand() < 0.5),
    )


def _gradient(width: int, height: int, top: Colour, bottom: Colour) -> Image.Image:
    column = np.linspace(0, 1, height)[:, None, None]
    pixels = np.array(top) * (1 - column) + np.array(bottom) * column
    return Image.fromarray(np.broadcast_to(pixels, (height, width, 3)).astype(np.uint8).copy())


def _place(random: Random, width: int, height: int) -> Image.Image:
    """Draw a background of `width` x `height` pixels: a studio, street, park, wall, room or town."""
    place = random.choice(["studio", "street", "park", "wall", "room", "town"], p=[0.22, 0.22, 0.18, 0.18, 0.08, 0.12])
    if place == "studio":
        grey = random.uniform(200, 255)
        tint = (int(grey), int(grey - random.uniform(0, 10)), int(grey - random.uniform(0, 20)))
        return _gradient(width, height, tint, shade(tint, random.uniform(0.82, 1.0)))
    horizon = int(height * random.uniform(0.35, 0.72))
    skies: list[Colour] = [(120, 170, 225), (190, 205, 220), (225, 225, 225), (90, 120, 170), (240, 190, 140)]
    if place in ("wall", "room"):
        walls: list[Colour] = [
            (178, 92, 70),
            (205, 195, 175),
            (150, 150, 150),
            (90, 100, 110),
            (220, 210, 130),
            (120, 150, 140),
        ]
        colour = pick(random, walls)
        scene = _gradient(
            width, height, shade(colour, random.uniform(0.9, 1.2)), shade(colour, random.uniform(0.75, 1))
        )
        if random.rand() < 0.6:
            _bricks(scene, random, horizon, colour)
    else:
        sky = pick(random, skies)
        scene = _gradient(width, height, sky, shade(sky, 1.3))
    draw = ImageDraw.Draw(scene)
    if place == "town":
        _houses(draw, random, width, horizon)
    if place == "park" or (place == "street" and random.rand() < 0.5):
        for _ in range(random.randint(3, 9)):
            _tree(draw, random, random.uniform(0, width), horizon, height * random.uniform(0.1, 0.4))
    greens: list[Colour] = [(86, 130, 56), (110, 150, 70), (70, 100, 50)]
    greys: list[Colour] = [(110, 110, 114), (140, 138, 132), (80, 82, 86), (168, 150, 120)]
    ground = pick(random, greens if place == "park" else greys)
    scene.paste(_gradient(width, height - horizon, shade(ground, 0.85), shade(ground, 1.1)), (0, horizon))
    if place in ("street", "town") and random.rand() < 0.5:
        y = horizon + (height - horizon) * random.uniform(0.1, 0.5)
        draw.line([(0, y), (width, y + random.uniform(-0.06, 0.06) * height)], (225, 225, 215), max(1, height // 60))
    for _ in range(random.randint(0, 4)):  # things lying about
        x, y = random.uniform(0, width), random.uniform(horizon * 0.7, height)
        w, h = random.uniform(0.03, 0.22) * width, random.uniform(0.03, 0.2) * height
        shape = draw.rectangle if random.rand() < 0.6 else draw.ellipse
        shape((x, y - h, x + w, y), fill=shade(pick(random, PAINT), random.uniform(0.5, 1.1)))
    return _grain(scene, random)


def _grain(scene: Image.Image, random: Random) -> Image.Image:
    """Return the scene with a noise texture on ground and walls; its grain does not depend on the size."""
    grain = random.normal(0, random.uniform(2, 9), (48, 48, 1)).repeat(3, 2)
    rough = Image.fromarray(np.clip(128 + grain, 0, 255).astype(np.uint8)).resize(scene.size, Image.Resampling.BILINEAR)
    mixed = np.asarray(scene, dtype=np.int16) + np.asarray(rough, dtype=np.int16) - 128
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def _bricks(scene: Image.Image, random: Random, horizon: int, colour: Colour) -> None:
    """Draw the joints of a brick wall above the horizon (a row in pixels), in a shade of `colour`."""
    draw = ImageDraw.Draw(scene)
    rows = random.randint(6, 14)
    tall = max(2.0, scene.height / rows / 1.4)
    mortar = shade(colour, random.choice([0.7, 1.35]))
    wide = max(1, scene.height // 160)
    for row in range(int(horizon / tall) + 1):
        y = horizon - row * tall
        draw.line([(0, y), (scene.width, y)], mortar, wide)
        for column in range(int(scene.width / (tall * 2.2)) + 2):
            x = (column - 0.5 * (row % 2)) * tall * 2.2
            draw.line([(x, y), (x, y - tall)], mortar, wide)


def _houses(draw: ImageDraw.ImageDraw, random: Random, width: int, horizon: int) -> None:
    """Draw a row of houses with windows along the horizon, over the whole width."""
    x = -0.1 * width
    colours: list[Colour] = [(190, 160, 130), (160, 90, 70), (210, 205, 195), (120, 125, 135), (230, 210, 150)]
    while x < width:
        wide, high = random.uniform(0.15, 0.4) * width, random.uniform(0.3, 0.95) * horizon
        colour = pick(random, colours)
        draw.rectangle((x, horizon - high, x + wide, horizon), fill=colour)
        for column in range(random.randint(1, 4)):
            for row in range(random.randint(1, 4)):
                left, top = x + wide * (0.12 + 0.24 * column), horizon - high * (0.9 - 0.24 * row)
                draw.rectangle(
                    (left, top, left + wide * 0.13, top + high * 0.12),
                    fill=shade(colour, random.choice([0.4, 0.5, 1.5])),
                )
        x += wide


def _tree(draw: ImageDraw.ImageDraw, random: Random, x: float, ground: float, tall: float) -> None:
    """Draw a tree `tall` pixels high that stands at (x, ground)."""
    draw.line([(x, ground), (x, ground - tall * 0.6)], (90, 70, 50), max(1, int(tall * 0.08)))
    greens: list[Colour] = [(60, 110, 50), (90, 130, 60), (50, 84, 44), (120, 130, 50)]
    leaves = pick(random, greens)
    for _ in range(6):
        cx, cy = x + random.normal(0, tall * 0.22), ground - tall * random.uniform(0.5, 1.0)
        half = tall * random.uniform(0.12, 0.26)
        draw.ellipse((cx - half, cy - half, cx + half, cy + half), fill=shade(leaves, random.uniform(0.8, 1.15)))


def _shadow(pen: Pen, random: Random) -> None:
    angles = np.linspace(0, 2 * pi, 25)[:-1]
    points = [pen.project((0.5 + 0.62 * float(np.cos(a)), 0.0, 0.13 * float(np.sin(a)))) for a in angles]
    pen.draw.polygon(points, (20, 20, 24, int(random.uniform(25, 110))))


def _occlude(canvas: Image.Image, random: Random) -> None:
    """Draw something that hides a part of the vehicle over the picture: a post, a bush, a box or a fence."""
    draw = ImageDraw.Draw(canvas)
    width, height = canvas.size
    kind = random.choice(["post", "bush", "box", "fence"])
    x = width * random.uniform(0.2, 0.8)
    if kind == "post":
        half = width * random.uniform(0.02, 0.08)
        draw.rectangle(
            (x - half, 0, x + half, height), fill=pick(random, [(70, 70, 72), (130, 110, 90), (200, 200, 200)])
        )
    elif kind == "bush":
        for _ in range(14):
            cx, cy = random.normal(x, width * 0.13), height * random.uniform(0.66, 1.05)
            half = width * random.uniform(0.04, 0.1)
            draw.ellipse(
                (cx - half, cy - half, cx + half, cy + half), fill=shade((70, 110, 50), random.uniform(0.7, 1.2))
            )
    elif kind == "box":
        wide, high = width * random.uniform(0.12, 0.34), height * random.uniform(0.15, 0.45)
        draw.rectangle((x - wide / 2, height - high, x + wide / 2, height), fill=pick(random, PAINT))
    else:
        colour = pick(random, [(60, 60, 62), (220, 220, 220), (120, 90, 60)])
        for index in range(12):
            left = width * index / 12
            draw.rectangle((left, height * 0.5, left + width * 0.014, height), fill=colour)
        draw.rectangle((0, height * 0.55, width, height * 0.575), fill=colour)


def _develop(canvas: Image.Image, size: tuple[int, int], random: Random, difficulty: Difficulty) -> Image.Image:
    """Shrinks with antialiasing, then light, contrast, colour cast, blur and the sensor's noise."""
    photo = canvas.resize(size, Image.Resampling.LANCZOS)
    if difficulty.blur > 0.15:
        sharper = (
            1.0 if min(size) < TINY else 0.35
        )  # what is out of focus on a thumbnail is still seen on a large photo
        photo = photo.filter(ImageFilter.GaussianBlur(difficulty.blur * sharper * min(size) / 32))
    photo = ImageEnhance.Contrast(photo).enhance(difficulty.contrast)
    photo = ImageEnhance.Color(photo).enhance(0.0 if random.rand() < 0.04 else random.uniform(0.6, 1.25))
    cast = 1 + random.uniform(-0.08, 0.08, 3)
    noise = Random(random.randint(2**31)).normal(0, difficulty.noise, (size[1], size[0], 3))
    pixels = np.asarray(photo, dtype=np.float64) * difficulty.light * cast + noise
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
