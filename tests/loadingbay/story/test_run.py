"""The story of a run, its parts replaced by stand-ins: what is written down, and what is left when it goes wrong."""
# ruff: noqa: N803 - AWS names its arguments so

import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from loadingbay.errors import WorkError
from loadingbay.registry.versions import Version
from loadingbay.screen.progress import Screen
from loadingbay.serving.photos import Outcome, Photo
from loadingbay.story import run as module
from loadingbay.story.run import Run, counted, run
from loadingbay.target import Target
from pipelines.executions import Execution, Step

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/loadingbay/execution/abcdefghijkl"
STACK = {
    "BucketName": "bucket",
    "EndpointName": "loadingbay",
    "PipelineRoleArn": "role",
    "ImageRepositoryUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/loadingbay",
    "InferenceStateMachineArn": "machine",
    "DataCaptureUri": "s3://bucket/data-capture",
}
EVALUATION = {
    "gate": {"accuracy": 0.93, "coverage": 0.9, "accepted_precision": 0.97},
    "metadata": {"threshold": "0.8", "data_label": "drawn samples"},
}
VERSION = Version(
    1, "arn:package/1", "PendingManualApproval", datetime(2026, 1, 1, tzinfo=UTC), "", {}, "s3://b/e.json"
)


class Data:
    label, sha256, files, origin = "drawn samples", "f" * 64, (), "drawn, because there is no network"


class SageMaker:
    """Says where Evaluate put its report."""

    def describe_processing_job(self, ProcessingJobName):
        name = "evaluation" if ProcessingJobName == "evaluate-1" else "photos"
        return {"ProcessingOutputConfig": {"Outputs": [{"OutputName": name, "S3Output": {"S3Uri": "s3://b/out"}}]}}

    def stop_pipeline_execution(self, **_):
        pass


class S3:
    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        yield {"KeyCount": 0}

    def get_object(self, **_):
        return {"Body": io.BytesIO(json.dumps(EVALUATION).encode())}


def _step(name, status="Succeeded", kind="ProcessingJob", failure=""):
    return Step(name, kind, status, None, None, False, failure, f"arn:x:y:z:a:processing-job/{name.lower()}-1")


def _execution(status, *steps):
    return Execution(ARN, status, "", steps)


DONE = _execution("Succeeded", _step("Stage"), _step("Train"), _step("Evaluate"), _step("Register"))


@pytest.fixture
def story(tmp_path, monkeypatch):
    """A run whose cloud, builder and pipeline do nothing; `story.seen` is what following the pipeline yields."""
    target = Target("endpoint", "http://127.0.0.1:1", "us-east-1")
    target.clients.update({"sagemaker": SageMaker(), "s3": S3(), "logs": None})
    target.__dict__["account"] = "000000000000"  # asked for once, then known
    output = io.StringIO()
    work = Run(target, Screen(Console(file=output, width=200)), tmp_path, {})
    work.seen, work.output, work.decided = [DONE], output, []

    def follow(*_, **__):
        for item in work.seen:
            if isinstance(item, BaseException):
                raise item
            yield item

    class Builder:
        def __init__(self, _):
            pass

        def prepare(self):
            pass

        def close(self):
            pass

    def classify(_target, listed, done, **_):
        outcomes = []
        for photo in listed:
            outcomes.append(_outcome(photo.name))
            done(outcomes[-1])
        return outcomes

    class Report:
        picture = tmp_path / "report.png"

    monkeypatch.setattr(module, "Builder", Builder)
    monkeypatch.setattr(module, "acquire_data", lambda *_: Data())
    monkeypatch.setattr(module, "deploy", lambda *_, **__: STACK)
    monkeypatch.setattr(module, "definition", lambda *_: "{}")
    monkeypatch.setattr(module, "upload_missing", lambda *_, **__: 0)
    monkeypatch.setattr(module.derived, "complete", lambda *_: module.derived.Derived({"Champion": "s3://b/none"}))
    monkeypatch.setattr(module.executions, "upsert", lambda *_: "created")
    monkeypatch.setattr(module.executions, "start", lambda *_: ARN)
    monkeypatch.setattr(module.executions, "follow", follow)
    monkeypatch.setattr(module.executions, "describe", lambda *_: _execution("Stopped", _step("Stage")))
    monkeypatch.setattr(module.registry, "get", lambda *_: VERSION)
    monkeypatch.setattr(module.registry, "decide", lambda _t, v, **how: work.decided.append((v.number, how["approve"])))
    monkeypatch.setattr(module.registry, "wait_until_served", lambda *_, **__: None)
    monkeypatch.setattr(module.monitoring, "fetch", lambda *_: [tmp_path / "x.png"])
    monkeypatch.setattr(module.photos, "read", lambda paths: [Photo(p.name, p, "bicycle") for p in paths])
    monkeypatch.setattr(module.photos, "classify", classify)
    monkeypatch.setattr(module.monitoring, "add_labels", lambda *_: None)
    monkeypatch.setattr(module.monitoring, "wait_for_captures", lambda *_: 0)
    monkeypatch.setattr(module.monitoring, "monitor", lambda *_, **__: Report())
    return work


def _outcome(name, status="SUCCEEDED", label="bicycle", vehicle="bicycle", error=None):
    return Outcome(name, label, status, vehicle, 0.9, 0.8, "Bay 1", {"from_km": 0, "to_km": 5}, error, None, "a", "i")


def _summary(work, folder="latest"):
    return json.loads((work.root / "runs" / folder / "summary.json").read_text())


def test_an_approving_run_writes_down_everything(story):
    run(story, data=None, values={}, approve=True)
    summary = _summary(story)
    assert summary["data"] == "drawn samples"
    assert (summary["accuracy"], summary["threshold"]) == (0.93, 0.8)
    assert summary["model_package_arn"] == VERSION.arn
    assert summary["executions"] == [
        {"photo": "x.png", "status": "SUCCEEDED", "vehicle": "bicycle", "confidence": 0.9, "error": None}
    ]
    assert summary["report"].endswith("report.png")
    assert {"total", "data", "stack", "pipeline", "deployment", "photos", "report"} - {"data"} <= set(
        summary["seconds"]
    )
    assert "failure" not in summary


def test_only_a_run_that_is_told_to_approves(story):
    run(story, data=None, values={}, approve=False)
    assert story.decided == []
    assert _summary(story)["executions"] == []


def test_a_run_that_approves_says_that_it_does(story):
    run(story, data=None, values={}, approve=True)
    assert story.decided == [(1, True)]
    assert "approved version 1" in story.output.getvalue()


def test_drawn_samples_are_announced_before_anything_is_computed(story):
    run(story, data=None, values={}, approve=False)
    lines = story.output.getvalue().splitlines()
    assert next(n for n, t in enumerate(lines) if "DRAWN SAMPLES" in t) < lines.index("Pipeline ...")


def test_a_missed_gate_is_a_failure_with_the_figures_in_the_summary(story):
    said = "Test accuracy 0.5 is below the minimum accuracy 0.85: no version was registered"
    missed = _step("GateMissed", "Failed", "Fail", said)
    story.seen = [_execution("Failed", _step("Stage"), _step("Train"), _step("Evaluate"), missed)]
    with pytest.raises(WorkError, match=r"Test accuracy 0\.5 is below"):
        run(story, data=None, values={}, approve=True)
    (folder,) = (story.root / "runs").iterdir()
    summary = _summary(story, folder.name)
    assert summary["accuracy"] == 0.93
    assert summary["failure"].startswith(said)
    assert story.decided == []


def test_a_step_that_fails_is_named_with_its_reason_and_its_log(story):
    story.seen = [_execution("Failed", _step("Stage"), _step("Train", "Failed", failure="ValueError: no\nphotos"))]
    with pytest.raises(WorkError) as failed:
        run(story, data=None, values={}, approve=True)
    assert str(failed.value) == "the step Train failed: ValueError: no photos; `loadingbay logs Train` shows its log"


def test_what_is_wrong_with_an_archive_is_said_of_the_file_that_the_user_named(story, monkeypatch, tmp_path):
    class Archive(Data):
        files = (("cifar-100-python.tar.gz", tmp_path / "cut.tar.gz"),)

    (tmp_path / "cut.tar.gz").write_bytes(b"x")
    monkeypatch.setattr(module, "acquire_data", lambda *_: Archive())
    monkeypatch.setattr(Run, "upload", lambda *_: "s3://bucket/data/")
    said = "AlgorithmError: The archive cifar-100-python.tar.gz is truncated; fetch it again., exit code: 1"
    story.seen = [_execution("Failed", _step("Stage", "Failed", failure=said))]
    with pytest.raises(WorkError) as failed:
        run(story, data=None, values={}, approve=False)
    place = f"The archive {tmp_path / 'cut.tar.gz'} is truncated; fetch it again"
    assert str(failed.value) == f"the step Stage failed: {place}; `loadingbay logs Stage` shows its log"


def test_a_failed_run_leaves_latest_at_the_last_complete_one(story):
    run(story, data=None, values={}, approve=False)
    before = (story.root / "runs" / "latest").resolve()
    story.seen = [_execution("Failed", _step("Stage", "Failed", failure="it broke"))]
    with pytest.raises(WorkError):
        run(story, data=None, values={}, approve=False)
    assert (story.root / "runs" / "latest").resolve() == before


def test_ctrl_c_stops_the_execution_and_says_what_is_kept(story):
    story.seen = [_execution("Executing", _step("Stage")), KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        run(story, data=None, values={}, approve=True)
    assert "stopped on your request; finished and kept for the next run: Stage" in story.output.getvalue()
    (folder,) = (story.root / "runs").iterdir()
    assert _summary(story, folder.name)["failure"] == "interrupted"


def test_what_the_data_reader_raises_in_its_thread_ends_the_run(story, monkeypatch):
    def refuse(*_):
        raise WorkError("the archive is truncated")

    monkeypatch.setattr(module, "acquire_data", refuse)
    with pytest.raises(WorkError, match="the archive is truncated"):
        run(story, data=None, values={}, approve=True)
    assert not (story.root / "runs").exists()


def test_photos_are_counted_in_words():
    outcomes = [
        _outcome("a"),
        _outcome("b", label="motorcycle"),
        _outcome("c", "FAILED", error="ConfidenceThresholdNotMet"),
        _outcome("d", "FAILED", error="NotAPhoto"),
    ]
    assert counted(outcomes) == "2 routed, 1 below the threshold, 1 failed; 1 of the routed is wrong"
    assert counted([]) == "0 routed, 0 below the threshold"


def test_data_are_uploaded_once_whatever_their_number(story, tmp_path):
    uploaded = []

    class Bucket(S3):
        def paginate(self, Bucket, Prefix):
            yield {"Contents": [{"Key": key} for key in uploaded if key.startswith(Prefix)]}

        def upload_file(self, path, bucket, key):
            uploaded.append(key)

    class Folder:
        sha256 = "ab"
        files = tuple((f"bicycle/{n}.png", tmp_path / f"{n}.png") for n in range(30))

    story.target.clients["s3"] = Bucket()
    story.stack = STACK
    assert story.upload(Folder()) == "s3://bucket/data/ab/"
    assert sorted(uploaded) == sorted(f"data/ab/bicycle/{n}.png" for n in range(30))
    story.upload(Folder())
    assert len(uploaded) == 30
