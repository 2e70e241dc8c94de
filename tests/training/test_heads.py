"""The large network's heads: what they learn, out of fold, and how their outputs are weighed."""

from pathlib import Path
from types import SimpleNamespace

import backbone
import decision
import heads
import numpy as np
import pytest
import records

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
    outputs = heads.out_of_fold(features, labels, halves, 2)
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
    records.keep(photos, tmp_path / "photos")
    records.keep(rng.integers(0, 256, (40, 32, 32, 3)).astype(np.uint8), tmp_path / "others")
    corner = SimpleNamespace(features=lambda images: images[:, 0, :2].reshape(len(images), -1).astype(np.float32))
    monkeypatch.setattr(heads, "network", lambda: corner)
    monkeypatch.setattr(backbone, "FEATURES", LENGTH)
    told: list[float] = []
    heads.measure(tmp_path / "photos", tmp_path / "others", (32, 32), tmp_path / "features.npz", told.append)
    found = heads.read(tmp_path / "features.npz")
    assert (found.plain == photos[:, 0, :2].reshape(10, -1)).all()
    assert found.views.shape == (10, LENGTH)
    mirrored = photos[:, 0, :-3:-1].reshape(10, -1)
    assert 0 < abs(found.views - mirrored).max() < 12  # the other corner, but for JPEG
    assert len(found.outliers) == 15
    assert told[-1] == 1
    assert told == sorted(told)
