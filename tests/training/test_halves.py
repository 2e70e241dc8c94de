"""Pictures of several classes: which photos have halves, when these are asked about, and what is answered then."""

import base64
import json
from collections.abc import Callable

import decision
import halves
import inference
import numpy as np
import preprocessing
import pytest
import upright
from hypothesis import given
from hypothesis import strategies as st

from tests.training import channels

SIZE = (32, 32)
RED, GREEN, GREY = (230, 10, 10), (10, 230, 10), (120, 120, 120)
RULE = decision.Rule(1.0, 0.8, 0.6)


class Network:
    """Red is an ant and green a bee, the more red the surer; what is neither is none of them. Counts what it is asked.

    A picture of both counts as an ant.
    """

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.asked += len(images)
        red, green = ((images[:, channel] > 0.5).mean(axis=(1, 2)) for channel in (0, 1))
        ant, bee = red > 0.2, (red <= 0.2) & (green > 0.2)
        return np.stack([9.0 * ant, 9.0 * bee, 5.0 * ~(ant | bee)], axis=1).astype(np.float32)


def _model(**more: object) -> tuple[inference.Model, Network]:
    about = {
        "classes": ["ant", "bee"], "image_size": [32, 32], "temperature": 1.0, "threshold": 0.8,
        "in_distribution_threshold": 0.6, "data_label": "photos", **more,
    }  # fmt: skip
    network = Network()
    mean, std = np.full(3, 120, np.float32), np.full(3, 60, np.float32)
    return inference.Model(about, network, mean, std, RULE), network


def _beside(*colours: tuple[int, int, int], side: int = 64, down: bool = False) -> bytes:
    """A picture of so many pixels a side, in strips of these colours."""
    strip = np.repeat(np.array([colours], np.uint8), side // len(colours), axis=1)
    picture = np.repeat(strip, side, axis=0)
    return channels.encoded(np.ascontiguousarray(picture.transpose(1, 0, 2) if down else picture))


def _answer(model: inference.Model, photo: bytes) -> dict[str, object]:
    answers = inference.predict_fn(inference.input_fn(photo, "image/png"), model)
    (found,) = json.loads(inference.output_fn(answers, "application/json", model)[0])["predictions"]
    return dict(found)


@pytest.mark.parametrize("down", [False, True])
def test_halves_of_two_classes_are_named_and_not_in_distribution(down: bool) -> None:
    found = _answer(_model()[0], _beside(RED, GREEN, down=down))
    assert (found["label"], found["several_classes"], found["in_distribution"]) == ("ant", True, 0)
    assert float(str(found["confidence"])) > 0.99  # which of them it would be is still said


@pytest.mark.parametrize("photo", [_beside(RED, GREY, RED, RED), _beside(RED, GREY), _beside(RED, GREEN, side=62)])
def test_one_class_or_too_small_a_photo_is_accepted(photo: bytes) -> None:
    found = _answer(_model()[0], photo)
    assert found["several_classes"] is False
    assert float(str(found["in_distribution"])) > 0.9


@pytest.mark.parametrize(
    ("photo", "asked"),
    [(_beside(RED, GREEN), 5), (_beside(GREY, GREY), 1), (_beside(RED, RED, side=32), 1)],
)
def test_halves_are_asked_about_only_where_a_large_photo_would_be_accepted(photo: bytes, asked: int) -> None:
    model, network = _model()
    _answer(model, photo)
    assert network.asked == asked


def test_a_small_photo_among_large_ones_is_answered_as_by_itself() -> None:
    photos = [_beside(RED, RED, side=32), _beside(RED, GREEN), _beside(GREEN, GREY)]
    body = json.dumps({"instances": [{"image": base64.b64encode(photo).decode()} for photo in photos]}).encode()
    model, network = _model()
    together = inference.predict_fn(inference.input_fn(body, "application/json"), model)
    assert network.asked == 3 + 4 + 4  # the small one has no halves
    alone = [inference.predict_fn(inference.input_fn(photo, "image/png"), model) for photo in photos]
    assert np.array_equal(together, np.concatenate(alone))


def test_a_photo_that_is_turned_back_has_no_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upright, "back", lambda images, angle: images[:, ::-1] if angle else images)
    assert _answer(_model()[0], _beside(RED, GREEN, down=True))["several_classes"] is True
    assert _answer(_model(turned=40)[0], _beside(RED, GREEN, down=True))["several_classes"] is False


def _answers(*halves_of_a_photo: tuple[int, float, float]) -> np.ndarray:
    """Answers to halves from (class, its probability, in_distribution)."""
    rows = [[p, 1 - p, inside] if of == 0 else [1 - p, p, inside] for of, p, inside in halves_of_a_photo]
    return np.array(rows, np.float32)


@pytest.mark.parametrize(
    ("left", "right", "several"),
    [
        ((0, 0.9, 0.9), (1, 0.9, 0.9), True),
        ((0, 0.9, 0.9), (0, 0.9, 0.9), False),
        ((0, 0.9, 0.9), (1, 0.7, 0.9), False),  # not sure enough
        ((0, 0.9, 0.5), (1, 0.9, 0.9), False),  # not one of the classes
    ],
)
@pytest.mark.parametrize("arrange", [lambda pair, rest: [*pair, *rest], lambda pair, rest: [*rest, *pair]])
def test_both_halves_must_be_accepted_as_other_classes(
    left: tuple[int, float, float], right: tuple[int, float, float], several: bool, arrange: Callable[..., list]
) -> None:
    rest = [(0, 0.9, 0.9), (1, 0.9, 0.1)]
    photos = _answers(*arrange([left, right], rest), *arrange(rest, rest))
    assert halves.differ(photos, RULE).tolist() == [several, False]


def test_halves_that_do_not_face_each_other_are_not_compared() -> None:
    left, right, upper, lower = (0, 0.9, 0.9), (0, 0.9, 0.1), (1, 0.9, 0.9), (1, 0.9, 0.1)
    assert not halves.differ(_answers(left, right, upper, lower), RULE).any()


@pytest.mark.parametrize(
    ("left", "right", "matter"),
    [
        ((4, 0, 0), (0, 4, 0), True),
        ((4, 0, 0), (1, 0, 0), True),  # not sure of the second one
        ((4, 0, 0), (4, 0, 0), False),  # sure of one class
        ((4, 0, 0), (0, 4, 9), False),  # one is none of them
    ],
)
def test_a_second_network_is_asked_where_it_can_find_two_classes(
    left: tuple[int, int, int], right: tuple[int, int, int], matter: bool
) -> None:
    logits = np.array([left, right, (0, 0, 9), (0, 0, 9)], np.float32)
    assert halves.matter(logits, RULE, 0.3).tolist() == [matter, matter, False, False]


@given(st.integers(0, 10_000))
def test_what_is_not_asked_about_could_not_be_found(seed: int) -> None:
    rng, second = np.random.default_rng(seed), decision.SecondOpinion(0.995, 0.7, 1.2)
    small, large = rng.normal(0, 3, (2, 80, 3)).astype(np.float32)
    large[:, :2] = np.abs(large[:, :2]) * np.sign(small[:, :2] - small[:, 1::-1])  # it does not contradict
    rule = decision.Rule(1.3, 0.8, 0.6)
    both = second.combine(small, large)
    some = np.where(halves.matter(small, rule, 0.3)[:, None], both, small)
    everything, asked = (halves.differ(decision.answers(logits, 1.3), rule) for logits in (both, some))
    assert (asked == everything).all()


@given(st.integers(1, 150), st.integers(1, 150))
def test_every_photo_has_the_shape_of_one_with_or_without_halves(height: int, width: int) -> None:
    stacked = halves.stacked(np.zeros((height, width, 3), np.uint8), SIZE)
    large = height >= 64 and width >= 64
    assert stacked.shape == (32 * (halves.PARTS if large else 1), 32, 3)


def test_the_whole_is_the_photo_that_training_sees() -> None:
    photo = channels.encoded(channels.tinted(0, np.random.default_rng(2), 96))
    images = inference.input_fn(photo, "image/png")
    assert np.array_equal(halves.apart(images, 32)[0, 0], preprocessing.decode(photo, SIZE))
