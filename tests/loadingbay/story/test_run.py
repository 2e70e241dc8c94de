"""A run against a SageMaker in memory: what is written down, and what is left when it goes wrong."""
# ruff: noqa: N803 - AWS names its arguments so

import io
import json
import threading
from datetime import UTC, datetime

import pytest
from rich.console import Console

from loadingbay.data import provide
from loadingbay.data.acquire import Data
from loadingbay.errors import WorkError
from loadingbay.screen.progress import Screen
from loadingbay.serving.photos import Outcome, Photo, counted
from loadingbay.stack import up
from loadingbay.story import release, training
from loadingbay.story.run import run
from loadingbay.target import Target
from pipelines import executions
from pipelines.builds import Builder
from pipelines.executions import Execution, Step
from pipelines.parameters import BY_NAME
from tests.fakes.fake_sagemaker import FakeSageMaker

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
NOBODY = "s3://bucket/champion/none"


DATA = Data("drawn samples", "f" * 64, (), "drawn, because there is no network")


class S3:
    """A bucket with an evaluation, in which everything else exists already and is empty."""

    def __init__(self):
        self.uploaded = []

    def get_paginator(self, _):
        return self

    def paginate(self, Bucket, Prefix):
        yield {"Contents": [{"Key": key} for key in self.uploaded if key.startswith(Prefix)]}

    def upload_file(self, path, bucket, key):
        self.uploaded.append(key)

    def head_object(self, **_):
        pass

    def get_object(self, **_):
        return {"Body": io.BytesIO(json.dumps(EVALUATION).encode())}


class Executions:
    """What following the pipeline sees: an execution at each look, or an exception."""

    def __init__(self, *looks):
        self.looks, self.stopped = looks, False

    def follow(self, *_, **__):
        for look in self.looks:
            if isinstance(look, BaseException):
                raise look
            yield look

    def stop(self, *_):
        self.stopped = True
        return "Stopped"


def _step(name, status="Succeeded", kind="ProcessingJob", failure=""):
    return Step(name, kind, status, None, None, False, failure, f"arn:x:y:z:a:processing-job/{name.lower()}-1")


def _execution(status, *steps):
    return Execution(ARN, status, "", steps)


STEPS = [_step(name) for name in ("Stage", "Train", "Evaluate")]
REGISTER = Step("Register", "RegisterModel", "Succeeded", None, None, False, "", FakeSageMaker.arn(1))
DONE = _execution("Succeeded", *STEPS, REGISTER)


APPROVE = release.approve


class Story:
    """A run against a SageMaker in memory; cloud, photos and report are stand-ins. `see` says what happens next."""

    def __init__(self, root, monkeypatch):
        self.root, self.output, self.approved = root, io.StringIO(), []
        self.sagemaker, self.s3, self.monkeypatch = FakeSageMaker(), S3(), monkeypatch
        self.sagemaker.register()
        self.sagemaker.answer("DescribePipeline", {"PipelineDefinition": "{}", "RoleArn": "role"})
        self.sagemaker.answer("StartPipelineExecution", {"PipelineExecutionArn": ARN})
        self.sagemaker.answer("DescribeProcessingJob", _outputs)
        self.sagemaker.answer("ListPipelineExecutions", {"PipelineExecutionSummaries": []})
        clients = {"sagemaker": self.sagemaker, "s3": self.s3, "logs": None}
        self.target = Target("endpoint", "http://127.0.0.1:1", "us-east-1", clients=clients)
        self.target.__dict__["account"] = "000000000000"  # asked for once, then known
        self.data = lambda: DATA
        monkeypatch.setattr(up, "deploy", lambda *_, **__: STACK)
        monkeypatch.setattr(training, "definition", lambda *_: "{}")
        monkeypatch.setattr(training, "upsert_monitoring", lambda *_: None)
        monkeypatch.setattr(provide, "acquire", lambda *_, **__: self.data())
        monkeypatch.setattr(release, "fetch_photos", lambda *_: [Photo("x.png", root / "x.png", "bicycle")])
        monkeypatch.setattr(release, "approve", lambda *given: self.approved.append(given[-1].number))
        monkeypatch.setattr(release, "classify", lambda *given: [_outcome(photo.name) for photo in given[3]])
        monkeypatch.setattr(release, "report", lambda *_, **__: root / "report.png")
        self.see(DONE)

    def see(self, *looks):
        seen = Executions(*looks)
        for name in ("follow", "stop"):
            self.monkeypatch.setattr(executions, name, getattr(seen, name))
        self.monkeypatch.setattr(executions, "describe", lambda *_: _execution("Stopped", _step("Stage")))

    def run(self, *, approve=False):
        # Nothing is built, so the process that would import the SDK need not start.
        self.monkeypatch.setattr(Builder, "prepare", lambda _: None)
        screen = Screen(Console(file=self.output, width=200))
        return run(self.target, screen, self.root, environment={}, data=None, values={}, approve=approve)

    def summary(self, folder="latest"):
        return json.loads((self.root / "runs" / folder / "summary.json").read_text())


def _outputs(ProcessingJobName):
    name = "evaluation" if ProcessingJobName == "evaluate-1" else "photos"
    output = {"OutputName": name, "S3Output": {"S3Uri": "s3://b/out"}}
    return {"ProcessingOutputConfig": {"Outputs": [output]}}


@pytest.fixture
def story(tmp_path, monkeypatch):
    return Story(tmp_path, monkeypatch)


def _outcome(name, status="SUCCEEDED", label="bicycle", vehicle="bicycle", error=None):
    return Outcome(name, label, status, vehicle, 0.9, 0.8, "Bay 1", {"from_km": 0, "to_km": 5}, error, None, "a", "i")


def test_an_approving_run_writes_down_everything(story):
    story.run(approve=True)
    summary = story.summary()
    assert summary["data"] == "drawn samples"
    assert (summary["accuracy"], summary["threshold"]) == (0.93, 0.8)
    assert summary["model_package_arn"] == FakeSageMaker.arn(1)
    assert summary["executions"] == [
        {"photo": "x.png", "status": "SUCCEEDED", "vehicle": "bicycle", "confidence": 0.9, "error": None}
    ]
    assert summary["report"].endswith("report.png")
    assert {"total", "data", "stack", "pipeline", "deployment", "photos", "report"} <= set(summary["seconds"])
    assert "failure" not in summary


def test_only_a_run_that_is_told_to_approves(story):
    story.run()
    assert story.approved == []
    assert story.summary()["executions"] == []


def test_an_approving_run_approves_the_new_version(story):
    assert story.run(approve=True).new
    assert story.approved == [1]


def test_a_run_in_which_nothing_changed_names_the_version_it_had_made(story):
    values = {"InputData": f"s3://bucket/data/{DATA.sha256}/", "DataLabel": DATA.label, "Champion": NOBODY}
    listed = [{"Name": name, "Value": value} for name, value in values.items()]
    story.sagemaker.answer("ListPipelineParametersForExecution", {"PipelineParameters": listed})
    story.sagemaker.answer("DescribePipelineDefinitionForExecution", {"PipelineDefinition": "{}"})
    story.sagemaker.packages[1] |= {
        "CreationTime": datetime.now(UTC),
        "MetadataProperties": {"GeneratedBy": ARN},
        "InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://b/model.tar.gz"}]},
    }
    story.see(_execution("Succeeded", *STEPS))
    finished = story.run()
    (request,) = story.sagemaker.requests("StartPipelineExecution")
    assert {"Name": "RegisteredModel", "Value": "s3://b/model.tar.gz"} in request["PipelineParameters"]
    assert (finished.version.number, finished.new) == (1, False)


@pytest.mark.parametrize(
    ("status", "title", "epochs", "waits"),
    [("Executing", "", "20", True), ("Succeeded", "", "20", False), ("Executing", "tune-0001", "20", False),
     ("Executing", "", "7", False)],
)  # fmt: skip
def test_a_run_waits_for_one_under_way_that_trains_the_same(story, status, title, epochs, waits):
    """It starts after the other has ended, and so knows the version that the other registered."""
    other, seen = f"{ARN[:-1]}o", {"status": status}
    values = {"InputData": f"s3://bucket/data/{DATA.sha256}/", "DataLabel": DATA.label, "Epochs": epochs}
    summary = {"PipelineExecutionArn": other, "PipelineExecutionDisplayName": title, "StartTime": datetime.now(UTC)}
    answers = {
        "ListPipelineExecutions": lambda **_: {
            "PipelineExecutionSummaries": [summary | {"PipelineExecutionStatus": seen["status"]}]
        },
        "ListPipelineParametersForExecution": {
            "PipelineParameters": [{"Name": name, "Value": value} for name, value in values.items()]
        },
        "DescribePipelineDefinitionForExecution": {"PipelineDefinition": "{}"},
    }
    for operation, answer in answers.items():
        story.sagemaker.answer(operation, answer)
    followed, follow = [], executions.follow

    def see(sagemaker, logs, arn, **options):
        followed.append((arn, len(story.sagemaker.requests("StartPipelineExecution"))))
        seen["status"] = "Succeeded"
        return follow(sagemaker, logs, arn, **options)

    story.monkeypatch.setattr(executions, "follow", see)
    story.run()
    assert followed == [*([(other, 0)] if waits else []), (ARN, 1)]


@pytest.mark.parametrize(("comment", "why"), [("worse at night", r" \(worse at night\)"), ("", "")])
def test_a_version_that_was_rejected_is_not_approved_by_a_run(story, comment, why):
    story.monkeypatch.setattr(release, "approve", APPROVE)
    story.sagemaker.packages[1] |= {"ModelApprovalStatus": "Rejected", "ApprovalDescription": comment}
    with pytest.raises(WorkError, match=rf"version 1, .*, was rejected{why}, .*: `loadingbay approve 1` does"):
        story.run(approve=True)
    assert story.sagemaker.status == {1: "Rejected"}


def test_a_version_that_was_deleted_during_the_run_is_named(story):
    del story.sagemaker.packages[1]
    with pytest.raises(WorkError, match="version 1 was deleted from the registry while the pipeline ran"):
        story.run()


def test_drawn_samples_are_announced_before_anything_is_computed(story):
    story.run()
    lines = story.output.getvalue().splitlines()
    assert next(n for n, t in enumerate(lines) if "DRAWN SAMPLES" in t) < lines.index("  Stage: done in 0.0 s")


def test_data_that_cannot_be_read_are_told_before_anything_is_deployed(story, monkeypatch):
    reading, deployed = [], []
    began = threading.Event()

    def unreadable():
        reading.append(threading.current_thread())
        began.set()
        raise WorkError("photos: the folder has no photos")

    def start_cloud(*_):
        assert began.wait(60)
        reading[0].join(60)

    story.data = unreadable
    monkeypatch.setattr(up, "start_cloud", start_cloud)
    monkeypatch.setattr(up, "deploy_stack", lambda *_: deployed.append(1))
    with pytest.raises(WorkError, match="the folder has no photos"):
        story.run()
    assert deployed == []


def test_a_missed_gate_is_a_failure_with_the_figures_in_the_summary(story):
    said = "Test accuracy 0.5 is below the minimum accuracy 0.85: no version was registered"
    story.see(_execution("Failed", *STEPS, _step("GateMissed", "Failed", "Fail", said)))
    with pytest.raises(WorkError, match=r"Test accuracy 0\.5 is below"):
        story.run(approve=True)
    (folder,) = (story.root / "runs").iterdir()
    summary = story.summary(folder.name)
    assert summary["accuracy"] == 0.93
    assert summary["failure"].startswith(said)
    assert story.approved == []


def test_a_step_that_fails_is_named_with_its_reason_and_its_log(story):
    story.see(_execution("Failed", _step("Stage"), _step("Train", "Failed", failure="ValueError: no\nphotos")))
    with pytest.raises(WorkError) as failed:
        story.run()
    assert str(failed.value) == "the step Train failed: ValueError: no photos; `loadingbay logs Train` shows its log"


def test_a_fault_of_an_archive_is_said_of_the_file_that_was_named(story, tmp_path):
    (tmp_path / "cut.tar.gz").write_bytes(b"x")
    files = (("cifar-100-python.tar.gz", tmp_path / "cut.tar.gz"),)
    story.data = lambda: Data("cifar-100", "ab", files, "named")
    said = "AlgorithmError: The archive cifar-100-python.tar.gz is truncated; fetch it again., exit code: 1"
    story.see(_execution("Failed", _step("Stage", "Failed", failure=said)))
    with pytest.raises(WorkError) as failed:
        story.run()
    place = f"The archive {tmp_path / 'cut.tar.gz'} is truncated; fetch it again"
    assert str(failed.value) == f"the step Stage failed: {place}; `loadingbay logs Stage` shows its log"


def test_a_failed_run_leaves_latest_at_the_last_complete_one(story):
    story.run()
    before = (story.root / "runs" / "latest").resolve()
    story.see(_execution("Failed", _step("Stage", "Failed", failure="it broke")))
    with pytest.raises(WorkError):
        story.run()
    assert (story.root / "runs" / "latest").resolve() == before


def test_ctrl_c_stops_the_execution_and_says_what_is_kept(story):
    story.see(_execution("Executing", _step("Stage")), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        story.run(approve=True)
    assert "stopped on your request; finished and kept for the next run: Stage" in story.output.getvalue()
    (folder,) = (story.root / "runs").iterdir()
    assert story.summary(folder.name)["failure"] == "interrupted"


def test_what_the_data_reader_raises_in_its_thread_ends_the_run(story):
    def refuse():
        raise WorkError("the archive is truncated")

    story.data = refuse
    with pytest.raises(WorkError, match="the archive is truncated"):
        story.run()
    assert not (story.root / "runs").exists()


def test_photos_are_counted_in_words():
    outcomes = [
        _outcome("a"),
        _outcome("b", label="motorcycle"),
        _outcome("c", "FAILED", error="ConfidenceThresholdNotMet"),
        _outcome("d", "FAILED", error="SeveralVehicles"),
        _outcome("e", "FAILED", error="NotAPhoto"),
    ]
    said = "2 routed, 1 below the threshold, 1 with several kinds of vehicles, 1 failed; 1 of the routed is wrong"
    assert counted(outcomes) == said
    assert counted([]) == "0 routed, 0 below the threshold"


def test_data_are_uploaded_once_whatever_their_number(story, tmp_path):
    files = tuple((f"bicycle/{n}.png", tmp_path / f"{n}.png") for n in range(30))
    folder = Data("photos", "ab", files, "a folder")
    assert provide.upload(story.target, "bucket", folder) == "s3://bucket/data/ab/"
    assert sorted(story.s3.uploaded) == sorted(f"data/ab/bicycle/{n}.png" for n in range(30))
    provide.upload(story.target, "bucket", folder)
    assert len(story.s3.uploaded) == 30


def test_classes_without_a_loading_bay_are_named(tmp_path):
    routes = tmp_path / "lambdas" / "check_confidence" / "routes.json"
    routes.parent.mkdir(parents=True)
    routes.write_text('{"bicycle": {}}')
    assert "No loading bay is set for ant, bee, so" in release.missing_routes("ant,bicycle,bee", tmp_path)
    assert release.missing_routes("bicycle", tmp_path) == ""


def test_the_classes_that_come_by_default_have_their_loading_bays():
    assert release.missing_routes(str(BY_NAME["Classes"].default)) == ""
