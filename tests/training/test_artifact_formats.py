"""The formats of docs/formats.json in training: it reads a data set, the handler reads model.json."""

import json

import decision
import records

from tests.formats import check, example
from tests.training import channels


def test_training_reads_a_data_set_in_its_format(tmp_path):
    (tmp_path / records.ABOUT).write_text(json.dumps(example("dataset")))
    for name in (records.RECORDS, records.INDEX):
        (tmp_path / name).touch()
    found = records.about(tmp_path)
    assert (found["classes"], found["label"], found["labelled"]) == (["bicycle", "motorcycle"], "photos", 1)
    assert (found["sha256"], found["outliers"]["train"]) == (example("dataset")["sha256"], {"cat": 3})


def test_the_channels_of_these_tests_are_in_the_format(tmp_path):
    check("dataset", json.loads((channels.write(tmp_path, 4) / records.ABOUT).read_text()))


def test_the_handler_decides_by_a_model_in_its_format():
    assert decision.Rule.of(example("model")) == decision.Rule(1.25, 0.8, 0.9)
