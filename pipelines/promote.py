"""Promotion of an approved version from one stage to another: the same artifact, image and figures, approved there.

The stages may be in two accounts. The artifact and the evaluation, with the photos that a deployment is verified with,
are copied into the other stage's bucket: its roles read no bucket but their own. A promotion may be repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from pipelines import aws

NEWEST = "newest"
"""In place of a version's ARN: the newest approved version."""

# Metadata that a stage writes about its own deployments of a version: not copied to the other stage.
_OF_THE_STAGE = ("verif", "approved_by", "promoted_")
_ORIGIN = "promoted_from"


class PromotionError(Exception):
    """The version cannot be promoted: it is missing, not approved, not verified, or was rejected in the other stage."""


@dataclass(frozen=True)
class Stage:
    """A stage as promotion sees it: its group of versions and its account, and boto3 clients that may work there.

    `group` is the group's name. The clients of the stage that is promoted from may be of another account: then that
    one's policies let them read (docs/cross-account.md).
    """

    group: str
    account: str
    sagemaker: Any
    s3: Any

    @property
    def group_arn(self) -> str:
        """The ARN of the group, by which requests from another account name it."""
        region = self.sagemaker.meta.region_name
        partition = self.sagemaker.meta.partition
        return f"arn:{partition}:sagemaker:{region}:{self.account}:model-package-group/{self.group}"


@dataclass(frozen=True)
class Promoted:
    """The version in the other stage with its image's address, and whether this promotion made it."""

    arn: str
    origin: str
    image: str
    new: bool


def promote(origin: Stage, goal: Stage, bucket: str, wanted: str = NEWEST) -> Promoted:
    """Register a version of the stage `origin` in the stage `goal`, as approved; its files go to `bucket` there.

    `wanted` is the version's ARN, or NEWEST for the newest approved one. A version that was promoted before is not
    registered again. Raises PromotionError.
    """
    if (origin.group, origin.account) == (goal.group, goal.account):
        raise PromotionError(f"the stage {goal.group} cannot be promoted to itself: name another with --stage")
    version = _approved(origin, wanted)
    arn = version["ModelPackageArn"]
    verified = version.get("CustomerMetadataProperties", {}).get("verification")
    if verified != "passed":
        raise PromotionError(
            f"{arn} is approved, but its verification in its own stage says {verified or 'nothing yet'}: wait until it "
            "serves there, `loadingbay status` shows it"
        )
    sagemaker = goal.sagemaker
    there = _promoted(goal, arn)
    if there is not None:
        return _again(sagemaker, there, arn, goal.group)
    place = f"promoted/{origin.account}/{origin.group}/{version['ModelPackageVersion']}"
    request = _request(version, bucket, place)
    for source, key in _objects(origin, version, place):
        _copy(origin, source, goal, bucket, key)
    made = sagemaker.create_model_package(
        ModelPackageGroupName=goal.group, ModelApprovalStatus="PendingManualApproval", **request
    )["ModelPackageArn"]
    # A second step, because only an update takes the reason. If it is cut off here, the next promotion does it.
    _approve(sagemaker, made, arn)
    return Promoted(made, arn, _image(version), new=True)


def _copy(origin: Stage, source: str, goal: Stage, bucket: str, key: str) -> None:
    """Copy the object at the S3 address `source` to `bucket`, read and written with the clients of the two stages."""
    where, name = aws.split_s3(source)
    body = origin.s3.get_object(Bucket=where, Key=name, ExpectedBucketOwner=origin.account)["Body"]
    goal.s3.upload_fileobj(body, bucket, key, ExtraArgs={"ExpectedBucketOwner": goal.account})


def _again(sagemaker: Any, there: Mapping[str, Any], arn: str, group: str) -> Promoted:
    """Return the earlier promotion of `arn`, approved anew where needed; PromotionError if it was rejected there."""
    if there["ModelApprovalStatus"] == "Rejected":
        said = there.get("ApprovalDescription") or "no reason given"
        raise PromotionError(
            f"{arn} was promoted to {group} before, as version {there['ModelPackageVersion']}, and rejected there: "
            f"{said}. Approve that version there if it is to serve after all"
        )
    if there["ModelApprovalStatus"] != "Approved":
        _approve(sagemaker, there["ModelPackageArn"], arn)
    return Promoted(there["ModelPackageArn"], arn, _image(there), new=False)


def _approve(sagemaker: Any, made: str, arn: str) -> None:
    sagemaker.update_model_package(
        ModelPackageArn=made, ModelApprovalStatus="Approved", ApprovalDescription=f"promoted from {arn}"
    )


def _approved(origin: Stage, wanted: str) -> dict[str, Any]:
    """Return the wanted version of the group. PromotionError if it is missing or not approved."""
    if wanted == NEWEST:
        for version in _versions(origin, ModelApprovalStatus="Approved"):
            return version
        raise PromotionError(f"no version of {origin.group} is approved: approve one there first")
    if f":{origin.account}:model-package/{origin.group}/" not in wanted:
        raise PromotionError(
            f"{wanted} is no version of {origin.group} in account {origin.account}: give the ARN of one, or `{NEWEST}`"
        )
    try:
        named: dict[str, Any] = origin.sagemaker.describe_model_package(ModelPackageName=wanted)
    except ClientError as error:
        if not aws.is_missing(error):
            raise
        raise PromotionError(f"there is no version {wanted}: it may have been deleted meanwhile") from error
    if named["ModelApprovalStatus"] != "Approved":
        raise PromotionError(
            f"{wanted} is {named['ModelApprovalStatus']}, not Approved, since the question was asked: "
            f"{named.get('ApprovalDescription') or 'no reason given'}"
        )
    return named


def _promoted(goal: Stage, arn: str) -> dict[str, Any] | None:
    """The newest version of the group that came from `arn`."""
    found = _versions(goal)
    return next((v for v in found if v.get("CustomerMetadataProperties", {}).get(_ORIGIN) == arn), None)


def _versions(stage: Stage, **wanted: str) -> Iterator[dict[str, Any]]:
    """The versions of a stage, newest first, as described."""
    newest_first = {"SortBy": "CreationTime", "SortOrder": "Descending", **wanted}
    found = aws.listed(
        stage.sagemaker,
        "list_model_packages",
        "ModelPackageSummaryList",
        ModelPackageGroupName=stage.group_arn,
        **newest_first,
    )
    try:
        for item in found:
            yield stage.sagemaker.describe_model_package(ModelPackageName=item["ModelPackageArn"])
    except ClientError as error:
        if not aws.is_missing(error):
            raise
        raise PromotionError(
            f"there is no model package group {stage.group} in account {stage.account}: deploy that stage first"
        ) from error


def _image(version: Mapping[str, Any]) -> str:
    return str(version["InferenceSpecification"]["Containers"][0]["Image"])


def _artifact(version: Mapping[str, Any]) -> str:
    return str(version["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])


def _evaluation(version: Mapping[str, Any]) -> str:
    """The folder that evaluation.json lies in, with a slash at its end; "" where none was registered."""
    uri: str = version.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {}).get("S3Uri", "")
    return uri[: uri.rfind("/") + 1]


def _objects(origin: Stage, version: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """Each object to copy: its address, and its key in the other bucket."""
    yield _artifact(version), f"{place}/model.tar.gz"
    folder = _evaluation(version)
    if folder:
        bucket, prefix = aws.split_s3(folder)
        for item in aws.objects(origin.s3, bucket, prefix, owner=origin.account):
            yield f"s3://{bucket}/{item['Key']}", f"{place}/evaluation/{item['Key'].removeprefix(prefix)}"


def _request(version: Mapping[str, Any], bucket: str, place: str) -> dict[str, Any]:
    """Return the CreateModelPackage request for the version, with its files' new addresses and its origin."""
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
