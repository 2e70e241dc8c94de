"""Every form in which the same photo can come gives the same pixels; what is no photo is refused in words."""

import io
import struct
import zlib

import cv2
import numpy as np
import preprocessing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

SIZE = (32, 32)


def _photo(height: int = 32, width: int = 32, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _encode(image: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    body = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(body, kind, **options)
    return body.getvalue()


def test_a_png_of_the_right_size_keeps_every_pixel() -> None:
    photo = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    assert np.array_equal(preprocessing.decode(_encode(photo), SIZE), photo)


@settings(max_examples=60)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**31), st.integers(0, 9))
def test_the_fast_path_gives_the_pixels_of_the_careful_one(height: int, width: int, seed: int, level: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    body = _encode(photo, compress_level=level)
    assert preprocessing._is_plain_png(body)
    fast = cv2.cvtColor(cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.array_equal(fast, preprocessing._with_pillow(body, (height, width)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(orientation: int) -> None:
    photo = Image.fromarray(_photo(40, 60))
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)
    stored = photo if turned is None else photo.transpose(Image.Transpose(turned))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind, tolerance in (("PNG", 0), ("JPEG", 6)):
        options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else {}
        decoded = preprocessing.decode(_encode(stored, kind, exif=exif, **options), SIZE)
        upright = preprocessing.decode(_encode(photo, kind, **options), SIZE)
        assert np.abs(decoded.astype(int) - upright).max() <= tolerance, kind


def test_greyscale_is_the_same_in_three_channels() -> None:
    grey = _photo()[:, :, 0]
    for mode in ("L", "I;16"):
        image = Image.fromarray(grey) if mode == "L" else Image.fromarray(grey.astype(np.uint16) * 257)
        decoded = preprocessing.decode(_encode(image), SIZE)
        assert np.array_equal(decoded, np.repeat(grey[:, :, None], 3, axis=2)), mode


def test_transparency_is_laid_on_white() -> None:
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:16] = (10, 20, 30, 255)
    decoded = preprocessing.decode(_encode(pixels), SIZE)
    assert (decoded[:16] == (10, 20, 30)).all()
    assert (decoded[16:] == 255).all()


def test_a_palette_with_transparency_is_laid_on_white() -> None:
    image = Image.new("P", (32, 32), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(1, (0, 0, 32, 16))
    decoded = preprocessing.decode(_encode(image, transparency=0), SIZE)
    assert (decoded[:16] == (0, 0, 200)).all()
    assert (decoded[16:] == 255).all()


def test_cmyk_jpeg_becomes_rgb() -> None:
    photo = Image.fromarray(_photo())
    cmyk = preprocessing.decode(_encode(photo.convert("CMYK"), "JPEG", quality=98), SIZE)
    rgb = preprocessing.decode(_encode(photo), SIZE)
    assert np.abs(cmyk.astype(int) - rgb).mean() < 4


def test_a_large_photo_shrinks_without_aliasing_and_alike_as_png_and_jpeg() -> None:
    photo = _photo(900, 1300)
    png, jpeg = (preprocessing.decode(_encode(photo, kind), SIZE) for kind in ("PNG", "JPEG"))
    assert png.shape == (32, 32, 3)
    assert np.abs(png.astype(int) - jpeg).max() <= 4
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = preprocessing.decode(_encode(stripes), SIZE)
    assert np.abs(shrunk.astype(int) - 127).max() <= 1


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = zlib.compress(b"\0" * 1_000_000)
    return preprocessing.PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", content) + _chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"hello, world, this is no image", "neither PNG nor JPEG"),
        (b"GIF89a" + b"\0" * 40, "neither PNG nor JPEG"),
        (_encode(_photo())[:-200], "cannot be decoded"),
        (_encode(_photo(), "JPEG")[:-200], "cannot be decoded"),
        (preprocessing.PNG_SIGNATURE, "begins as PNG, and its header is broken or cut$"),
        (b"\xff\xd8\xff", "begins as JPEG, and its header is broken or cut$"),
        (_bomb(), r"has \d+ x \d+ pixels, and at most 50000000"),
        (_encode(_photo()) + b"\0" * preprocessing.MAX_BYTES, "at most"),
    ],
    ids=["empty", "text", "gif", "cut png", "cut jpeg", "signature only", "jpeg marker only", "bomb", "7 MB"],
)
def test_what_is_no_photo_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        preprocessing.decode(body, SIZE)


@settings(max_examples=200)
@given(st.data())
def test_damaged_photos_give_pixels_or_a_sentence_and_never_anything_else(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG"]))
    body = bytearray(_encode(_photo(), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = preprocessing.decode(bytes(body), SIZE)
    except ValueError as error:
        assert str(error).startswith("the image")  # noqa: PT017  # either outcome is right
    else:
        assert decoded.shape == (32, 32, 3)
        assert decoded.dtype == np.uint8


def test_normalising_gives_planes_of_mean_nought_and_deviation_one() -> None:
    images = np.random.default_rng(3).integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
    mean = images.mean(axis=(0, 1, 2)).astype(np.float32)
    std = images.std(axis=(0, 1, 2)).astype(np.float32)
    planes = preprocessing.normalise(images, mean, std)
    assert planes.shape == (50, 3, 8, 8)
    assert planes.dtype == np.float32
    assert np.allclose(planes.mean(axis=(0, 2, 3)), 0, atol=1e-4)
    assert np.allclose(planes.std(axis=(0, 2, 3)), 1, atol=1e-4)
