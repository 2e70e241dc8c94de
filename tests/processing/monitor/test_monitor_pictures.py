"""The pictures of monitoring: drawn whatever came in, within bounds."""

import base64
import itertools
import json
import struct
import zlib
from typing import Any

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from processing.monitor import captures, panels, reports
from tests.processing.monitor.captured import EVALUATION, HISTORY, capture, photo, texts


def _photo(answers, row):
    return captures.read_photo(*answers.loc[row, ["path", "offset", "number"]])


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (photo(kind="JPEG"), "image/jpeg"),
        (json.dumps({"instances": [{"image": base64.b64encode(photo()).decode()}]}).encode(), "application/json"),
    ],
)
def test_the_captured_photo_is_found_again(tmp_path, body, content_type):
    (tmp_path / "a.jsonl").write_text(capture(1, 0.5) + capture(2, 0.9, body=body, content_type=content_type))
    answers, _ = captures.read_captures(tmp_path)
    assert _photo(answers, 1).size == (8, 6)


@pytest.mark.parametrize("body", [b"", b"no photo", photo()[:40]])
def test_a_photo_that_cannot_be_shown_does_not_stop_the_report(tmp_path, body):
    (tmp_path / "a.jsonl").write_text(capture(1, 0.9, body=body))
    answers, _ = captures.read_captures(tmp_path)
    assert _photo(answers, 0) is None


def test_both_pictures_are_drawn_with_everything_on_them(watch, monkeypatch):
    seen = texts(monkeypatch)
    lines = [capture(at, 0.5 + at / 80, inference_id=f"i{at}", threshold=0.8 if at < 20 else 0.9) for at in range(40)]
    labels = [{"inferenceId": f"i{at}", "label": "motorcycle" if at in (3, 38) else "bicycle"} for at in range(40)]
    status, found, folder, _ = watch(lines, labels, EVALUATION, HISTORY)
    assert status == 0
    for name in ("stream.png", "report.png"):
        with Image.open(folder / "out" / name) as picture:
            picture.load()
        assert (folder / "out" / name).stat().st_size < reports.MAX_PICTURE_BYTES
    words = "\n".join(seen)
    assert found["share_above"] == pytest.approx(0.2)
    assert "20 % accepted, 80 % for a person to see" in words
    assert "threshold 0.800, now 0.900" in words
    assert "✗ bicycle 0.97" in words
    assert "1 of these 2 reached the threshold and were routed" in words
    assert "2 folds, and their mean: 90.0 %" in words
    assert "DRAWN" not in words


@pytest.mark.parametrize("label", ["drawn samples", "photos"])
@pytest.mark.parametrize("violations", [[], ["brightness"]])
def test_no_line_of_the_headline_lies_on_another(label, violations):
    found: Any = {"first": "2026-11-26T10:00:00Z", "last": "2026-11-26T11:00:00Z", "count": 2, "accuracy": None}
    found |= {"accepted_precision": None, "drift": {"verdict": "none"}}
    found |= {"violations": violations, "data_label": label}
    fig = plt.figure(figsize=(16, 6))
    panels.headline(fig, found, None, "Title")
    tops = sorted(6 * (1 - text.get_position()[1]) for text in fig.texts)
    plt.close(fig)
    assert min(below - above for above, below in itertools.pairwise(tops)) >= 0.24
    assert tops[-1] < panels.headline_height(found) + 0.25


def test_drawn_samples_are_called_so_on_both_pictures(watch, monkeypatch):
    seen = texts(monkeypatch)
    watch([capture(1, 0.9, data_label="drawn samples"), capture(2, 0.4, data_label="drawn samples")])
    assert sum("DRAWN SAMPLES: pictures made by a program" in words for words in seen) == 2


def test_a_stream_of_thousands_is_drawn_within_bounds(watch, monkeypatch):
    seen = texts(monkeypatch)
    status, found, folder, _ = watch([capture(at, 0.5 + (at % 50) / 100) for at in range(1200)])
    assert (status, found["count"]) == (0, 1200)
    assert "The latest 60 of 1,200 photos that were classified, each with its answer and confidence" in seen
    assert not any("just" in words for words in seen)  # captures may be of earlier days
    assert (folder / "out" / "report.png").stat().st_size < reports.MAX_PICTURE_BYTES


def test_a_photo_of_900_megapixels_is_not_decoded_for_the_grid(tmp_path):
    header = struct.pack(">II", 30_000, 30_000) + b"\x08\x02\0\0\0"
    body = photo()[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + photo()[33:]
    (tmp_path / "a.jsonl").write_text(capture(1, 0.9, body=body))
    answers, _ = captures.read_captures(tmp_path)
    assert _photo(answers, 0) is None


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("name", ["$x^{$", "a$\\frac$b", "two\nlines", "\0", "x" * 10_000, "自転車"])
def test_any_name_of_a_class_can_be_drawn(watch, name):
    labels = [{"inferenceId": "a", "label": name + "!"}]
    status, found, _, error = watch([capture(1, 0.9, label=name, inference_id="a")], labels=labels)
    assert (status, error) == (0, "")
    assert found["mistakes"] == 1
