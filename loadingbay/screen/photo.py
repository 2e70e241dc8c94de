"""Draws a photo in a terminal: each character shows two pixels, one above the other."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.color import Color
from rich.segment import Segment, Segments
from rich.style import Style

COLUMNS = 48
_MOST_PIXELS = 50_000_000


def draw(photo: bytes, columns: int = COLUMNS) -> Segments | None:
    """The photo in `columns` characters and half as many lines or fewer; None when it is no PNG or JPEG."""
    try:
        with Image.open(io.BytesIO(photo), formats=("PNG", "JPEG")) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                return None
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, SyntaxError, ValueError):
        return None
    height = min(columns, max(1, round(columns * image.height / image.width / 2))) * 2
    image = image.resize((columns, height), Image.Resampling.BICUBIC)
    rows = np.asarray(image)
    segments = []
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            segments.append(Segment("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))))
        segments.append(Segment.line())
    return Segments(segments)
