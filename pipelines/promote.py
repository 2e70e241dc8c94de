"""Promotion of an approved version from one stage to another: the same artifact, image and figures, approved there.

The artifact and the evaluation, with the photos that a deployment is verified with, are copied into the other stage's
bucket: its roles read no bucket but their own. Clients are arguments; a promotion may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

NEWEST = "newest"
"""In place of a version's ARN: the newest approved version."""

# Metadata that a stage writes about its own deployments of a version: not copied to the other stage.
_OF_THE_STAGE = ("verif", "approved_by", "promoted_")
_ORIGIN = "promoted_from"


class PromotionError(Exception):
    """The version cannot be promoted: it is missing, not approved, not verified, or was rejected in the other stage."""


@dataclass(frozen=True)
class Promoted:
    """The version in the other stage, and whether this promotion made it."""

    arn: str
    origin: str
    new: bool


def promote(
    sagemaker: Any, s3: Any, origin: Mapping[str, str], goal: Mapping[str, str], owner: str, wanted: str = NEWEST
) -> Promoted:
    """Register a version of the stack with outputs `origin` in the stack with outputs `goal`, as approved.

    `wanted` is the version's ARN, or NEWEST for the newest approved one; `owner` is the account of both stacks. A
    version that was promoted before is not registered again. Raises PromotionError.
    """
    group = goal["ModelPackageGroupName"]
    if group == origin["ModelPackageGroupName"]:
        raise PromotionError(f"the stage {group} cannot be promoted to itself: name another with --stage")
    version = _approved(sagemaker, origin["ModelPackageGroupName"], wanted)
    arn = version["ModelPackageArn"]
    verified = version.get("CustomerMetadataProperties", {}).get("verification")
    if verified != "passed":
        raise PromotionError(
            f"{arn} is approved, but its verification in its own stage says {verified or 'nothing yet'}: wait until it "
            "serves there, `loadingbay status` shows it"
        )
    there = _promoted(sagemaker, group, arn)
    if there is not None:
        return _again(sagemaker, there, arn, group)
    place = f"promoted/{origin['ModelPackageGroupName']}/{version['ModelPackageVersion']}"
    request = _request(version, goal["BucketName"], place)
    for source, key in _objects(s3, version, place):
        bucket, _, name = source.removeprefix("s3://").partition("/")
        s3.copy_object(
            Bucket=goal["BucketName"],
            Key=key,
            CopySource={"Bucket": bucket, "Key": name},
            ExpectedBucketOwner=owner,
            ExpectedSourceBucketOwner=owner,
        )
    made = sagemaker.create_model_package(
        ModelPackageGroupName=group, ModelApprovalStatus="PendingManualApproval", **request
    )["ModelPackageArn"]
    # A second step, because only an update takes the reason. If it is cut off here, the next promotion does it.
    _approve(sagemaker, made, arn)
    return Promoted(made, arn, new=True)


def _again(sagemaker: Any, there: Mapping[str, Any], arn: str, group: str) -> Promoted:
    if there["ModelApprovalStatus"] == "Rejected":
        said = there.get("ApprovalDescription") or "no reason given"
        raise PromotionError(
            f"{arn} was promoted to {group} before, as version {there['ModelPackageVersion']}, and rejected there: "
            f"{said}. Approve that version there if it is to serve after all"
        )
    if there["ModelApprovalStatus"] != "Approved":
        _approve(sagemaker, there["ModelPackageArn"], arn)
    return Promoted(there["ModelPackageArn"], arn, new=False)


def _approve(sagemaker: Any, made: str, arn: str) -> None:
    sagemaker.update_model_package(
        ModelPackageArn=made, ModelApprovalStatus="Approved", ApprovalDescription=f"promoted from {arn}"
    )


def _approved(sagemaker: Any, group: str, wanted: str) -> dict[str, Any]:
    """The wanted version of the group, which is approved."""
    if wanted == NEWEST:
        for version in _versions(sagemaker, group, ModelApprovalStatus="Approved"):
            return version
        raise PromotionError(f"no version of {group} is approved: approve one there first")
    if f":model-package/{group}/" not in wanted:
        raise PromotionError(f"{wanted} is no version of {group}: give the ARN of one, or `{NEWEST}`")
    try:
        named: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=wanted)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
            raise
        raise PromotionError(f"there is no version {wanted}: it may have been deleted meanwhile") from error
    if named["ModelApprovalStatus"] != "Approved":
        raise PromotionError(
            f"{wanted} is {named['ModelApprovalStatus']}, not Approved, since the question was asked: "
            f"{named.get('ApprovalDescription') or 'no reason given'}"
        )
    return named


def _promoted(sagemaker: Any, group: str, arn: str) -> dict[str, Any] | None:
    """The newest version of the group that came from `arn`."""
    found = _versions(sagemaker, group)
    return next((v for v in found if v.get("CustomerMetadataProperties", {}).get(_ORIGIN) == arn), None)


def _versions(sagemaker: Any, group: str, **wanted: str) -> Iterator[dict[str, Any]]:
    """The versions of a group, newest first, as described."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending", **wanted
    )
    try:
        for page in pages:
            for item in page["ModelPackageSummaryList"]:
                yield sagemaker.describe_model_package(ModelPackageName=item["ModelPackageArn"])
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
            raise
        raise PromotionError(f"there is no model package group {group}: deploy that stage first") from error


def _artifact(version: Mapping[str, Any]) -> str:
    return str(version["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])


def _evaluation(version: Mapping[str, Any]) -> str:
    """The folder that evaluation.json lies in, with a slash at its end; "" where none was registered."""
    uri: str = version.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {}).get("S3Uri", "")
    return uri[: uri.rfind("/") + 1]


def _objects(s3: Any, version: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """Each object to copy: its address, and its key in the other bucket."""
    yield _artifact(version), f"{place}/model.tar.gz"
    folder = _evaluation(version)
    if folder:
        bucket, _, prefix = folder.removeprefix("s3://").partition("/")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                yield f"s3://{bucket}/{item['Key']}", f"{place}/evaluation/{item['Key'].removeprefix(prefix)}"


def _request(version: Mapping[str, Any], bucket: str, place: str) -> dict[str, Any]:
    """What CreateModelPackage is asked: the version with its files at their new place, and where it came from."""
    specification = version["InferenceSpecification"]
    container = {**specification["Containers"][0], "ModelDataUrl": f"s3://{bucket}/{place}/model.tar.gz"}
    container.pop("ModelDataETag", None)  # of the object that was copied
    metadata = {
        name: value
        for name, value in version.get("CustomerMetadataProperties", {}).items()
        if not name.startswith(_OF_THE_STAGE)
    }
    request: dict[str, Any] = {
        "InferenceSpecification": {**specification, "Containers": [container]},
        "CustomerMetadataProperties": {**metadata, _ORIGIN: version["ModelPackageArn"]},
        "ModelPackageDescription": f"Version {version['ModelPackageVersion']} of {version['ModelPackageGroupName']}.",
    }
    evaluation = _evaluation(version)
    for member in ("ModelMetrics", "DriftCheckBaselines"):
        moved = _moved(version.get(member, {}), evaluation, f"s3://{bucket}/{place}/evaluation/")
        if moved:
            request[member] = moved
    return request


def _moved(said: Mapping[str, Any], evaluation: str, place: str) -> dict[str, dict[str, Any]]:
    """ModelMetrics or DriftCheckBaselines with what lies in the folder `evaluation` at its new place, and no more."""
    found: dict[str, dict[str, Any]] = {}
    for kind, sources in said.items():
        for name, source in sources.items():
            if evaluation and source.get("S3Uri", "").startswith(evaluation):
                kept = {key: value for key, value in source.items() if key != "ContentDigest"}
                kept["S3Uri"] = place + source["S3Uri"].removeprefix(evaluation)
                found.setdefault(kind, {})[name] = kept
    return found
