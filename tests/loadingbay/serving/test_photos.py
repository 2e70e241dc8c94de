"""Photos through the state machine: what became of each, in order, named so that its capture can be found."""
# ruff: noqa: N803, A002 - AWS names its arguments so

import json
import os
import threading
from pathlib import Path

import pytest

from loadingbay.errors import UsageError, WorkError
from loadingbay.serving import photos
from loadingbay.serving.photos import Photo, classify, read
from loadingbay.target import Target

ROUTED = {
    "vehicle": "bicycle",
    "confidence": 0.98,
    "threshold": 0.8,
    "loading_bay": "Bay 1",
    "order_range": {"from_km": 0, "to_km": 5},
}
REFUSED = {"message": "bicycle at 0.6 is below 0.8", "vehicle": "bicycle", "confidence": 0.6, "threshold": 0.8}


class S3:
    def __init__(self):
        self.objects = {}

    def put_object(self, Bucket, Key, Body):
        self.objects[Bucket, Key] = Body


class Machine:
    """Ends the execution of each photo, on its second look, as its content says."""

    def __init__(self, s3):
        self.s3, self.started, self.looks, self.at_once, self.most = s3, {}, {}, 0, 0
        self.lock = threading.Lock()

    def start_execution(self, stateMachineArn, name, input):
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        place = json.loads(input)
        self.started[name] = self.s3.objects[place["bucket"], place["key"]]
        return {"executionArn": f"{stateMachineArn}:{name}"}

    def describe_execution(self, executionArn):
        name = executionArn.rsplit(":", 1)[-1]
        self.looks[name] = self.looks.get(name, 0) + 1
        if self.looks[name] < 2:
            return {"status": "RUNNING"}
        with self.lock:
            self.at_once -= 1
        return json.loads(self.started[name])


@pytest.fixture
def machine():
    return Machine(S3())


@pytest.fixture
def send(machine, tmp_path):
    """A function that classifies photos whose executions end as it is told."""
    target = Target("endpoint", "http://127.0.0.1:1", "us-east-1")
    target.clients.update({"s3": machine.s3, "stepfunctions": machine})

    def send(ends, **options):
        listed = []
        for number, end in enumerate(ends):
            path = tmp_path / f"photo-{number}.PNG"
            path.write_text(json.dumps(end))
            listed.append(Photo(path.name, path, options.get("label")))
        return classify(
            target, listed, bucket="bucket", state_machine="arn:machine", prefix="run1", done=options.get("done", id)
        )

    return send


def test_a_routed_photo_has_its_bay_and_range(send):
    (outcome,) = send([{"status": "SUCCEEDED", "output": json.dumps(ROUTED)}])
    assert (outcome.status, outcome.vehicle, outcome.loading_bay) == ("SUCCEEDED", "bicycle", "Bay 1")
    assert outcome.order_range == {"from_km": 0, "to_km": 5}
    assert outcome.error is None


def test_a_refused_photo_has_the_confidence_and_the_threshold_of_the_cause(send):
    (outcome,) = send([{"status": "FAILED", "error": "ConfidenceThresholdNotMet", "cause": json.dumps(REFUSED)}])
    assert (outcome.status, outcome.error) == ("FAILED", "ConfidenceThresholdNotMet")
    assert (outcome.vehicle, outcome.confidence, outcome.threshold) == ("bicycle", 0.6, 0.8)
    assert outcome.cause == "bicycle at 0.6 is below 0.8"


@pytest.mark.parametrize("cause", ["not JSON", "[1]", ""])
def test_another_failure_keeps_its_cause_as_it_is(send, cause):
    (outcome,) = send([{"status": "FAILED", "error": "NotAPhoto", "cause": cause}])
    assert (outcome.error, outcome.cause, outcome.vehicle) == ("NotAPhoto", cause, None)


def test_what_lambda_makes_of_an_exception_becomes_its_sentence(send):
    cause = {"errorMessage": "it is empty: upload it again.", "errorType": "EmptyPhoto", "stackTrace": ["line 1"]}
    (outcome,) = send([{"status": "FAILED", "error": "EmptyPhoto", "cause": json.dumps(cause)}])
    assert outcome.cause == "it is empty: upload it again."


def test_how_to_go_on_is_said_only_where_the_endpoint_was_away(send):
    refused, away = ({"status": "FAILED", "error": e, "cause": ""} for e in ("NotAPhoto", "EndpointUnavailable"))
    outcomes = send([refused, away, away])
    hint = photos.again(outcomes)
    assert f"`aws stepfunctions redrive-execution --execution-arn {outcomes[1].execution_arn}` goes on" in hint
    assert hint.endswith("so with 1 more")
    assert photos.again(outcomes[:1]) == ""


def test_an_execution_that_timed_out_has_its_status_as_the_error(send):
    (outcome,) = send([{"status": "TIMED_OUT"}])
    assert outcome.error == "TIMED_OUT"


def test_outcomes_come_in_order_and_at_most_eight_run_at_once(send, machine, monkeypatch):
    seen, start, two = [], machine.start_execution, threading.Barrier(2)
    monkeypatch.setattr(machine, "start_execution", lambda **given: (start(**given), two.wait(60))[0])
    ends = [{"status": "SUCCEEDED", "output": json.dumps(ROUTED | {"confidence": n / 100})} for n in range(40)]
    outcomes = send(ends, done=seen.append)
    assert [o.confidence for o in outcomes] == [n / 100 for n in range(40)]
    assert len(seen) == 40
    assert 1 < machine.most <= 8


def test_names_are_unique_and_short_enough_to_be_an_inference_id(send, machine):
    first = send([{"status": "FAILED"}] * 3)
    second = send([{"status": "FAILED"}] * 3)
    names = [o.inference_id for o in first + second]
    assert len(set(names)) == 6
    assert all(len(name) <= 64 and name in machine.started for name in names)


def test_the_object_keeps_the_photos_suffix_and_starts_nothing_by_itself(send, machine):
    send([{"status": "FAILED"}])
    ((_, key),) = machine.s3.objects
    assert key.endswith(".png")
    assert not key.startswith("incoming/")


def test_a_photo_routed_as_what_it_is_not_is_wrong(send):
    (outcome,) = send([{"status": "SUCCEEDED", "output": json.dumps(ROUTED)}], label="motorcycle")
    assert outcome.wrong
    (outcome,) = send([{"status": "SUCCEEDED", "output": json.dumps(ROUTED)}], label="bicycle")
    assert not outcome.wrong


def test_photos_of_one_name_in_two_folders_are_told_apart(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.png").write_bytes(b"x")
    assert [p.name for p in read([tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"])] == ["x.png", "x-2.png"]


def test_labels_beside_a_photo_say_what_it_shows(tmp_path):
    (tmp_path / "x.png").write_bytes(b"x")
    (tmp_path / "labels.json").write_text('{"x.png": "bicycle"}')
    assert read([tmp_path / "x.png"])[0].label == "bicycle"


def test_a_photo_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.png: there is no such photo"):
        read([tmp_path / "gone.png"])


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (".", "is a folder: `loadingbay bulk`"),
        ("/dev/null", "is no file"),
    ],
)
def test_what_is_no_photo_is_told_with_the_command_for_it(path, said):
    with pytest.raises(UsageError, match=said):
        read([Path(path)])


def test_a_file_too_large_to_be_a_photo_is_not_uploaded(tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "MAXIMUM_BYTES", 10)
    (tmp_path / "film.png").write_bytes(b"x" * 11)
    with pytest.raises(WorkError, match="11 bytes are more than the 10"):
        read([tmp_path / "film.png"])


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"x.png": "bicycle",}',
        '[["x.png", "bicycle"]]',
        '{"x.png": {"label": "bicycle"}}',
        '{"x.png": null}',
        "",
    ],
)
def test_labels_that_cannot_be_read_are_an_error_that_names_the_file(tmp_path, text):
    (tmp_path / "x.png").write_bytes(b"x")
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(WorkError, match=r"labels\.json"):
        read([tmp_path / "x.png"])


def test_labels_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "x.png").write_bytes(b"x")
    (tmp_path / "labels.json").write_text('{"x.png": "bicycle"}', "utf-8-sig")
    assert read([tmp_path / "x.png"])[0].label == "bicycle"


def test_a_photo_whose_name_is_no_text_is_named(tmp_path):
    path = tmp_path / os.fsdecode(b"v\xe9lo.png")
    path.write_bytes(b"x")
    with pytest.raises(WorkError, match=r"v\\xe9lo\.png: the name is not UTF-8"):
        read([path])
