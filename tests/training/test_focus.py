"""Photos of a camera that is out of focus are sharpened; others stay as they are."""

import io

import focus
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter


def photos(count=6, light=1.0, size=32):
    """(n, size, size, 3) photos with detail as fine as a pixel: the power falls with the square of the frequency."""
    rng = np.random.default_rng(3)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1 / size
    noise = np.fft.rfft2(rng.normal(size=(count, 3, size, size))) / frequency
    planes = np.fft.irfft2(noise, s=(size, size))
    planes = 128 + 45 * planes / planes.std(axis=(1, 2, 3), keepdims=True)
    return np.clip(planes.transpose(0, 2, 3, 1) * light, 0, 255).astype(np.uint8)


def blurred(images, radius):
    return np.stack([np.asarray(Image.fromarray(one).filter(ImageFilter.GaussianBlur(radius))) for one in images])


def saved(images, quality):
    def one(image):
        out = io.BytesIO()
        Image.fromarray(image).save(out, "JPEG", quality=quality)
        return np.asarray(Image.open(out).convert("RGB"))

    return np.stack([one(image) for image in images])


def apart(one, other):
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("radius", [1.05, 1.35, 1.65, 2.1])
def test_a_blurred_photo_comes_nearer_to_what_it_was(radius):
    before = photos()
    after = blurred(before, radius)
    assert apart(focus.sharpened(after, radius), before) < 0.85 * apart(after, before)


@pytest.mark.parametrize("found", [1.5, 1.8])
def test_a_blur_that_was_found_a_step_off_is_undone_too(found):
    before = photos()
    after = blurred(before, 1.65)
    assert apart(focus.sharpened(after, found), before) < 0.9 * apart(after, before)


@pytest.mark.parametrize("radius", [1.05, 1.65, 2.55])
@pytest.mark.parametrize("light", [1.0, 0.2])
def test_sharp_photos_stay_as_they_are(radius, light):
    before = photos(light=light)
    assert np.array_equal(focus.sharpened(before, radius), before)


@pytest.mark.parametrize("radius", [0.0, 0.15, 0.9])
def test_a_blur_that_cannot_be_told_changes_nothing(radius):
    after = blurred(photos(), 1.65)
    assert focus.sharpened(after, radius) is after


@pytest.mark.parametrize(
    "change",
    [lambda images: (images * 0.2).astype(np.uint8), lambda images: saved(images, 90)],
    ids=["dark", "jpeg"],
)
def test_a_blur_is_known_in_photos_that_are_changed_otherwise_too(change):
    assert focus.are_blurred(change(blurred(photos(), 1.65)), 1.65).all()


def test_the_light_of_a_photo_stays():
    after = blurred(photos(), 1.65)
    assert focus.sharpened(after, 1.65).mean() == pytest.approx(after.mean(), abs=1)


def test_a_blur_is_told_by_the_width_of_the_photo():
    large = photos(size=64)
    after = blurred(large, 3.3)  # 1.65 of 32 pixels
    assert apart(focus.sharpened(after, 1.65), large) < 0.9 * apart(after, large)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.floats(1, 3), st.sampled_from([0, 17, 255]), st.integers(0, 2**32 - 1)
)
def test_any_photo_of_any_size_is_answered_one_by_one_as_together(height, width, radius, flat, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), np.uint8)
    images = np.concatenate([noise, np.full_like(noise, flat), blurred(noise, radius)])
    together = focus.sharpened(images, radius)
    assert together.shape == images.shape
    assert together.dtype == np.uint8
    assert np.array_equal(together, np.concatenate([focus.sharpened(one[None], radius) for one in images]))
