"""The review queue: nothing lost, nothing shown to two people at once."""

import json
from datetime import UTC, datetime

import pytest
from moto import mock_aws

from loadingbay.learning import review
from loadingbay.learning.review import Item, NotReadableError, Queue

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)


@pytest.fixture
def queue():
    import boto3

    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="data")
        sqs = boto3.client("sqs", region_name="us-east-1")
        dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
        url = sqs.create_queue(QueueName="review", Attributes={"RedrivePolicy": redrive})["QueueUrl"]
        yield Queue(sqs, s3, url, "data")


def _wait_for_a_person(queue, inference_id, *, photo=True):
    """Put a photo into the review queue; without `photo` its object is missing in S3."""
    key = f"photos/{inference_id}.png"
    if photo:
        queue.s3.put_object(Bucket="data", Key=key, Body=inference_id.encode())
    body = {
        "inference_id": inference_id,
        "execution": "arn",
        "photo": {"bucket": "data", "key": key},
        "prediction": {"label": "bicycle", "confidence": 0.6, "threshold": 0.8},
    }
    queue.sqs.send_message(QueueUrl=queue.url, MessageBody=json.dumps(body))


def _labels(queue):
    keys = [item["Key"] for item in queue.s3.list_objects_v2(Bucket="data", Prefix="labels/").get("Contents", [])]
    lines = [queue.s3.get_object(Bucket="data", Key=key)["Body"].read() for key in keys]
    return {json.loads(one)["eventMetadata"]["eventId"]: json.loads(one)["groundTruthData"]["data"] for one in lines}


def test_a_labelled_photo_leaves_the_queue(queue):
    _wait_for_a_person(queue, "a")
    queue.label(next(queue.take()), "motorcycle", "ada", NOW)
    assert (_labels(queue), queue.waiting()) == ({"a": "motorcycle"}, 0)


def test_two_reviewers_never_hold_the_same_photo(queue):
    for name in "abc":
        _wait_for_a_person(queue, name)
    first, second = queue.take(), queue.take()
    assert {next(first).inference_id, next(second).inference_id, next(first).inference_id} == {"a", "b", "c"}


def test_a_photo_stays_in_the_queue_when_its_label_cannot_be_stored(queue):
    _wait_for_a_person(queue, "a")
    item = next(queue.take())
    queue.s3.delete_object(Bucket="data", Key="photos/a.png")
    queue.s3.delete_bucket(Bucket="data")
    with pytest.raises(queue.s3.exceptions.ClientError):
        queue.label(item, "bicycle", "ada", NOW)
    queue.give_back(item)
    assert queue.waiting() == 1


def test_a_photo_skipped_many_times_is_not_set_aside(queue):
    _wait_for_a_person(queue, "a")
    for _ in range(8):
        queue.skip(next(queue.take()))
    assert queue.waiting() == 1


def test_a_deleted_photo_that_is_skipped_leaves_the_queue(queue):
    _wait_for_a_person(queue, "a", photo=False)
    queue.skip(next(queue.take()))
    assert next(queue.take(), None) is None


def test_a_photo_given_back_is_there_for_the_next_reviewer(queue):
    _wait_for_a_person(queue, "a")
    queue.give_back(next(queue.take()))
    assert next(queue.take()).inference_id == "a"


def test_a_photo_given_back_many_times_is_not_set_aside(queue):
    _wait_for_a_person(queue, "a")
    for _ in range(12):
        queue.give_back(next(queue.take()))
    assert (queue.waiting(), next(queue.take()).inference_id) == (1, "a")


def test_a_deleted_photo_can_still_be_decided_about(queue):
    _wait_for_a_person(queue, "a", photo=False)
    assert queue.photo(next(queue.take())) is None


@pytest.mark.parametrize("bucket", ["gone", "no bucket's name"])
def test_a_photo_whose_bucket_is_gone_is_a_deleted_one(queue, bucket):
    assert queue.photo(Item("a", {"bucket": bucket, "key": "p.png", "version_id": None}, {}, "", "", "")) is None


def test_a_file_larger_than_a_photo_is_not_read(queue, monkeypatch):
    _wait_for_a_person(queue, "large")
    monkeypatch.setattr(review, "MAXIMUM_BYTES", 3)
    (item,) = queue.take()
    assert queue.photo(item) == b""


def test_the_photo_is_the_version_that_was_classified(queue):
    queue.s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Enabled"})
    first = queue.s3.put_object(Bucket="data", Key="p.png", Body=b"first")["VersionId"]
    queue.s3.put_object(Bucket="data", Key="p.png", Body=b"second")
    item = Item("a", {"bucket": "data", "key": "p.png", "version_id": first}, {}, "", "", "")
    assert queue.photo(item) == b"first"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"photo": 1}',
        '{"inference_id": "a", "photo": {}, "prediction": {}}',
        '{"inference_id": "a", "photo": {"bucket": "data", "key": "\\ud800"}, "prediction": {}}',
        '{"inference_id": ["a"], "photo": {"bucket": "data", "key": "a"}, "prediction": {}}',
        '{"inference_id": "a", "photo": {"bucket": "data", "key": "a"}, "prediction": {"confidence": null}}',
    ],
)
def test_a_message_of_something_else_is_named_and_left(queue, body):
    queue.sqs.send_message(QueueUrl=queue.url, MessageBody=body or " ")
    found = next(queue.take())
    assert isinstance(found, NotReadableError)
    assert "is not one of the state machine's" in str(found)
