"""What commands on a person's machine, or in a build, need to know about AWS's answers.

"Is it missing?", S3 addresses, lists over all pages, the approved versions of a group, the names of the endpoint that
verifies and of a version's model card. Clients are arguments. The Lambdas have their own: they are deployed without
this package.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

# Each service has a word of its own. SageMaker and CloudFormation answer a describe of something that is not there, or
# a list of a group that is not there, with a validation error.
_MISSING = frozenset(
    {
        "404",
        "ImageNotFoundException",
        "NoSuchBucket",
        "NoSuchKey",
        "RepositoryNotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "ValidationError",
        "ValidationException",
    }
)


def is_missing(error: ClientError) -> bool:
    """Whether the error answers a request about something that does not exist, whichever service it comes from."""
    return error.response["Error"]["Code"] in _MISSING


def split_s3(uri: str) -> tuple[str, str]:
    """The bucket and the key of `s3://bucket/key`; the key may be empty. ValueError for any other text."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{uri}: must be an S3 address, s3://BUCKET/KEY")
    return bucket, key


def listed(client: Any, operation: str, member: str, **request: Any) -> Iterator[Any]:
    """The items of all pages: the list `member` of each answer to `operation`, a paginated method of the client."""
    for page in client.get_paginator(operation).paginate(**request):
        yield from page.get(member, [])


def objects(s3: Any, bucket: str, prefix: str, *, owner: str | None = None) -> Iterator[dict[str, Any]]:
    """The objects whose keys begin with `prefix`, in the order of their keys, as ListObjectsV2 describes them.

    `owner` is the account that the bucket must belong to, if given.
    """
    expected = {"ExpectedBucketOwner": owner} if owner else {}
    return listed(s3, "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix, **expected)


def exists(s3: Any, bucket: str, key: str, *, owner: str | None = None) -> bool:
    """Whether the object exists. Other errors than "not found" are raised, such as a bucket that is not `owner`'s."""
    try:
        s3.head_object(Bucket=bucket, Key=key, **({"ExpectedBucketOwner": owner} if owner else {}))
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def packages(sagemaker: Any, group: str, **wanted: Any) -> list[dict[str, Any]]:
    """The versions of a model package group as ListModelPackages sums them up, the highest number first.

    `wanted` are more members of the request, such as `ModelApprovalStatus="Approved"`. All pages are read: AWS cuts a
    page before it filters, so that the first may be empty. An empty list when there is no such group.
    """
    request = {
        "ModelPackageGroupName": group,
        "MaxResults": 100,
        **wanted,
    }  # a page has ten unless it is asked for more
    try:
        found = list(listed(sagemaker, "list_model_packages", "ModelPackageSummaryList", **request))
    except ClientError as error:
        if is_missing(error):
            return []
        raise
    return sorted(found, key=lambda item: int(item["ModelPackageVersion"]), reverse=True)


def approved_packages(sagemaker: Any, group: str) -> list[dict[str, Any]]:
    """The approved versions, the highest number first: the first belongs in service, the second comes after it."""
    return packages(sagemaker, group, ModelApprovalStatus="Approved")


SHADOW_STAGE = {"Stage": "Shadow", "StageStatus": "Approved"}
"""The stage of a version's life cycle with which DeployModel lets it get copies of the requests."""
SHADOW_VARIANT = "Shadow"
"""The variant that gets them; its captures lie in a folder of that name."""


def verification_endpoint(endpoint: str) -> str:
    """The name of the endpoint on which a version is verified before `endpoint` serves it."""
    return f"{endpoint}-verify"


def model_card(group: str, version: int) -> str:
    """The name of the model card of a version, which WriteModelCard keeps."""
    return f"{group}-v{version}"
