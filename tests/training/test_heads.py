"""The large network's heads: what they learn, out of fold, and how their outputs are weighed."""

from pathlib import Path
from types import SimpleNamespace

import backbone
import decision
import heads
import numpy as np
import pytest

LENGTH = 6


def _features(labels: np.ndarray, apart: float = 2.0, seed: int = 0) -> heads.Features:
    """Photos of a class lie around a point of its own, photos of other things around another one."""
    rng = np.random.default_rng(seed)

    def around(place: int, count: int) -> np.ndarray:
        return rng.normal(0, 1, (count, LENGTH)) + apart * np.eye(LENGTH)[place]

    plain = np.concatenate([around(label, 1) for label in labels])
    views = plain + rng.normal(0, 0.1, plain.shape)
    return heads.Features(*(part.astype(np.float32) for part in (plain, views, around(5, 60))))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_tells_the_classes_apart_and_other_things_from_them(classes: int) -> None:
    labels = np.arange(120) % classes
    features = _features(labels, apart=5.0)
    outputs = heads.fit(features, labels, np.arange(120), classes)(features.plain)
    assert outputs.shape == (120, classes + 1)
    assert (outputs[:, :-1].argmax(axis=1) == labels).mean() > 0.97
    assert (outputs[:, -1] > 0).mean() > 0.97
    strange = heads.fit(features, labels, np.arange(120), classes)(features.outliers)
    assert (strange[:, -1] < 0).mean() > 0.97


def test_out_of_fold_no_photo_is_judged_by_a_head_that_saw_it() -> None:
    """Labels by lot: a head that had seen them would know them, one that had not is right by chance."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 400)
    features = _features(np.zeros(400, int))
    halves = [(np.arange(0, 400, 2), np.arange(1, 400, 2)), (np.arange(1, 400, 2), np.arange(0, 400, 2))]
    for outputs in heads.out_of_fold(features, labels, halves, 2):
        assert (outputs[:, :-1].argmax(axis=1) == labels).mean() < 0.6


def test_two_witnesses_of_the_same_do_not_count_twice() -> None:
    """Outputs that repeat the small network's logits make the answers no surer than they should be."""
    rng = np.random.default_rng(6)
    truth = rng.normal(0, 2, 4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-truth))).astype(int)
    logits = np.stack([-truth / 2, truth / 2, np.full(4000, -9.0)], axis=1).astype(np.float32)
    second = heads.weigh(logits, logits, labels, 1.0, 1.0)
    assert second.small + second.large == pytest.approx(1, abs=0.08)
    assert decision.softmax(second.combine(logits, logits)[:, :-1], 1.0) == pytest.approx(
        decision.softmax(logits[:, :-1], 1.0), abs=0.03
    )


def test_a_better_witness_weighs_more() -> None:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 4000)
    sign = np.where(labels == 1, 1.0, -1.0)

    def witness(strength: float) -> np.ndarray:
        odds = strength * sign + rng.normal(0, 1, 4000)
        return np.stack([-odds, odds, np.full(4000, -9.0)], axis=1).astype(np.float32)

    second = heads.weigh(witness(0.5), witness(2.0), labels, 4.0, 1.0)
    assert second.large > 2 * second.small > 0


def test_features_are_measured_once_for_each_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    slope = np.linspace(20, 200, 32)[None, :, None] * np.ones((32, 1, 3))  # dark on the left, light on the right
    photos = (slope + rng.integers(0, 40, (10, 1, 1, 1))).astype(np.uint8)
    others = rng.integers(0, 256, (15, 32, 32, 3)).astype(np.uint8)
    corner = SimpleNamespace(features=lambda images: images[:, 0, :2].reshape(len(images), -1).astype(np.float32))
    monkeypatch.setattr(heads, "network", lambda: corner)
    monkeypatch.setattr(backbone, "FEATURES", LENGTH)
    told: list[float] = []
    heads.measure(photos, heads.saved(photos), others, tmp_path / "features.npz", told.append)
    found = heads.read(tmp_path / "features.npz")
    assert (found.plain == photos[:, 0, :2].reshape(10, -1)).all()
    assert found.views.shape == (10, LENGTH)
    mirrored = photos[:, 0, :-3:-1].reshape(10, -1)
    assert 0 < abs(found.views - mirrored).max() < 20  # the other corner, but for JPEG
    assert found.outliers.shape == (15, LENGTH)
    assert (found.outliers != others[:, 0, :2].reshape(15, -1)).mean() > 0.5  # saved as JPEG, too
    assert told[-1] == 1
    assert told == sorted(told)


def test_that_a_photo_was_saved_as_jpeg_says_nothing_of_what_it_shows() -> None:
    """Other things that differ from the photos by the trace of JPEG alone are not told from photos that bear it too."""
    rng = np.random.default_rng(11)
    labels = np.arange(200) % 2
    plain = rng.normal(0, 1, (200, LENGTH)).astype(np.float32)
    trace = 4 * np.eye(LENGTH, dtype=np.float32)[3]
    others = rng.normal(0, 1, (150, LENGTH)).astype(np.float32) + trace
    head = heads.fit(heads.Features(plain, plain + trace, others), labels, np.arange(200), 2)
    assert (head(plain)[:, -1] > 0).mean() > 0.3
    assert (head(plain + trace)[:, -1] > 0).mean() > 0.4


def test_examples_come_evenly_from_all_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = SimpleNamespace(features=lambda images: images[:, 0, :2].reshape(len(images), -1).astype(np.float32))
    monkeypatch.setattr(heads, "network", lambda: seen)
    monkeypatch.setattr(heads, "EXAMPLES", 7)
    labels = np.array([0] * 50 + [1] * 2 + [2] * 20)
    photos = (labels[:, None, None, None] * 100 + np.zeros((72, 32, 32, 3))).astype(np.uint8)
    found = heads.examples(photos, labels, ["ant", "bee", "cat"])
    assert {name: len(rows) for name, rows in found.items()} == {"ant": 3, "bee": 2, "cat": 2}
    assert [round(float(rows.mean())) for rows in found.values()] == [0, 100, 200]


def _more(*places: int) -> dict[str, np.ndarray]:
    """20 examples of each class, around points of their own."""
    rng = np.random.default_rng(12)
    return {
        f"place {place}": (rng.normal(0, 1, (20, LENGTH)) + 5 * np.eye(LENGTH)[place]).astype(np.float32)
        for place in places
    }


def test_examples_are_learned_from_unless_their_class_is_named() -> None:
    features = _features(np.arange(120) % 2, apart=5.0)
    more = _more(3, 4)
    assert len(heads.with_examples(features, more, ()).outliers) == 60 + 40
    left = heads.with_examples(features, more, {"place 4"}).outliers[60:]
    assert (left == more["place 3"]).all()
    assert heads.with_examples(features, {}, ()) is features


def test_examples_that_look_like_the_photos_asked_for_are_left_out() -> None:
    features = _features(np.arange(120) % 2, apart=5.0)
    assert len(heads.with_examples(features, _more(1, 3), ()).outliers) == 60 + 20
