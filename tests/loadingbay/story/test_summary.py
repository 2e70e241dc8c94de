"""The folder of a run and its summary: exactly the documented keys, and `latest` only when a run completed."""

import json

import pytest

from loadingbay.errors import WorkError
from loadingbay.serving.photos import Outcome
from loadingbay.story import summary as runs
from loadingbay.story.summary import Summary

OUTCOME = Outcome("x.png", "bicycle", "FAILED", "bicycle", 0.6, 0.8, None, None, "TooLow", "why", "arn", "id")


def test_the_summary_has_exactly_the_documented_keys():
    summary = Summary(data="cifar-100", outcomes=[OUTCOME])
    with summary.timed("data"):
        pass
    document = summary.document()
    assert list(document) == [
        "data",
        "accuracy",
        "threshold",
        "coverage",
        "accepted_precision",
        "pipeline_execution_arn",
        "model_package_arn",
        "endpoint_name",
        "executions",
        "report",
        "seconds",
    ]
    assert document["executions"] == [
        {"photo": "x.png", "status": "FAILED", "vehicle": "bicycle", "confidence": 0.6, "error": "TooLow"}
    ]
    assert set(document["seconds"]) == {"total", "data"}


def test_a_failed_run_says_why_in_its_summary(tmp_path):
    place = runs.write(tmp_path, Summary(failure="the gate was missed"))
    assert json.loads(place.read_text())["failure"] == "the gate was missed"


def test_a_part_that_raises_is_timed_too():
    summary = Summary()
    with pytest.raises(KeyError), summary.timed("pipeline"):
        raise KeyError
    assert summary.seconds["pipeline"] >= 0


def test_latest_moves_only_when_a_run_is_complete(tmp_path):
    first, second = runs.create(tmp_path, "first"), runs.create(tmp_path, "second")
    assert runs.latest(tmp_path) is None
    runs.complete(tmp_path, first)
    assert runs.latest(tmp_path) == first
    runs.write(second, Summary(failure="interrupted"))
    assert runs.latest(tmp_path) == first
    runs.complete(tmp_path, second)
    assert runs.latest(tmp_path) == second


def test_a_summary_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    runs.write(tmp_path, Summary(data="cifar-100"))

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loadingbay.story.summary.Path.replace", fail)
    with pytest.raises(WorkError, match="No space left on device"):
        runs.write(tmp_path, Summary(data="photos"))
    assert json.loads((tmp_path / "summary.json").read_text())["data"] == "cifar-100"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(WorkError, match=r"cannot be kept in .*runs"):
        runs.create(tmp_path / "runs", "x")
