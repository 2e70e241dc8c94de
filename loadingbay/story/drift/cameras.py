"""Photos that are held out from training, and what three changed cameras make of them."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageEnhance, ImageFilter

from processing.stage.archives import archive_splits

CLASSES = ("bicycle", "motorcycle")


def askew(photo: Image.Image) -> Image.Image:
    """Mounted askew: turned by 40 degrees, the corners black."""
    return photo.rotate(40, resample=Image.Resampling.BICUBIC)


def out_of_focus(photo: Image.Image) -> Image.Image:
    """Blurred by 1.6 pixels of 32."""
    return photo.filter(ImageFilter.GaussianBlur(1.6))


def night(photo: Image.Image) -> Image.Image:
    """A fifth of the light, and less colour."""
    return ImageEnhance.Color(ImageEnhance.Brightness(photo).enhance(0.2)).enhance(0.4)


CAMERAS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "askew": askew,
    "out-of-focus": out_of_focus,
    "night": night,
}


def divide(archive: Path, base: Path, seed: int = 1, held_out: float = 1 / 3) -> list[tuple[str, bytes]]:
    """Writes most photos of the archive into class folders below `base`, to train and test with.

    The others, (label, PNG) in an order that mixes the classes, are the stream: neither trained nor tested on. Which
    photos these are depends on the seed.
    """
    splits = archive_splits(archive, CLASSES, 0)
    by_class: dict[int, list[bytes]] = {}
    for row in [*splits.train, *splits.test]:
        by_class.setdefault(row.label, []).append(row.load())
    stream: list[tuple[float, str, bytes]] = []
    for label, photos in by_class.items():
        random.Random(seed).shuffle(photos)  # noqa: S311  # a draw that can be repeated, no secret
        kept = math.ceil(len(photos) * (1 - held_out))
        folder = base / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        for number, photo in enumerate(photos[:kept]):
            (folder / f"{number:04}.png").write_bytes(photo)
        rest = photos[kept:]
        stream += [(number / len(rest), CLASSES[label], photo) for number, photo in enumerate(rest)]
    return [(label, photo) for _, label, photo in sorted(stream)]


def taken(photo: bytes, camera: str) -> bytes:
    """The photo as this camera would have taken it, "" for the camera of before; PNG."""
    if not camera:
        return photo
    with Image.open(io.BytesIO(photo)) as image:
        changed = CAMERAS[camera](image.convert("RGB"))
    out = io.BytesIO()
    changed.save(out, "PNG")
    return out.getvalue()
