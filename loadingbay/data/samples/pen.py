"""Draws solid shapes in perspective-free 3D on a Pillow image: the camera that looks at a drawn vehicle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, sin

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float, float]  # x forward, y up, z towards the viewer; the wheelbase is 1 long
Pixel = tuple[float, float]


def shade(colour: Colour, factor: float) -> Colour:
    """Return the colour (RGB) multiplied by `factor`: lighter above 1, darker below."""
    if factor <= 1:
        return (int(colour[0] * factor), int(colour[1] * factor), int(colour[2] * factor))
    rest = min(1.0, factor - 1)
    return (
        int(colour[0] + (255 - colour[0]) * rest),
        int(colour[1] + (255 - colour[1]) * rest),
        int(colour[2] + (255 - colour[2]) * rest),
    )


@dataclass(frozen=True)
class View:
    """Where the camera stands: angles in radians, scale in pixels a wheelbase, centre in pixels."""

    yaw: float
    pitch: float
    roll: float
    scale: float
    centre: Pixel
    mirrored: bool


class Pen:
    """Projects and draws. Points given with `steered=True` turn with the front wheel by `steering` radians."""

    def __init__(self, image: Image.Image, view: View, steering: float = 0.0) -> None:
        self.draw = ImageDraw.Draw(image, "RGBA")
        self.view = view
        self._fixed = _camera(view)
        # Turning about the upright through the front wheel's hub, then the camera: one linear map again.
        (ax, ay, az, a0), (bx, by, bz, b0) = self._fixed
        c, s = cos(steering), sin(steering)
        self._steered = tuple(
            (x * c + z * s, y, z * c - x * s, x * (1 - c) - z * s + one)
            for x, y, z, one in ((ax, ay, az, a0), (bx, by, bz, b0))
        )

    def project(self, point: Point, steered: bool = False) -> Pixel:
        """Return the pixel (x, y) of a point, given in units of the wheelbase.

        The middle of the wheelbase, a third up, is at the centre of the view.
        """
        x, y, z = point
        (ax, ay, az, a0), (bx, by, bz, b0) = self._steered if steered else self._fixed
        return ax * x + ay * y + az * z + a0, bx * x + by * y + bz * z + b0

    def line(self, points: Sequence[Point], width: float, colour: Colour, steered: bool = False) -> None:
        """Draw a line with round ends through the points; `width`, as the points, is in units of the wheelbase.

        A line narrower than a pixel is drawn one pixel wide and more transparent.
        """
        pixels = [self.project(point, steered) for point in points]
        wide = width * self.view.scale
        ink = (*colour, int(255 * min(1.0, max(0.25, wide))))
        self.draw.line(pixels, ink, max(1, round(wide)), joint="curve" if wide > 2 else None)
        if wide > 3:
            for x, y in (pixels[0], pixels[-1]):
                half = wide / 2 - 0.5
                self.draw.ellipse((x - half, y - half, x + half, y + half), ink)

    def solid(self, points: Sequence[Pixel], half_width: float, colour: Colour, steered: bool = False) -> None:
        """Draw an outline of (x, y), extruded along z by `half_width` to either side; the near side is the lightest."""
        turned = abs(sin(self.view.yaw)) + abs(sin(self.view.pitch))
        layers = min(
            40, max(5, int(2 * half_width * self.view.scale * turned / 2))
        )  # near enough to look like one body
        for layer in range(layers):
            z = half_width * (2 * layer / (layers - 1) - 1)
            tone = shade(colour, 0.55 + 0.45 * layer / (layers - 1))
            self.draw.polygon([self.project((x, y, z), steered) for x, y in points], tone)

    def disc(self, x: float, y: float, radius: float, half_width: float, colour: Colour, steered: bool = False) -> None:
        """Draw a filled disc, such as a wheel, lamp or gear."""
        self.solid([(x + radius * cos(a), y + radius * sin(a)) for a in _angles(22)], half_width, colour, steered)

    def ring(
        self, x: float, y: float, radius: float, tube: float, half_width: float, colour: Colour, steered: bool = False
    ) -> None:
        """Draw a ring, such as a tyre or rim."""
        layers = (-half_width, 0.0, half_width) if half_width * self.view.scale > 1 else (0.0,)
        for z in layers:
            points = [self.project((x + radius * cos(a), y + radius * sin(a), z), steered) for a in _angles(32)]
            wide = tube * self.view.scale
            ink = (*colour, int(255 * min(1.0, max(0.35, wide))))
            self.draw.line([*points, *points[:2]], ink, max(1, round(wide)), joint="curve" if wide > 2 else None)

    def spokes(
        self, x: float, y: float, radius: float, count: int, width: float, colour: Colour, turn: float, steered: bool
    ) -> None:
        """Draw `count` straight spokes from the hub."""
        for index in range(count):
            angle = turn + 2 * pi * index / count
            self.line([(x, y, 0), (x + radius * cos(angle), y + radius * sin(angle), 0)], width, colour, steered)


def _camera(view: View) -> tuple[tuple[float, ...], ...]:
    """Two rows (x, y, z, 1) that give the pixel of a point: yaw, pitch, roll, mirror, scale, and the centre."""
    rows = []
    for x, y, z in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        across = x * cos(view.yaw) + z * sin(view.yaw)
        depth = z * cos(view.yaw) - x * sin(view.yaw)
        up = y * cos(view.pitch) - depth * sin(view.pitch)
        turned = across * cos(view.roll) - up * sin(view.roll), across * sin(view.roll) + up * cos(view.roll)
        rows.append((-turned[0] if view.mirrored else turned[0], -turned[1]))
    out = []
    for axis in (0, 1):
        by_x, by_y, by_z = (row[axis] * view.scale for row in rows)
        out.append((by_x, by_y, by_z, view.centre[axis] - 0.5 * by_x - 0.35 * by_y))
    return tuple(out)


def _angles(count: int) -> list[float]:
    return [2 * pi * index / count for index in range(count)]


def smooth(corners: Sequence[Pixel], steps: int = 4) -> list[Pixel]:
    """A closed rounded outline through the corners (Catmull-Rom)."""
    out: list[Pixel] = []
    count = len(corners)
    for index in range(count):
        before, start, end, after = (corners[(index + shift) % count] for shift in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            out.append(
                (_spline(before[0], start[0], end[0], after[0], t), _spline(before[1], start[1], end[1], after[1], t))
            )
    return out


def _spline(before: float, start: float, end: float, after: float, t: float) -> float:
    """Return one coordinate between `start` and `end` at `t` (0 to 1) of a Catmull-Rom spline through four points."""
    return 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )


def along(start: Pixel, end: Pixel, share: float) -> Pixel:
    """The point that lies a share of the way from start to end."""
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share
