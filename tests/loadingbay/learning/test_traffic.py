"""What monitoring wrote of the recent traffic: not there yet, or damaged."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from loadingbay.errors import WorkError
from loadingbay.learning import traffic
from loadingbay.learning.periods import KEY
from loadingbay.registry import versions
from loadingbay.target import Target
from pipelines import aws

STACK = {"BucketName": "data", "EndpointName": "bay"}


@pytest.fixture
def s3():
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        s3.create_bucket(Bucket="data")
        yield s3


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (None, "monitoring has not seen any answer yet"),
        (b'{"periods": []}', "monitoring has not seen any answer yet"),
        (b'{"periods": [1', "is damaged .JSONDecodeError"),
        (b"[]", "is damaged .TypeError"),
        (b"{}", "is damaged .KeyError"),
        (b"\xff", "is damaged .UnicodeDecodeError"),
    ],
)
def test_periods_that_are_missing_or_damaged_are_told_with_the_remedy(s3, body, says):
    if body is not None:
        s3.put_object(Bucket="data", Key=KEY, Body=body)
    with pytest.raises(WorkError, match=says):
        traffic.read(Target("aws", None, "us-east-1", clients={"s3": s3}), STACK)


EARLIER = datetime.now(UTC) - timedelta(hours=2)


@pytest.fixture
def stage(s3, monkeypatch):
    """A stage that has served version 2 for two hours; returns how to put a document into its bucket."""
    serves = "arn:aws:sagemaker:us-east-1:000000000000:model-package/bay/2"
    monkeypatch.setattr(versions, "endpoint", lambda *_: SimpleNamespace(serves=serves))
    monkeypatch.setattr(traffic, "_in_service_since", lambda *_: EARLIER)
    monkeypatch.setattr(traffic, "_version", lambda _, number: (int(number), {"bicycle": 0.8, "motorcycle": 0.8}))

    def put(key, document):
        s3.put_object(Bucket="data", Key=key, Body=json.dumps(document).encode())

    return put


def entry(minutes=60, source="known"):
    """The entry of a labelled photo that version 2 answered so many minutes after it came into service."""
    at = (EARLIER + timedelta(minutes=minutes)).isoformat()
    said = {"answer": "bicycle", "truth": "bicycle", "confidence": 0.9, "accepted": True}
    return {**said, "source": source, "inference_time": at}


def report(first):
    return {"count": 5, "first": first.strftime("%Y-%m-%dT%H:%M:%SZ"), "threshold": 0.8, "share_above": 0.6}


def read(s3):
    return traffic.read(Target("aws", None, "us-east-1", clients={"s3": s3}), STACK)


def test_what_was_monitored_by_hand_counts_before_the_schedule_has_looked(s3, stage):
    stage("labelled/entries/a.json", entry())
    stage("monitoring/loadingbay-monitor-1/monitoring.json", report(EARLIER + timedelta(minutes=1)))
    found = read(s3)
    assert (len(found.answers), found.version, found.share_accepted) == (1, 2, 0.6)


def test_what_was_monitored_by_hand_of_the_version_before_does_not_count(s3, stage):
    stage("labelled/entries/a.json", entry())
    stage("monitoring/loadingbay-monitor-1/monitoring.json", report(EARLIER - timedelta(minutes=1)))
    with pytest.raises(WorkError, match="not seen any answer of version 2 yet"):
        read(s3)


def test_periods_of_the_version_before_do_not_count(s3, stage):
    stage("labelled/entries/a.json", entry())
    old, own = (
        {"version": number, "threshold": 0.8, "share_above": share} for number, share in (("1", 0.1), ("2", 0.7))
    )
    stage(KEY, {"periods": [old]})
    with pytest.raises(WorkError, match="not seen any answer of version 2 yet"):
        read(s3)
    stage(KEY, {"periods": [own, old]})
    assert read(s3).share_accepted == 0.7


@pytest.mark.parametrize("labels_first", [True, False])
def test_labels_that_came_since_are_told(s3, stage, monkeypatch, labels_first):
    listed = aws.objects

    def objects(client, bucket, prefix):
        late = timedelta(minutes=labels_first if prefix == "labels/" else not labels_first)
        return [{**item, "LastModified": item["LastModified"] - late} for item in listed(client, bucket, prefix)]

    monkeypatch.setattr(aws, "objects", objects)
    stage("labels/2026/11/26/10/a.jsonl", {})
    stage("labelled/entries/a.json", entry())
    stage(KEY, {"periods": [{"version": "2", "threshold": 0.8, "share_above": 0.6}]})
    assert read(s3).newer is not labels_first


def test_corrections_alone_are_told(s3, stage):
    stage("labelled/entries/a.json", entry(source="correction"))
    stage(KEY, {"periods": [{"version": "2", "threshold": 0.8, "share_above": 0.6}]})
    with pytest.raises(WorkError, match="beside corrections, which say only that an answer was wrong: "):
        read(s3)


def test_without_a_label_it_is_told_whether_newer_ones_wait(s3, stage):
    stage(KEY, {"periods": [{"version": "2", "threshold": 0.8, "share_above": 0.6}]})
    with pytest.raises(WorkError, match="loadingbay review"):
        read(s3)
    stage("labels/2026/11/26/10/a.jsonl", {})
    with pytest.raises(WorkError, match=r"loadingbay monitor. reads them"):
        read(s3)
