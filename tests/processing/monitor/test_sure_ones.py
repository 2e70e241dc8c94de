"""The sample of the accepted answers that people look at."""

import json

import pandas as pd

from processing.monitor import sure_ones
from tests.formats import check


def test_about_the_share_asked_for_is_chosen_and_always_the_same():
    chosen = [name for name in map(str, range(5000)) if sure_ones.is_chosen(name, 0.02)]
    assert 60 < len(chosen) < 140
    assert chosen == [name for name in map(str, range(5000)) if sure_ones.is_chosen(name, 0.02)]
    assert set(chosen) <= {name for name in map(str, range(5000)) if sure_ones.is_chosen(name, 0.1)}
    assert not any(sure_ones.is_chosen(str(n), 0.0) for n in range(100))
    assert all(sure_ones.is_chosen(str(n), 1.0) for n in range(100))


def test_only_accepted_answers_without_a_label_are_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sure_ones, "photo_bytes", lambda path, *_: None if path == "lost" else b"\x89PNG" + path.encode()
    )
    rows = [("a", True, None, "1"), ("b", False, None, "2"), ("c", True, "bicycle", "3"), ("d", True, None, "lost")]
    table = pd.DataFrame(rows, columns=["identity", "accepted", "truth", "path"])
    table = table.assign(offset=0, number=0, label="bicycle", confidence=0.9, threshold=0.8)
    assert sure_ones.write(tmp_path, tmp_path / "photos", table, 1.0) == 1
    written = json.loads((tmp_path / "sure_ones.json").read_text())
    check("sure_ones", written)
    (only,) = written
    assert only["inference_id"] == "a"
    assert (tmp_path / "photos" / only["photo"]).read_bytes() == b"\x89PNG1"
