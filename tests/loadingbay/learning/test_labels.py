"""Labels as they are stored and read."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from moto import mock_aws

from loadingbay.errors import UsageError
from loadingbay.learning import labels
from loadingbay.learning.labels import Label

NOON = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)


@pytest.fixture
def s3():
    import boto3

    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="data")
        yield client


def _stored(s3):
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="data").get("Contents", [])]
    return {key: s3.get_object(Bucket="data", Key=key)["Body"].read().decode().splitlines() for key in keys}


def test_a_label_has_sagemakers_ground_truth_form():
    entry = json.loads(Label("a-1", "bicycle", "review", "ada", NOON).line())
    assert entry["groundTruthData"] == {"data": "bicycle", "encoding": "CSV"}
    assert entry["eventMetadata"]["eventId"] == "a-1"
    assert entry["eventVersion"] == "0"


def test_labels_lie_in_the_hour_they_were_given_in(s3):
    given = [Label("a", "bicycle", "review", "ada", NOON + timedelta(hours=n)) for n in (1, 0)]
    keys = labels.store(s3, "data", given)
    assert [key[: len("labels/2026/11/25/12/")] for key in keys] == ["labels/2026/11/25/12/", "labels/2026/11/25/13/"]


def test_the_same_labels_stored_twice_are_one_object(s3):
    given = [Label("a", "bicycle", "review", "ada", NOON), Label("b", "neither", "review", "ada", NOON)]
    labels.store(s3, "data", given)
    labels.store(s3, "data", given)
    (lines,) = _stored(s3).values()
    assert [json.loads(line)["eventMetadata"]["eventId"] for line in lines] == ["a", "b"]


def test_two_labels_for_one_request_are_both_kept(s3):
    labels.store(s3, "data", [Label("a", "bicycle", "review", "ada", NOON)])
    labels.store(s3, "data", [Label("a", "motorcycle", "correction", "bob", NOON + timedelta(seconds=1))])
    assert len(_stored(s3)) == 2


def test_a_class_that_the_model_does_not_know_is_refused_by_name():
    with pytest.raises(UsageError, match=r"'truck' is none of this model's classes \(bicycle, motorcycle\)"):
        labels.check_truth("truck", ["bicycle", "motorcycle"])


def test_one_wrong_label_of_many_is_named_with_its_request():
    with pytest.raises(UsageError, match="nothing was stored, because of the label of b: 'truck' is none of"):
        labels.check_all([("a", "bicycle"), ("b", "truck")], ["bicycle", "motorcycle"])


def test_neither_is_always_a_label():
    assert labels.check_truth("neither", ["bicycle"]) == "neither"


@pytest.mark.parametrize(
    "text",
    [
        "inferenceId,label\na,bicycle\nb,neither\n",
        "a,bicycle\n\nb , neither\n",
        "\ufeffa,bicycle\r\nb,neither\r\n",
        '{"inferenceId": "a", "label": "bicycle"}\n{"inferenceId": "b", "label": "neither"}\n',
        Label("a", "bicycle", "review", "ada", NOON).line()
        + "\n"
        + Label("b", "neither", "review", "ada", NOON).line(),
        "seen;Label;InferenceId\nyes;bicycle;a\nno;neither;b\n;;\n",
        '{"eventId": "a", "label": "bicycle"}\n{"eventId": "b", "label": "neither"}\n',
        '{"groundTruthData": {"data": "\\"bicycle\\"", "encoding": "JSON"}, "eventMetadata": {"eventId": "a"}}\n'
        '{"groundTruthData": {"data": "\\"neither\\"", "encoding": "CSV"}, "eventMetadata": {"eventId": "b"}}\n',
    ],
    ids=["heading", "plain", "byte-order-mark", "json-lines", "ground-truth", "spreadsheet", "event-id", "quoted"],
)
def test_a_file_of_labels_is_read(tmp_path, text):
    path = tmp_path / "labels"
    path.write_text(text, "utf-8")
    assert labels.read_file(path) == [("a", "bicycle"), ("b", "neither")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,bicycle\nb\n", "line 2: expected `INFERENCE_ID,LABEL`, got 'b'"),
        (b'{"inferenceId": "a", "label": null}\n', "line 1: expected a JSON object with `inferenceId` and `label`"),
        (b'{"inferenceId": "a"}\n', "line 1: expected a JSON object with `inferenceId` and `label`"),
        (b"", "holds no labels"),
        (b"a,\xff\n", "is not UTF-8 text"),
    ],
    ids=["one-column", "null", "no-label", "empty", "latin-1"],
)
def test_a_file_that_is_no_labels_is_refused_with_its_line(tmp_path, content, said):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        labels.read_file(path)
