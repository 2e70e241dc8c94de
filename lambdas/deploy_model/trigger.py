"""What made DeployModel run, parsed from the event that Lambda handed over. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The events that the template's rules deliver, by their detail-type; OTHER is an invocation by hand."""

    PACKAGE = "SageMaker Model Package State Change"
    ENDPOINT = "SageMaker Endpoint State Change"
    SCHEDULE = "Scheduled Event"
    OTHER = ""


@dataclass(frozen=True)
class Trigger:
    """An event, as far as a plan depends on it.

    `package_arn` is the version that a package event is about, and `status` its approval status there. `approval` is
    true when the update set the status to Approved, and false when it changed metadata only: SageMaker sends its event
    for both. `shadow` is the share of the requests, from 0 to 1, of which the version is to get copies; None where it
    is not to be a shadow.
    """

    kind: Kind = Kind.OTHER
    package_arn: str = ""
    status: str = ""
    approval: bool = False
    shadow: float | None = None

    def approves(self, package_arn: str) -> bool:
        """Whether the event says that somebody approved this version, for the first time or anew."""
        return self.approval and self.package_arn == package_arn


def parse(event: Mapping[str, Any]) -> Trigger:
    """The trigger in an EventBridge event, or in the `detail` of a dry run; unknown events give kind OTHER.

    SageMaker lists in `UpdatedModelPackageFields` what an update changed; without the list the status counts as set.
    """
    detail = event.get("detail") or {}
    said = event.get("detail-type")
    kind = next((known for known in Kind if known.value == said), Kind.OTHER)
    updated = detail.get("UpdatedModelPackageFields") or ["ModelApprovalStatus"]
    status = detail.get("ModelApprovalStatus", "")
    return Trigger(
        kind=kind,
        package_arn=detail.get("ModelPackageArn", ""),
        status=status,
        approval=kind is Kind.PACKAGE and status == "Approved" and "ModelApprovalStatus" in updated,
        shadow=shadow_share(detail) if is_shadow(detail) else None,
    )


SHADOW = {"Stage": "Shadow", "StageStatus": "Approved"}
"""The stage in a version's life cycle that makes it a shadow, while its approval to serve is pending."""


def is_shadow(package: Mapping[str, Any]) -> bool:
    """Whether a version is to get copies of the requests: a summary, a description or an event's detail of it."""
    stage = package.get("ModelLifeCycle") or {}
    return package.get("ModelApprovalStatus") == "PendingManualApproval" and SHADOW.items() <= stage.items()


def shadow_share(package: Mapping[str, Any]) -> float:
    """The share of the requests of which a shadow gets copies: 1, unless its metadata `shadow_share` says otherwise."""
    try:
        share = float(package["CustomerMetadataProperties"]["shadow_share"])
    except (KeyError, TypeError, ValueError):
        return 1.0
    return share if 0 < share <= 1 else 1.0
