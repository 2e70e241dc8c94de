"""Monitoring against the baseline of the test photos: the same distribution violates nothing; drift is named."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing import photo_features, statistics
from processing.statistics import Histogram
from tests.processing.monitor.captured import EVALUATION, capture, texts


def described(photos, confidence):
    """statistics.json as Evaluate writes it of test photos."""
    rows = np.array([photo_features.measure(one) for one in photos])
    columns = {**dict(zip(photo_features.Features._fields, rows.T, strict=True)), "confidence": np.array(confidence)}
    histograms = {name: Histogram.of(values) for name, values in columns.items()}
    return statistics.describe(columns, histograms, len(photos))


def scenes(count, seed, dimmed=1.0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 200, (count, 8, 8, 3)) * rng.uniform(0.5, 1.2, (count, 1, 1, 1)) * dimmed
    return [Image.fromarray(one.astype(np.uint8)) for one in pixels]


def encoded(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


TESTED = EVALUATION | {"test": {"count": 100, "per_class": {}}}


def stream_of(images, seed=0, low=0.75):
    confidences = np.random.default_rng(seed).uniform(low, 1, len(images)).tolist()
    return [capture(at, confidences[at], body=encoded(one)) for at, one in enumerate(images)]


def violated(folder):
    found = json.loads((folder / "out" / "constraint_violations.json").read_text())["violations"]
    return {one["feature_name"]: one for one in found}


@pytest.fixture
def baseline():
    return described(scenes(100, 1), np.random.default_rng(9).uniform(0.75, 1, 100))


def test_a_stream_like_the_test_photos_violates_nothing(watch, figures, baseline):
    figures(stream_of(scenes(60, 2)), evaluation=TESTED, baseline=baseline)
    status, found, folder, _ = watch(stream_of(scenes(60, 2)), evaluation=TESTED, baseline=baseline)
    assert (status, violated(folder)) == (0, {})
    assert set(found["differences"]) == {"brightness", "contrast", "sharpness", "colour", "confidence"}
    written = json.loads((folder / "out" / "statistics.json").read_text())
    assert {one["name"] for one in written["features"]} == set(found["differences"])


def test_a_camera_at_night_violates_brightness_and_says_by_how_much(watch, figures, baseline):
    _, _, folder, _ = watch(stream_of(scenes(60, 2, 0.3)), evaluation=TESTED, baseline=baseline)
    found = violated(folder)
    assert "brightness" in found
    assert found["brightness"]["constraint_check_type"] == "baseline_drift_check"
    assert "of 60 photos" in found["brightness"]["description"]


def test_a_share_that_fell_is_a_violation(watch, figures, baseline):
    lines = stream_of(scenes(60, 2), low=0.45)
    _, _, folder, _ = watch(lines, evaluation=TESTED, baseline=baseline)
    found = violated(folder)
    assert found["accepted_share"]["constraint_check_type"] == "LessThanThreshold"
    assert "fell from 0.80 of 100 test photos to 0.40 of 60 photos" in found["accepted_share"]["description"]
    assert "confidence" in found


def test_accuracy_that_fell_is_a_violation(watch, figures, baseline):
    wrong = [{"eventId": f"event-{at}", "label": "motorcycle" if at % 2 else "bicycle"} for at in range(60)]
    _, found, folder, _ = watch(stream_of(scenes(60, 2)), labels=wrong, evaluation=TESTED, baseline=baseline)
    assert found["accuracy"] == 0.5
    assert {"accuracy", "accepted_precision"} <= set(violated(folder))


def test_what_changed_is_named_on_both_pictures(watch, monkeypatch, baseline):
    seen = texts(monkeypatch)
    _, found, _, _ = watch(stream_of(scenes(60, 2, 0.3)), evaluation=TESTED, baseline=baseline)
    assert "brightness" in found["violations"]
    assert sum(words.startswith("Changed since the evaluation: ") and "brightness" in words for words in seen) == 2


def test_the_page_about_monitoring_names_every_figure(figures):
    page = (Path(__file__).resolve().parents[3] / "docs" / "monitoring.md").read_text()
    for name in figures([capture(1, 0.9)]):
        assert f"`{name}`" in page, name


def test_a_version_without_statistics_is_watched_without_them(watch, figures):
    status, found, folder, _ = watch(stream_of(scenes(40, 2)), evaluation=EVALUATION)
    assert (status, found["differences"], violated(folder)) == (0, {}, {})
