"""Reads from SageMaker what a deployment is planned from: the approved model versions and the two endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from typing import Any

from botocore.exceptions import ClientError

from .environment import Clients
from .state import Current, Endpoint, Settings, Version, version_number
from .trigger import Trigger, is_shadow, shadow_share

ATTEMPTED = "loadingbay:attempted"
"""The tag of an endpoint that holds the configuration it was last told to take."""
RECORDED = "loadingbay:recorded"
"""The tag of an endpoint that holds the last entry of its history."""
SCALING = "loadingbay:scaling"
"""The tag of an endpoint that holds how it was last told to scale."""


def read_current(settings: Settings, clients: Clients, stored: bool = False) -> Current:
    """The approved versions of the group and the two endpoints, as SageMaker has them now; `stored`: the models too."""
    pages = clients.sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=settings.package_group, ModelApprovalStatus="Approved"
    )
    approved = {
        summary["ModelPackageVersion"]: Version(
            summary["ModelPackageArn"], summary["ModelPackageVersion"], int(summary["CreationTime"].timestamp())
        )
        for page in pages
        for summary in page["ModelPackageSummaryList"]
        if summary["ModelPackageStatus"] == "Completed"
    }
    if approved:
        newest = max(approved)
        approved[newest] = read_version(approved[newest].arn, clients)
    return Current(
        tuple(approved.values()),
        read_endpoint(settings.endpoint_name, clients),
        read_endpoint(settings.trial_name, clients),
        clients.now(),
        tuple(_stored(settings, clients)) if stored else (),
        _shadow(settings, clients),
    )


def _shadow(settings: Settings, clients: Clients) -> Version | None:
    """The newest version that is to be a shadow. The list names each version's stage, so one description is enough."""
    pages = clients.sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=settings.package_group, ModelApprovalStatus="PendingManualApproval"
    )
    wanted = {
        summary["ModelPackageVersion"]: summary["ModelPackageArn"]
        for page in pages
        for summary in page["ModelPackageSummaryList"]
        if summary["ModelPackageStatus"] == "Completed" and is_shadow(summary)
    }
    return read_version(wanted[max(wanted)], clients) if wanted else None


def _stored(settings: Settings, clients: Clients) -> Iterator[str]:
    """The models that this function made."""
    pages = clients.sagemaker.get_paginator("list_models").paginate(NameContains=settings.endpoint_name[:32])
    for page in pages:
        for model in page["Models"]:
            if version_number(model["ModelName"], settings):
                yield model["ModelName"]


def as_if_decided(trigger: Trigger, current: Current, clients: Clients) -> Current:
    """The state that would be, had the approval or rejection in the trigger of a dry run been given."""
    if not trigger.package_arn:
        return current
    others = tuple(version for version in current.approved if version.arn != trigger.package_arn)
    decided = (read_version(trigger.package_arn, clients),) if trigger.status == "Approved" else ()
    shadow = None if current.shadow and current.shadow.arn == trigger.package_arn else current.shadow
    if trigger.shadow is not None:
        shadow = replace(read_version(trigger.package_arn, clients), share=trigger.shadow)
    left = replace(current, approved=(*others, *decided), shadow=shadow)
    if left.newest is None or left.newest in decided:
        return left
    # Only the newest version was read in full, and without the rejected one that is another.
    newest = read_version(left.newest.arn, clients)
    return replace(left, approved=tuple(newest if each.arn == newest.arn else each for each in left.approved))


def read_version(arn: str, clients: Clients) -> Version:
    """A version with all that a plan may need of it."""
    described = clients.sagemaker.describe_model_package(ModelPackageName=arn)
    metadata = described.get("CustomerMetadataProperties", {})
    return Version(
        arn,
        described["ModelPackageVersion"],
        int(described["CreationTime"].timestamp()),
        passed_as=metadata.get("verified_as", ""),
        approved_by=metadata.get("approved_by", ""),
        decided_by=last_changed_by(described, clients),
        given_up=metadata.get("verification_given_up", ""),
        share=shadow_share(described),
        servable=bool(described.get("InferenceSpecification", {}).get("Containers")),
    )


def last_changed_by(described: dict[str, Any], clients: Clients) -> str:
    """The user or role that changed a version last; "" for this function, or where the registry names nobody."""
    user = described.get("LastModifiedBy", {})
    arn: str = user.get("IamIdentity", {}).get("Arn") or user.get("UserProfileName") or ""
    ours = clients.own_name and arn.endswith(f"/{clients.own_name}")
    return "" if ours else arn


def read_endpoint(name: str, clients: Clients) -> Endpoint | None:
    """An endpoint with its tags; None where there is none."""
    try:
        found = clients.sagemaker.describe_endpoint(EndpointName=name)
        # It may be deleted between the two calls.
        pages = list(clients.sagemaker.get_paginator("list_tags").paginate(ResourceArn=found["EndpointArn"]))
    except ClientError as error:
        if says(error, "could not find"):
            return None
        raise
    tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    return Endpoint(
        arn=found["EndpointArn"],
        status=found["EndpointStatus"],
        # An endpoint whose creation failed may be described without a configuration.
        config_name=found.get("EndpointConfigName", ""),
        attempted=tags.get(ATTEMPTED, ""),
        reason=found.get("FailureReason", ""),
        # In UTC wherever this runs: the history is sorted by these texts.
        since=found["LastModifiedTime"].astimezone(UTC).isoformat(timespec="milliseconds"),
        recorded=tags.get(RECORDED, ""),
        scaling=tags.get(SCALING, "none"),
    )


def says(error: ClientError, words: str) -> bool:
    """Whether the error's message holds these words (lower case): SageMaker has one code for many conditions."""
    return words in error.response["Error"].get("Message", "").lower()
