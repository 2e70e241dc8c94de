"""Objects of S3 as results and parameters of tasks."""

import json
from typing import Any

import pytest

from tests.localcloud.conftest import RunningCloud
from tests.localcloud.ministack.asl.conftest import Machines

GET = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:getObject"}
PUT = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:putObject"}


@pytest.fixture(scope="module")
def bucket(cloud: RunningCloud) -> str:
    cloud.client("s3").create_bucket(Bucket="asl-objects")
    return "asl-objects"


def test_an_object_is_read_as_text(cloud: RunningCloud, machines: Machines, bucket: str) -> None:
    cloud.client("s3").put_object(
        Bucket=bucket, Key="a/b é.txt", Body="é", ContentType="text/plain", Metadata={"own": "x"}
    )

    found = machines.output({**GET, "Parameters": {"Bucket": bucket, "Key.$": "$.key"}}, {"key": "a/b é.txt"})

    assert (found["Body"], found["ContentLength"], found["ContentType"]) == ("é", 2, "text/plain")
    assert (found["Metadata"], found["LastModified"][-1]) == ({"own": "x"}, "Z")


def test_an_object_beyond_the_limit_is_not_handed_on(cloud: RunningCloud, machines: Machines, bucket: str) -> None:
    for key, size in (("fits", 250_000), ("large", 262_145), ("huge", 20_000_000)):
        cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x" * size)
    state = {**GET, "Parameters": {"Bucket": bucket, "Key.$": "$.key"}}

    ended = [machines.run(state, {"key": key}) for key in ("fits", "large", "huge")]

    assert [one.get("error") for one in ended] == [None, "States.DataLimitExceeded", "States.DataLimitExceeded"]
    assert "The state/task 'aws-sdk:s3' returned a result" in ended[1]["cause"]


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"Bucket": "asl-objects", "Key": "gone"}, "S3.NoSuchKeyException"),
        ({"Bucket": "asl-no-bucket", "Key": "gone"}, "S3.NoSuchBucketException"),
        ({"Bucket": "asl-objects"}, "States.Runtime"),
        ({"Bucket": "asl-objects", "Key": "gone", "Own": 1}, "States.Runtime"),
    ],
)
def test_an_object_that_is_not_there_fails_by_name(
    machines: Machines, bucket: str, parameters: dict[str, Any], error: str
) -> None:
    assert machines.run({**GET, "Parameters": parameters})["error"] == error


def test_a_list_has_numbers_and_times(cloud: RunningCloud, machines: Machines, bucket: str) -> None:
    cloud.client("s3").put_object(Bucket=bucket, Key="listed/one", Body="abc")
    lists = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:listObjectsV2"}

    found = machines.output({**lists, "Parameters": {"Bucket": bucket, "Prefix": "listed/"}})

    [one] = found["Contents"]
    assert (found["KeyCount"], one["Size"], one["LastModified"][-1]) == (1, 3, "Z")


@pytest.mark.parametrize(("operation", "error"), [("headObject", "S3.NoSuchKeyException"), ("doIt", "States.Runtime")])
def test_an_operation_that_fails_has_a_name(machines: Machines, bucket: str, operation: str, error: str) -> None:
    state = {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:s3:{operation}"}

    assert machines.run({**state, "Parameters": {"Bucket": bucket, "Key": "gone"}})["error"] == error


def test_json_is_stored_as_text(cloud: RunningCloud, machines: Machines, bucket: str) -> None:
    state = {**PUT, "Parameters": {"Bucket": bucket, "Key": "made", "Body.$": "$"}}

    made = machines.output(state, {"a": [1, None]})

    stored = cloud.client("s3").get_object(Bucket=bucket, Key="made")
    assert json.loads(stored["Body"].read()) == {"a": [1, None]}
    assert made["ETag"] == stored["ETag"]
