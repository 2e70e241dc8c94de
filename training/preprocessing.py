"""From the bytes of a photo to the array that the network takes. Training, Evaluate and the endpoint use this module.

It ships inside the model artifact under code/, beside the handler.
"""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_BYTES = 6 * 1024 * 1024
MAX_PIXELS = 50_000_000
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
# Chunks that change no pixel. Anything else (tRNS, eXIf, acTL, unknown ones) takes the careful path.
_PLAIN_CHUNKS = frozenset({b"IHDR", b"IDAT", b"IEND", b"pHYs", b"tEXt", b"tIME", b"sRGB"})
# Far larger JPEGs are decoded at a fraction of their size, but never at less than this many times the target's.
_DRAFT_FACTOR = 4

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

# Pillow's own limit would end `open` before the number of pixels can be told; MAX_PIXELS is checked before decoding.
Image.MAX_IMAGE_PIXELS = None


def _is_plain_png(body: bytes) -> bool:
    """True for a complete 8-bit RGB PNG, not interlaced, with no chunk that could change its pixels.

    For these, and only these, cv2 gives the very pixels that Pillow gives, in half the time.
    """
    # Signature, then IHDR: length, type, width, height, bit depth 8, colour type 2, compression, filter, interlace 0.
    if len(body) < 57 or body[12:16] != b"IHDR" or body[24:26] != b"\x08\x02" or body[28] != 0:
        return False
    width, height = struct.unpack_from(">II", body, 16)
    if width * height > MAX_PIXELS:
        return False
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(body):
        (length,) = struct.unpack_from(">I", body, at)
        kind = body[at + 4 : at + 8]
        if kind not in _PLAIN_CHUNKS:
            return False
        at += 12 + length
        if kind == b"IEND":
            return bool(at == len(body))
    return False


def _with_pillow(body: bytes, size: tuple[int, int]) -> UInt8:
    """Any PNG or JPEG as upright (h, w, 3) RGB: EXIF rotation applied, transparency laid on white, 16 bits cut to 8.

    ValueError when it has too many pixels; else whatever Pillow raises for what it cannot decode.
    """
    image: Image.Image
    image = Image.open(io.BytesIO(body), formats=("PNG", "JPEG"))
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"the image has {image.width} x {image.height} pixels, and at most {MAX_PIXELS} are accepted")
    longest = max(size) * _DRAFT_FACTOR  # of either side, because EXIF may yet turn the image
    image.draft(None, (longest, longest))  # JPEG only: decodes at 1/2, 1/4 or 1/8, never below the size asked for
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey
        return np.repeat((np.asarray(image, np.int64) >> 8).clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB"))


def resize(image: UInt8, size: tuple[int, int]) -> UInt8:
    """(h, w, 3) to (size[0], size[1], 3); each side by itself, as in CIFAR. The identity when the size is right.

    Shrinking averages areas, so that nothing aliases; a photo that shrinks on one side only, or grows, is interpolated.
    """
    height, width = size
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    shrinks = image.shape[0] >= height and image.shape[1] >= width
    resized: UInt8 = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized


def decode(body: bytes, size: tuple[int, int]) -> UInt8:
    """The bytes of one PNG or JPEG as (size[0], size[1], 3) uint8 RGB.

    ValueError, with a sentence, for anything else.
    """
    return resize(pixels(body, size), size)


def pixels(body: bytes, size: tuple[int, int]) -> UInt8:
    """The bytes of one PNG or JPEG as (h, w, 3) uint8 RGB, before `resize` makes it `size`.

    Far larger JPEGs may come at a fraction of their size. ValueError as for `decode`.
    """
    if not body:
        raise ValueError("the image is empty (0 bytes)")
    if len(body) > MAX_BYTES:
        raise ValueError(f"the image has {len(body)} bytes, and at most {MAX_BYTES} are accepted")
    png = body.startswith(PNG_SIGNATURE)
    if not png and not body.startswith(JPEG_SIGNATURE):
        raise ValueError(f"the image is neither PNG nor JPEG: it starts with {body[:8].hex(' ')}")
    if png and _is_plain_png(body):
        plain = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
        if plain is not None:
            rgb: UInt8 = cv2.cvtColor(plain, cv2.COLOR_BGR2RGB)
            return rgb
    try:
        return _with_pillow(body, size)
    except MemoryError:
        raise
    except UnidentifiedImageError as error:  # its own text names an object of Python, not the photo
        kind = "PNG" if png else "JPEG"
        raise ValueError(
            f"the image cannot be decoded: it begins as {kind}, and its header is broken or cut"
        ) from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, EOFError, struct.error, zlib.error ...
        if isinstance(error, ValueError) and str(error).startswith("the image has"):
            raise
        raise ValueError(f"the image cannot be decoded: {str(error) or type(error).__name__}") from error


def normalise(images: UInt8 | Float32, mean: Float32, std: Float32) -> Float32:
    """(n, h, w, 3) RGB in 0..255 to the network's input, (n, 3, h, w) float32.

    From each channel its mean is subtracted, and the rest divided by its standard deviation; both are (3,).
    """
    planes = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
    planes -= mean[:, None, None]
    planes *= (np.float32(1) / std)[:, None, None]
    return planes
