"""Features of a photo: each one moves with what it is named for."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from processing.photo_features import measure, measure_encoded


@pytest.fixture
def photo():
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(40, 200, (16, 16, 3)).astype(np.uint8))
    return coarse.resize((32, 32), Image.Resampling.NEAREST)


def test_flat_grey_has_brightness_and_nothing_else():
    found = measure(Image.new("RGB", (50, 40), (51, 51, 51)))
    assert found == pytest.approx((0.2, 0, 0, 0), abs=1e-9)


def test_a_darker_photo_is_less_bright(photo):
    assert measure(ImageEnhance.Brightness(photo).enhance(0.4)).brightness < 0.5 * measure(photo).brightness


def test_a_flatter_photo_has_less_contrast(photo):
    assert measure(ImageEnhance.Contrast(photo).enhance(0.4)).contrast < 0.5 * measure(photo).contrast


def test_a_photo_out_of_focus_is_less_sharp(photo):
    assert measure(photo.filter(ImageFilter.GaussianBlur(2))).sharpness < 0.5 * measure(photo).sharpness


def test_a_photo_without_colour_has_none(photo):
    assert measure(photo.convert("L")).colour == pytest.approx(0, abs=1e-9)
    assert measure(photo).colour > 0.1


def test_the_size_of_a_photo_changes_little(photo):
    assert measure(photo.resize((640, 640), Image.Resampling.NEAREST)) == pytest.approx(measure(photo), abs=1e-9)


def test_what_is_no_photo_has_no_features():
    body = io.BytesIO()
    Image.new("RGB", (8, 8)).save(body, "JPEG")
    assert measure_encoded(body.getvalue()) is not None
    assert measure_encoded(b"no photo") is None
