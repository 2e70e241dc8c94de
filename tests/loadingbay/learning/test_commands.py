"""`review` and `label` as a person types them, on an AWS of moto's."""

import json

import pytest
from click.testing import CliRunner
from moto import mock_aws

from loadingbay.commands import review as commands
from loadingbay.target import Target

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:inference"
ROLE = "arn:aws:iam::123456789012:role/states"


@pytest.fixture
def target(monkeypatch):
    """A stage with a bucket, a review queue and a state machine, on moto's AWS."""
    with mock_aws():
        target = Target("aws", None, "us-east-1")
        target.client("s3").create_bucket(Bucket="data")
        url = target.client("sqs").create_queue(QueueName="review")["QueueUrl"]
        states = target.client("stepfunctions")
        states.create_state_machine(name="inference", definition='{"StartAt": "a", "States": {}}', roleArn=ROLE)
        stack = {
            "BucketName": "data",
            "ReviewQueueUrl": url,
            "InferenceStateMachineArn": MACHINE,
            "DataCaptureUri": "s3://data/data-capture",
            "EndpointName": "loadingbay",
        }
        monkeypatch.setattr("loadingbay.stack.deploy.outputs", lambda _: stack)
        monkeypatch.setattr(commands, "_classes", lambda _: ["bicycle", "motorcycle"])
        yield target


def _run(target, command, *arguments, typed=""):
    return CliRunner().invoke(command, list(arguments), obj=lambda: target, input=typed)


def _wait_for_a_person(target, *names):
    """Put photos of these names into the review queue."""
    for name in names:
        body = {"inference_id": name, "photo": {"bucket": "data", "key": name}, "prediction": {"label": "bicycle"}}
        target.client("sqs").send_message(
            QueueUrl=target.client("sqs").get_queue_url(QueueName="review")["QueueUrl"], MessageBody=json.dumps(body)
        )


def _labels(target):
    """The stored labels by inference id."""
    s3 = target.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="data", Prefix="labels/").get("Contents", [])]
    found = {}
    for key in keys:
        for line in s3.get_object(Bucket="data", Key=key)["Body"].read().splitlines():
            entry = json.loads(line)
            found[entry["eventMetadata"]["eventId"]] = entry["groundTruthData"]["data"]
    return found


def _capture(target, *names):
    lines = [json.dumps({"eventMetadata": {"inferenceId": name, "eventId": "e"}}) for name in names]
    key = "data-capture/loadingbay/AllTraffic/2026/11/25/12/a.jsonl"
    target.client("s3").put_object(Bucket="data", Key=key, Body="\n".join(lines).encode())


def test_each_key_stores_its_label(target):
    _wait_for_a_person(target, "a", "b", "c")
    ended = _run(target, commands.review, typed="1\n2\nn\n")
    assert sorted(_labels(target).values()) == ["bicycle", "motorcycle", "neither"]
    assert "3 labelled, 0 skipped" in ended.output


def test_the_answer_is_hidden_until_it_is_asked_for(target):
    _wait_for_a_person(target, "a")
    assert "The model says" not in _run(target, commands.review, typed="q\n").output
    assert "The model says bicycle" in _run(target, commands.review, "--show-answer", typed="q\n").output


def test_whoever_quits_leaves_the_photo_to_others(target):
    _wait_for_a_person(target, "a")
    _run(target, commands.review, typed="q\n")
    assert "1 labelled" in _run(target, commands.review, typed="1\n").output


def test_a_command_that_breaks_leaves_the_photo_to_others(target, monkeypatch):
    _wait_for_a_person(target, "a")
    with monkeypatch.context() as broken:
        broken.setattr("loadingbay.commands.review._ask", lambda *_: 1 / 0)
        assert _run(target, commands.review).exit_code == 1
    assert "1 labelled" in _run(target, commands.review, typed="1\n").output


def test_skipped_photos_are_shown_once_in_a_session(target):
    _wait_for_a_person(target, "a", "b")
    for name in "ab":
        target.client("s3").put_object(Bucket="data", Key=name, Body=b"photo")
    assert "0 labelled, 2 skipped; about 2 wait" in _run(target, commands.review, typed="s\ns\n").output


def test_a_deleted_photo_is_told_and_leaves_the_queue_when_skipped(target):
    _wait_for_a_person(target, "a")
    said = _run(target, commands.review, typed="s\n").output
    assert "s3://data/a was deleted: `s` takes it out of the queue. Its request was a" in said
    assert "0 labelled, 1 skipped; about 0 wait" in said


def test_input_that_ends_gives_the_photo_back(target):
    _wait_for_a_person(target, "a")
    _run(target, commands.review, typed="")
    assert "1 labelled" in _run(target, commands.review, typed="1\n").output


def test_a_correction_of_a_captured_request_is_stored(target):
    _capture(target, "one", "two")
    assert _run(target, commands.label, "two", "motorcycle").exit_code == 0
    assert _labels(target) == {"two": "motorcycle"}


def test_a_label_of_a_request_that_nobody_made_is_named(target):
    _capture(target, "one")
    ended = _run(target, commands.label, "ghost", "bicycle")
    assert "no request has this inference id: ghost" in str(ended.exception)
    assert _labels(target) == {}


def test_the_known_ones_of_a_file_are_stored(target, tmp_path):
    _capture(target, "one", "two")
    (tmp_path / "labels.csv").write_text("one,bicycle\nghost,neither\ntwo,neither\n")
    ended = _run(target, commands.label, "--file", str(tmp_path / "labels.csv"), "--json")
    assert _labels(target) == {"one": "bicycle", "two": "neither"}
    assert "ghost" in str(ended.exception)


def test_labels_of_a_file_that_differ_are_both_stored_and_told(target, tmp_path):
    _capture(target, "one")
    (tmp_path / "labels.csv").write_text("one,bicycle\none,neither\n")
    said = _run(target, commands.label, "--file", str(tmp_path / "labels.csv")).output
    assert "Labels stored: 2" in said
    assert "differ from another of the same request: 1; the last one counts" in said
    assert _labels(target) == {"one": "neither"}


def test_an_empty_inference_id_is_refused_as_such(target):
    assert "INFERENCE_ID is empty" in str(_run(target, commands.label, " ", "bicycle").exception)


@pytest.mark.parametrize("arguments", [[], ["one"], ["one", "bicycle", "--file", "x"]])
def test_half_of_a_label_is_refused(target, arguments):
    assert "give either INFERENCE_ID and TRUTH, or --file" in str(_run(target, commands.label, *arguments).exception)
