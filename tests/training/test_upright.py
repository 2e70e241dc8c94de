"""Photos of a camera that is mounted askew are turned back; others stay as they are."""

import io

import numpy as np
import pytest
import upright
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter


def photos(count=6, light=1.0):
    """(n, 32, 32, 3) smooth photos without dark corners."""
    rng = np.random.default_rng(3)
    small = rng.integers(60, 250, (count, 6, 6, 3), np.uint8)
    large = [Image.fromarray(one).resize((32, 32), Image.Resampling.BICUBIC) for one in small]
    return (np.stack([np.asarray(one) for one in large]) * light).astype(np.uint8)


def turned(images, angle):
    made = [Image.fromarray(one).rotate(angle, resample=Image.Resampling.BICUBIC) for one in images]
    return np.stack([np.asarray(one) for one in made])


def saved(image, quality):
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out).convert("RGB"))


@pytest.mark.parametrize("angle", [-60, -40, 15, 20, 40, 70])
def test_a_turned_photo_is_turned_back_to_what_it_was(angle):
    before = photos()
    after = upright.back(turned(before, angle), angle)
    middle = np.s_[:, 8:24, 8:24]
    assert np.abs(after[middle].astype(int) - before[middle]).mean() < 6
    assert after.min() > 32  # no corner is black


def test_the_masks_are_those_of_pillows_turn():
    content, corners, _ = upright._masks(40, 32, 32)
    white = turned(np.full((1, 32, 32, 3), 255, np.uint8), 40)[0].max(axis=2)
    assert (white[corners] == 0).all()
    assert (white[~content] < 128).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda one: (one * 0.2).astype(np.uint8),
        lambda one: np.asarray(Image.fromarray(one).filter(ImageFilter.GaussianBlur(1.6))),
        lambda one: saved(one, 60),
    ],
    ids=["dark", "blurred", "jpeg"],
)
def test_a_turn_is_known_in_a_photo_that_is_changed_otherwise_too(change):
    images = np.stack([change(one) for one in turned(photos(), 40)])
    assert upright.are_turned(images, 40).all()


def test_a_camera_a_little_beside_the_angle_is_known():
    assert upright.are_turned(turned(photos(), 38), 40).all()


@pytest.mark.parametrize(
    "images",
    [photos(), photos(light=0.1), np.zeros((2, 32, 32, 3), np.uint8), turned(photos(), -15)],
    ids=["upright", "dark", "black", "turned otherwise"],
)
def test_photos_without_these_corners_stay_as_they_are(images):
    np.testing.assert_array_equal(upright.back(images, 40), images)


@pytest.mark.parametrize("angle", [0, 5, 90, 180])
def test_a_turn_without_corners_changes_nothing(angle):
    images = turned(photos(), angle)
    np.testing.assert_array_equal(upright.back(images, angle), images)


@settings(max_examples=15)
@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_photos_do_not_depend_on_each_other(which):
    images = np.where(np.array(which)[:, None, None, None], turned(photos(), 40)[: len(which)], photos()[: len(which)])
    together = upright.back(images, 40)
    for row in range(len(images)):
        np.testing.assert_array_equal(together[row], upright.back(images[row : row + 1], 40)[0])
    np.testing.assert_array_equal(upright.are_turned(images, 40), which)
