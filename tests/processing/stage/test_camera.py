"""The older photos in the look of the labelled ones: a turn, light, colour and blur are fitted; the rest stays."""

import io
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

from processing.stage import camera
from processing.stage.camera import Look
from processing.stage.rows import Row, Splits


def scenes(count, seed):
    """Photos of coloured blocks, as PNG."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(30, 226, (count, 8, 8, 3), np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    return [encoded(Image.fromarray(one)) for one in blocks]


def encoded(photo):
    out = io.BytesIO()
    photo.save(out, "PNG")
    return out.getvalue()


def shown(bodies, look):
    return [encoded(look.of(Image.open(io.BytesIO(body)))) for body in bodies]


def rows(bodies):
    return [Row(number % 2, partial(bytes, body)) for number, body in enumerate(bodies)]


def loads(bodies):
    return [row.load for row in rows(bodies)]


OLD, NIGHT = scenes(32, 1), Look(light=0.3, colour=0.5)
OTHERS: Any = {"train": {"cat": loads(scenes(10, 4))}, "test": {"dog": loads(scenes(10, 5))}}
SPLITS = Splits(rows(OLD), rows(scenes(4, 2)), "here", outliers=OTHERS)


@pytest.fixture(scope="module")
def by_night():
    """The older photos carried over to a camera at night."""
    return camera.carried_over(SPLITS, rows(shown(scenes(30, 3), NIGHT)), 1)


@pytest.mark.parametrize("look", [NIGHT, Look(blur=1.2), Look(blur=0.9, light=0.5), Look(light=1.4)])
def test_the_look_of_other_photos_is_found(look):
    found = camera.fitted(loads(OLD), loads(shown(scenes(32, 3), look)))
    assert found.blur == pytest.approx(look.blur, abs=0.2)
    assert (found.light, found.colour) == pytest.approx((look.light, look.colour), rel=0.15)
    assert found.is_new


@pytest.mark.parametrize("look", [Look(angle=40), Look(angle=-25, light=0.4), Look(angle=15, blur=1.0)])
def test_the_turn_of_a_camera_is_found_by_its_dark_corners(look):
    found = camera.fitted(loads(OLD), loads(shown(scenes(32, 3), look)))
    assert found.angle == look.angle
    assert found.light == pytest.approx(look.light, rel=0.15)
    assert found.is_new


def test_the_newest_labelled_photos_tell_how_the_camera_looks_now():
    people = rows([*scenes(200, 6), *shown(scenes(50, 3), NIGHT)])
    assert "light times 0.3" in camera.carried_over(SPLITS, people, 1).notes[0]


@pytest.mark.parametrize(
    ("look", "turned", "blurred"), [(Look(angle=40), 40, 0), (Look(blur=1.6), 0, pytest.approx(1.6, abs=0.16))]
)
def test_the_data_tell_by_how_much_the_camera_is_turned_and_blurs(look, turned, blurred):
    after = camera.carried_over(SPLITS, rows(shown(scenes(30, 3), look)), 1)
    assert (after.turned, after.blurred) == (turned, blurred)


def test_half_of_the_older_photos_are_shown_as_they_look_now(by_night):
    bodies = [row.load() for row in by_night.train]
    kept = [body for body, before in zip(bodies, OLD, strict=True) if body == before]
    assert len(kept) == 16
    dark = [np.asarray(Image.open(io.BytesIO(body))).mean() for body in bodies if body not in kept]
    assert max(dark) < 80
    assert [row.label for row in by_night.train] == [row.label for row in SPLITS.train]
    assert by_night.test is SPLITS.test
    assert "light times 0.3" in by_night.notes[0]
    assert by_night.turned == 0


def test_the_same_photos_give_the_same_bytes(by_night):
    again = camera.carried_over(SPLITS, rows(shown(scenes(30, 3), NIGHT)), 1)
    assert [row.load() for row in by_night.train] == [row.load() for row in again.train]


def test_other_things_get_the_new_look_too_but_are_tested_on_as_they_were(by_night):
    pairs = zip(by_night.outliers["train"]["cat"], OTHERS["train"]["cat"], strict=True)
    assert sum(now() != before() for now, before in pairs) == 5
    assert by_night.outliers["test"] == OTHERS["test"]


@pytest.mark.parametrize("people", [shown(scenes(29, 3), NIGHT), scenes(30, 3)])
def test_few_labelled_photos_or_the_same_look_change_nothing(people):
    assert camera.carried_over(SPLITS, rows(people), 1) is SPLITS
