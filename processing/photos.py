"""What counts as a photo: PNG or JPEG bytes, within the limits that the endpoint has too."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

MAX_BYTES = 6 << 20
MAX_PIXELS = 50_000_000
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif")
_OTHER_KINDS = ((4, b"ftyphei", "HEIC"), (4, b"ftypmif1", "HEIC"), (4, b"ftypavif", "AVIF"), (8, b"WEBP", "WebP"),
                (0, b"GIF8", "GIF"), (0, b"BM", "BMP"), (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"))  # fmt: skip

# Pillow's own limit would end `open` before the number of pixels can be told; MAX_PIXELS is checked before decoding.
Image.MAX_IMAGE_PIXELS = None


class PhotoError(ValueError):
    """The bytes are no photo that is taken. The text continues a sentence that begins with the photo's name."""


def is_png(body: bytes) -> bool:
    """Whether the bytes begin as PNG does; a photo that does not is JPEG."""
    return body.startswith(b"\x89PNG")


def suffix(body: bytes) -> str:
    """The ending of a file of the photo: `.png` or `.jpg`."""
    return ".png" if is_png(body) else ".jpg"


@contextmanager
def opened(body: bytes) -> Iterator[Image.Image]:
    """The photo, its pixels not decoded yet. PhotoError when it is no PNG or JPEG or beyond the limits.

    What goes wrong while the caller decodes it is a PhotoError too.
    """
    if not body:
        raise PhotoError("is empty")
    if len(body) > MAX_BYTES:
        raise PhotoError(too_large(len(body)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF and palette notes; what cannot be decoded raises
            with Image.open(io.BytesIO(body), formats=("PNG", "JPEG")) as image:
                _check_pixels(image.width * image.height)
                yield image
    except PhotoError:
        raise
    except Exception as error:  # decoders of broken files raise nearly anything
        kind = next((kind for at, mark, kind in _OTHER_KINDS if body[at:].startswith(mark)), None)
        raise PhotoError(f"is {kind}, not PNG or JPEG" if kind else "is not a readable PNG or JPEG") from error


def _check_pixels(count: int) -> None:
    if count > MAX_PIXELS:
        raise PhotoError(f"has {count / 1e6:.0f} megapixels, more than {MAX_PIXELS // 1_000_000}")


def too_large(count: int) -> str:
    """The text of a PhotoError about a file of `count` bytes."""
    return f"has {count / (1 << 20):.1f} MiB, more than the {MAX_BYTES >> 20} MiB the endpoint takes"


def check(body: bytes) -> None:
    """Decode the photo in full and keep nothing. PhotoError when it is broken or beyond the limits."""
    with opened(body) as image:
        image.load()
