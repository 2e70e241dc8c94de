"""S3 objects put with aws:kms."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, "arn:aws:kms:us-east-1:000000000000:alias/aws/s3"),
        ({"SSEKMSKeyId": "alias/mine"}, "alias/mine"),
    ],
)
def test_an_object_with_kms_names_its_key_or_the_managed_one(cloud: Any, given: dict[str, str], key: str) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="encrypted")
    s3.put_object(Bucket="encrypted", Key="k", Body=b"x", ServerSideEncryption="aws:kms", **given)
    found = s3.get_object(Bucket="encrypted", Key="k")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"], found["Body"].read()) == ("aws:kms", key, b"x")
