"""The formats of docs/formats.json in the jobs: what they write is in them, and they read each example."""

import json
from typing import Any

from processing import datasets, evaluation
from processing.evaluate import artifact
from processing.monitor import captures, labels
from processing.stage import labelled
from processing.stage.rows import Row
from tests.formats import check, example


def _line(folder, name, document):
    folder.mkdir()
    (folder / name).write_text(json.dumps(document) + "\n")
    return folder


def test_stage_writes_a_data_set_in_its_format(tmp_path):
    outliers: Any = {"train": {"cat": [lambda: b"a"]}, "test": {"dog": [lambda: b"b"]}}
    photos = [(0, b"one"), (1, b"two")]
    datasets.write(tmp_path, photos, ["ant", "bee"], label="photos", source="x", labelled=1, outliers=outliers)
    check("dataset", json.loads((tmp_path / datasets.ABOUT).read_text()))


def test_evaluate_reads_a_data_set_in_its_format(tmp_path):
    assert datasets.class_names(example("dataset"), tmp_path / "dataset.json") == ["bicycle", "motorcycle"]


def test_evaluate_reads_an_artifact_in_its_format(tmp_path):
    folder = _line(tmp_path / "model", artifact.MODEL, example("model"))
    (folder / artifact.HISTORY).write_text("[]")
    for name in (artifact.HANDLER, artifact.METRICS):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert artifact.load(folder, tmp_path).about["classes"] == ["bicycle", "motorcycle"]


def test_monitor_reads_an_evaluation_in_its_format(tmp_path):
    found = evaluation.read(_line(tmp_path / "evaluation", evaluation.NAME, example("evaluation")))
    assert found is not None
    assert evaluation.thresholds(found) == {"bicycle": 0.8, "motorcycle": 0.8}
    assert evaluation.has_recent(found)


def test_monitor_reads_a_capture_in_its_format(tmp_path):
    table, tally = captures.read_captures(_line(tmp_path / "captures", "c.jsonl", example("capture")))
    assert tally.lines == 0
    row: Any = next(table.itertuples())
    assert len(table) == 1
    assert (row.identity, row.time[:19], row.label) == ("bicycle-07", "2026-11-26T11:18:01", "bicycle")
    assert row.confidence == 0.9
    assert (row.threshold, row.in_distribution, row.in_distribution_threshold) == (0.8, 0.99, 0.9)
    assert captures.photo_bytes(row.path, row.offset, row.number) == b"\x89PNG\r\n\x1a\n"


def test_monitor_reads_a_label_in_its_format(tmp_path):
    found = labels.read_labels(_line(tmp_path / "labels", "l.jsonl", example("label")))
    assert found.truth == {"bicycle-07": "bicycle"}
    assert found.sources == {"bicycle-07": "review"}
    assert found.times["bicycle-07"].startswith("2026-11-26T11:20:00")


def test_stage_reads_a_labelled_set_in_its_format(tmp_path, monkeypatch):
    monkeypatch.setattr(labelled, "_usable", lambda _: True)
    (entry,) = example("labelled_set")
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "s.json").write_text(json.dumps([entry]))
    _line(tmp_path / "photos", entry["photo"], "a photo")
    found = labelled.read(tmp_path, ["bicycle", "motorcycle"], [])
    assert [row.label for row in found.train] == [0]
    assert isinstance(found.train[0], Row)
