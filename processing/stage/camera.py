"""Shows a part of the older photos as the camera takes them now, by the look of the photos that people labelled.

A retraining has few photos of after a change and many of before. Light, colour, blur and a turn can be carried over:
they are fitted so that the older photos look like the labelled ones. Light, colour and blur by the means of
photo_features.py; a turn by the mean photo, whose corners are dark when the camera is mounted askew. Then
training/focus.py sharpens photos that are so blurred, and training/upright.py turns those that are so turned back, of
before and of now alike. A turned camera without dark corners, and one
that looks at another place, cannot be learned this way.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from processing.datasets import Load
from processing.photo_features import SIDE, measure
from processing.photos import PhotoError, opened
from processing.stage.rows import Row, Splits, rank

Pixels = npt.NDArray[np.float64]
MIN_LABELLED = 30  # photos, below which nothing is fitted
NEWEST = 50  # labelled photos that a look is fitted to: those before them may be of before the change
MOST = 100  # older photos that a look is fitted with
ROUNDS = 2  # of the fit: blur and light change each other's figures a little
BLURS = tuple(0.15 * step for step in range(18))  # in pixels of a photo of SIDE
DARKEST, BRIGHTEST = 0.1, 3.0  # factors of light and colour
ANGLES = range(-90, 91, 5)  # degrees
TURNED = 0.5  # a turn leaves at most this part of the distance between the mean photos
SURE = 0.8  # of the distance that a turn by 90 degrees less leaves, which has the same corners: a larger one, at most


@dataclass(frozen=True)
class Look:
    """How photos of before look when they are taken as now.

    `angle` is that of a turn in degrees, counter-clockwise, with black corners. `blur` is the radius of a Gaussian in
    pixels of a photo of SIDE pixels, `light` and `colour` are factors.
    """

    angle: int = 0
    blur: float = 0.0
    light: float = 1.0
    colour: float = 1.0

    @property
    def is_new(self) -> bool:
        """Whether photos look so different that the camera, and not the choice of photos, must have changed."""
        return self.angle != 0 or self.blur >= 0.45 or not 0.8 <= self.light <= 1.25 or not 0.65 <= self.colour <= 1.5

    def of(self, photo: Image.Image) -> Image.Image:
        """The photo as it would be taken now."""
        photo = photo.rotate(self.angle, resample=Image.Resampling.BICUBIC) if self.angle else photo
        radius = self.blur * max(photo.size) / SIDE
        photo = photo.filter(ImageFilter.GaussianBlur(radius)) if radius else photo
        photo = ImageEnhance.Brightness(photo).enhance(self.light) if self.light != 1 else photo
        return ImageEnhance.Color(photo).enhance(self.colour) if self.colour != 1 else photo


def fitted(before: Sequence[Load], now: Sequence[Load]) -> Look:
    """The look with which the photos of before have the means of those of now, as nearly as it can be."""
    small, shown = _small(before), _small(now)
    goal = _means(shown, Look())
    look = Look(angle=_turned(small, shown))
    for _ in range(ROUNDS):
        brightness = _means(small, look)[0]
        look = replace(look, light=_bounded(look.light * goal[0] / max(brightness, 1e-6)))
        apart = [abs(_means(small, replace(look, blur=blur))[2] - goal[2]) for blur in BLURS]
        look = replace(look, blur=BLURS[int(np.argmin(apart))])
        colour = _means(small, look)[3]
        look = replace(look, colour=_bounded(look.colour * goal[3] / max(colour, 1e-6)))
    return look


def _turned(before: Sequence[Image.Image], now: Sequence[Image.Image]) -> int:
    """By how many degrees the photos of before have to be turned for the mean photo of those of now; 0 for no turn."""
    goal = _mean_photo(now, 0)
    apart = {angle: float(np.sqrt(np.mean((_mean_photo(before, angle) - goal) ** 2))) for angle in ANGLES}
    nearest = min(apart, key=lambda angle: apart[angle])
    smaller = nearest - 90 if nearest > 45 else nearest + 90 if nearest < -45 else nearest
    if apart[nearest] > SURE * apart[smaller]:
        nearest = smaller
    return nearest if apart[nearest] <= TURNED * apart[0] else 0


def _mean_photo(photos: Sequence[Image.Image], angle: int) -> Pixels:
    """The mean of the photos' grey values after a turn, as shares of their mean, so that light does not matter."""
    turned = [np.asarray(Look(angle).of(photo).convert("L"), np.float64) for photo in photos]
    mean: Pixels = np.mean(turned, axis=0)
    return mean / max(float(mean.mean()), 1e-6)


def _bounded(factor: float) -> float:
    return float(min(BRIGHTEST, max(DARKEST, factor)))


def _small(loads: Sequence[Load]) -> list[Image.Image]:
    """At most MOST of the photos, evenly spread, at SIDE pixels; without those that cannot be read."""
    chosen = np.unique(np.linspace(0, len(loads) - 1, min(len(loads), MOST)).round().astype(int))
    found = []
    for at in chosen:
        try:
            with opened(loads[at]()) as photo:
                found.append(photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
        except (OSError, PhotoError):
            continue
    return found


def _means(photos: Sequence[Image.Image], look: Look) -> list[float]:
    """Means of the features of the photos as they look."""
    return [float(value) for value in np.mean([measure(look.of(photo)) for photo in photos], axis=0)]


def carried_over(splits: Splits, labelled: Sequence[Row], seed: int) -> Splits:
    """Half of the photos to train with, and of the other things to learn from, in the look of the labelled photos.

    `labelled` has the newest photos last, which the look is fitted to. Which half is drawn by the content and the seed.
    The result has the blur and the angle of the turn. Nothing changes for few labelled photos, or when they look like
    the others. To be called before they are added.
    """
    if len(labelled) < MIN_LABELLED:
        return splits
    look = fitted([row.load for row in splits.train], [row.load for row in labelled[-NEWEST:]])
    if not look.is_new:
        return splits

    def half(loads: Sequence[Load]) -> list[Load]:
        chosen = sorted(range(len(loads)), key=lambda number: rank(seed, f"camera {number}"))[::2]
        taken = set(chosen)
        return [_taken(load, look) if number in taken else load for number, load in enumerate(loads)]

    train = [Row(row.label, load) for row, load in zip(splits.train, half([r.load for r in splits.train]), strict=True)]
    outliers = splits.outliers
    if outliers:
        shown = {name: half(loads) for name, loads in outliers["train"].items()}
        outliers = {"train": shown, "test": outliers["test"]}
    said = (
        f"half of the older photos are shown as the labelled ones look: turned by {look.angle} degrees, "
        f"blurred by {look.blur:.2f} of {SIDE} pixels, light times {look.light:.2f}, colour times {look.colour:.2f}"
    )
    return replace(
        splits,
        train=train,
        outliers=outliers,
        blurred=round(look.blur, 2),
        turned=look.angle,
        notes=(*splits.notes, said),
    )


def _taken(load: Load, look: Look) -> Callable[[], bytes]:
    """Return a loader of the photo, as PNG, in another look."""

    def encoded() -> bytes:
        out = io.BytesIO()
        with opened(load()) as photo:
            look.of(ImageOps.exif_transpose(photo).convert("RGB")).save(out, "PNG")
        return out.getvalue()

    return encoded
