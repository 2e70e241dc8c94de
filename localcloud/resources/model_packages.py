"""Model packages: versions in a group or single ones, their approval, and the events of their changes."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from localcloud.api import ApiError, operation, page, pick, refuse, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.resources import model_cards, model_package_groups
from localcloud.state.store import DuplicateError

KIND = "model-package"
# Members of an update that change another member of the package.
_CHANGES = {
    "CustomerMetadataPropertiesToRemove": "CustomerMetadataProperties",
    "AdditionalInferenceSpecificationsToAdd": "AdditionalInferenceSpecifications",
}
_MOST_PROPERTIES = 50
_MOST_SPECIFICATIONS = 15
_KEPT = (
    "ModelPackageGroupName",
    "ModelPackageDescription",
    "ModelPackageRegistrationType",
    "InferenceSpecification",
    "MetadataProperties",
    "ModelMetrics",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "CustomerMetadataProperties",
    "DriftCheckBaselines",
    "AdditionalInferenceSpecifications",
    "SkipModelValidation",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)


def find(cloud: Cloud, name_or_arn: str) -> dict[str, Any]:
    """A package by ARN, `group/version` or name; ValidationException in AWS's words if it is not there."""
    key = name_or_arn.partition(f":{KIND}/")[2] or name_or_arn
    package = cloud.store.get(KIND, key)
    if package is None or (":" in name_or_arn and package["ModelPackageArn"] != name_or_arn):
        arn = name_or_arn if ":" in name_or_arn else cloud.arn(KIND, name_or_arn)
        raise validation_error(f"ModelPackage {arn} does not exist.")
    return package


def check_request(request: dict[str, Any]) -> None:
    """ValidationException for a CreateModelPackage request that is refused whatever the registry holds."""
    refuse(
        request,
        "ValidationSpecification",
        "SourceAlgorithmSpecification",
        "SecurityConfig",
        "ManagedStorageType",
    )
    group_name, name = request.get("ModelPackageGroupName"), request.get("ModelPackageName")
    if group_name and name:
        raise validation_error("Both ModelPackageName and ModelPackageGroupName are provided in the input.")
    if not group_name and not name:
        raise validation_error("Missing ARN. Give a ModelPackageGroupName (a new version) or a ModelPackageName.")
    if group_name and request.get("Tags"):
        raise tags.untaggable_version()
    _check_card(request)


def _check_card(request: dict[str, Any]) -> None:
    """ValidationException unless the content of the package's own card, if it has one, is a JSON object."""
    if content := request.get("ModelCard", {}).get("ModelCardContent"):
        model_cards.check_content(content)


@operation("CreateModelPackage")
def create_model_package(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Register a package: the next version of a group, or a single one by name."""
    check_request(request)
    group_name, name = request.get("ModelPackageGroupName"), request.get("ModelPackageName")
    now = cloud.clock()
    document = {
        **pick(request, *_KEPT),
        "CreationTime": now,
        "CreatedBy": cloud.user(),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        # Not for versions, as AWS documents it.
        "CertifyForMarketplace": None if group_name else request.get("CertifyForMarketplace"),
        # SDK v3 gives a status to a single package too.
        "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval" if group_name else None),
        "_ClientToken": request.get("ClientToken"),
    }
    with cloud.store.transaction():
        if group_name:
            group = _group_of(cloud, group_name)
            again = _created_before(cloud, group, request.get("ClientToken"))
            if again is not None:
                return {"ModelPackageArn": again["ModelPackageArn"]}
            version = cloud.store.next_number(f"{KIND}/{group}")
            key = f"{group}/{version}"
            document.update(
                # A name that DescribeModelPackage takes again: SDK objects refresh themselves by it.
                ModelPackageName=key,
                ModelPackageGroupName=group,
                ModelPackageVersion=version,
                _Place=f"{group}/{version:09d}",
            )
        else:
            group, key = None, str(name)
            document.update(ModelPackageName=key, _Place=key)
        document["ModelPackageArn"] = cloud.arn(KIND, key)
        try:
            cloud.store.insert(KIND, key, document, parent=group)
        except DuplicateError:
            raise validation_error(f"Model Package already exists: {document['ModelPackageArn']}") from None
        if not group_name:
            tags.remember(cloud.store, document["ModelPackageArn"], request.get("Tags"))
    _tell(cloud, document)
    return {"ModelPackageArn": document["ModelPackageArn"]}


def _group_of(cloud: Cloud, name_or_arn: str) -> str:
    """The name of a group that a version is registered in."""
    try:
        return str(model_package_groups.find(cloud, name_or_arn)["ModelPackageGroupName"])
    except ApiError:
        raise validation_error(f"Model Package Group does not exist. There is no group {name_or_arn!r}.") from None


def _created_before(cloud: Cloud, group: str, token: str | None) -> dict[str, Any] | None:
    if token is None:
        return None
    made = cloud.store.having(KIND, "_ClientToken", (token,))
    return next((package for package in made if package.get("ModelPackageGroupName") == group), None)


@operation("DescribeModelPackage")
def describe_model_package(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a model package."""
    package = find(cloud, request["ModelPackageName"])
    card = package.get("ModelCard")
    if card and request.get("IncludedData") == "MetadataOnly":
        # Of a package's card only the risk rating is metadata.
        uses = json.loads(card.get("ModelCardContent") or "{}").get("intended_uses")
        rating = uses.get("risk_rating") if isinstance(uses, dict) else None
        card["ModelCardContent"] = json.dumps({"intended_uses": {"risk_rating": rating}} if rating else {})
    return package


@operation("ListModelPackages")
def list_model_packages(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List the versions of a group; without a group the packages that belong to none. ModelPackageType changes that."""
    if "ModelPackageGroupName" in request:
        group = model_package_groups.find(cloud, request["ModelPackageGroupName"])
        packages = cloud.store.select(KIND, group["ModelPackageGroupName"])
        kind = request.get("ModelPackageType", "Versioned")
    else:
        packages = cloud.store.select(KIND)
        kind = request.get("ModelPackageType", "Unversioned")
    status = request.get("ModelApprovalStatus")

    def chosen(package: dict[str, Any]) -> bool:
        of_kind = kind == "Both" or (kind == "Versioned") == ("ModelPackageVersion" in package)
        return of_kind and status in (None, package.get("ModelApprovalStatus"))

    return page(
        request,
        packages,
        member="ModelPackageSummaryList",
        summary=_summary,
        name="ModelPackageName",
        identity="ModelPackageName",
        sort={"Name": "_Place"},
        where=chosen,
    )


@operation("BatchDescribeModelPackage")
def batch_describe_model_package(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe up to 100 model packages at once; those that are not there are told of by their ARN."""
    summaries: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    for arn in request["ModelPackageArnList"]:
        try:
            package = find(cloud, arn)
            summaries[arn] = {**_summary(package), **pick(package, "InferenceSpecification")}
        except ApiError as error:
            errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
    return {"ModelPackageSummaries": summaries, "BatchDescribeModelPackageErrorMap": errors}


def _summary(package: dict[str, Any]) -> dict[str, Any]:
    """The members of a model package that ListModelPackages shows."""
    # A version has no name of its own: its ARN is what it is known by.
    name = () if "ModelPackageVersion" in package else ("ModelPackageName",)
    return pick(
        package,
        *name,
        "ModelPackageGroupName",
        "ModelPackageVersion",
        "ModelPackageArn",
        "ModelPackageDescription",
        "CreationTime",
        "ModelPackageStatus",
        "ModelApprovalStatus",
        "ModelLifeCycle",
        "ModelPackageRegistrationType",
    )


@operation("UpdateModelPackage")
def update_model_package(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Approve or reject a model package, and change its metadata."""
    _check_card(request)

    def change(package: dict[str, Any]) -> None:
        """Write the request's members into the stored package; a validation error beyond AWS's limits."""
        package.update(
            pick(
                request,
                "ModelApprovalStatus",
                "ApprovalDescription",
                "ModelPackageRegistrationType",
                "InferenceSpecification",
                "SourceUri",
                "ModelCard",
                "ModelLifeCycle",
            )
        )
        properties = package.get("CustomerMetadataProperties") or {}
        properties.update(request.get("CustomerMetadataProperties", {}))
        for name in request.get("CustomerMetadataPropertiesToRemove", []):
            properties.pop(name, None)
        if len(properties) > _MOST_PROPERTIES:
            raise validation_error(
                f"A model package can have {_MOST_PROPERTIES} CustomerMetadataProperties, not {len(properties)}."
            )
        package["CustomerMetadataProperties"] = properties or None
        added = package.get("AdditionalInferenceSpecifications") or []
        added += request.get("AdditionalInferenceSpecificationsToAdd", [])
        if len(added) > _MOST_SPECIFICATIONS:
            raise validation_error(
                f"A model package can have {_MOST_SPECIFICATIONS} AdditionalInferenceSpecifications, not {len(added)}."
            )
        package["AdditionalInferenceSpecifications"] = added or None
        package["LastModifiedTime"] = cloud.clock()
        package["LastModifiedBy"] = cloud.user()

    with cloud.store.transaction():
        key = find(cloud, request["ModelPackageArn"])["ModelPackageArn"].partition(f":{KIND}/")[2]
        package = cloud.store.update(KIND, key, change)
    # As on AWS every update is told, also one of metadata only, or an approval given again: that repeats a deployment.
    updated = {_CHANGES.get(name, name) for name in request} - {"ModelPackageArn", "ClientToken"}
    if updated:
        _tell(cloud, package, sorted(updated))
    return {"ModelPackageArn": package["ModelPackageArn"]}


@operation("DeleteModelPackage")
def delete_model_package(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete a model package. Its version number is not used again."""
    with cloud.store.transaction():
        package = find(cloud, request["ModelPackageName"])
        arn = package["ModelPackageArn"]
        cloud.store.delete(KIND, arn.partition(f":{KIND}/")[2])
        tags.forget(cloud.store, arn)


def _tell(cloud: Cloud, package: dict[str, Any], updated: Sequence[str] = ()) -> None:
    """The event of a version that was registered or updated; single packages have none.

    `updated` are the members that an update named. AWS tells them so too, though its pages do not list it.
    """
    if "ModelPackageVersion" not in package:
        return
    specification = package.get("InferenceSpecification", {})
    containers = [pick(c, "Image", "ImageDigest", "ModelDataUrl") for c in specification.get("Containers", [])]
    detail = {
        **pick(
            package,
            "ModelPackageGroupName",
            "ModelPackageVersion",
            "ModelPackageArn",
            "ModelPackageDescription",
            "ModelPackageStatus",
            "ModelApprovalStatus",
            "ApprovalDescription",
            "MetadataProperties",
            "ModelMetrics",
            "CustomerMetadataProperties",
            "ModelLifeCycle",
        ),
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CertifyForMarketplace": False,
        "CreationTime": _iso(package["CreationTime"]),
        "LastModifiedTime": _iso(package.get("LastModifiedTime", package["CreationTime"])),
        "CreatedBy": package["CreatedBy"],
        "LastModifiedBy": package.get("LastModifiedBy", package["CreatedBy"]),
    }
    if updated:
        detail["UpdatedModelPackageFields"] = list(updated)
    if specification:
        detail["InferenceSpecification"] = {
            "Containers": containers,
            **pick(specification, "SupportedContentTypes", "SupportedResponseMIMETypes"),
        }
    cloud.events.put("SageMaker Model Package State Change", [package["ModelPackageArn"]], detail)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
