"""What monitoring wrote of the recent traffic: not there yet, or damaged."""

import boto3
import pytest
from moto import mock_aws

from loadingbay.errors import WorkError
from loadingbay.learning import traffic
from loadingbay.learning.periods import KEY
from loadingbay.target import Target

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
