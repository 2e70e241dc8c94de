"""The verification of the newest version on its trial endpoint: asks VerifyEndpoint, writes down the verdict."""

# An exception is named for its condition.
# ruff: noqa: N818

from __future__ import annotations

import json
import logging
import re
from typing import Any

from .actions import VerifyVersion
from .environment import Clients
from .reading import read_endpoint
from .state import Settings, trial_config_name

logger = logging.getLogger(__name__)

EVENT_SOURCE = "loadingbay"
EVENT_TYPE = "Loading Bay Version Verified"


class EndpointBusy(RuntimeError):
    """An endpoint changed, or is changing, so that the plan cannot be carried out: a new plan is needed."""


class NotVerified(RuntimeError):
    """The verification could not be made, which says nothing about the version: Lambda delivers the event again."""


def verify(action: VerifyVersion, settings: Settings, clients: Clients) -> bool:
    """Have the version verified, and write the verdict into the registry; False when the version was rejected.

    Two deliveries of one event may do so at the same time. The first one goes on and deletes the trial endpoint, and
    the second sees errors that are no fault of the version: its verdict counts only if the trial is as it was before.
    Raises EndpointBusy where it is not, and NotVerified where VerifyEndpoint itself failed.
    """
    before = read_endpoint(settings.trial_name, clients)
    answer = clients.functions.invoke(
        FunctionName=clients.verify_function,
        Payload=json.dumps({"evaluation": _evaluation(action.package_arn, clients)}).encode(),
    )
    verdict = json.loads(answer["Payload"].read())
    described = clients.sagemaker.describe_model_package(ModelPackageName=action.package_arn)
    number = described["ModelPackageVersion"]
    passed_as = described.get("CustomerMetadataProperties", {}).get("verified_as", "")
    if described["ModelApprovalStatus"] != "Approved" or passed_as == action.config_name:
        logger.info("Version %s was decided on while it was verified", number)
        return True
    after = read_endpoint(settings.trial_name, clients)
    expected = ("InService", trial_config_name(action.config_name))
    if after is None or after != before or (after.status, after.attempted) != expected:
        raise EndpointBusy(f"Endpoint {settings.trial_name} changed while version {number} was verified there.")
    if answer.get("FunctionError"):
        raise NotVerified(f"Version {number} could not be verified: {verdict.get('errorMessage', verdict)}")
    figures = {
        f"verification_{name}": f"{verdict[name]:g}"
        for name in ("photos", "accuracy", "milliseconds")
        if verdict.get(name) is not None
    }
    if not verdict["passed"]:
        reason = f"Version {number} was rolled back: {verdict['reason']}"
        logger.error(reason)
        reject(action.package_arn, reason, figures, clients)
        return False
    logger.info("Version %s passed: %s", number, verdict)
    # First the event, then the metadata: if the second fails the version is verified and announced once more, while in
    # the other order nobody would ever be told.
    _announce(described, settings, clients)
    metadata = {"verification": "passed", "verified_as": action.config_name, **figures}
    clients.sagemaker.update_model_package(ModelPackageArn=action.package_arn, CustomerMetadataProperties=metadata)
    return True


def reject(package_arn: str, reason: str, figures: dict[str, str], clients: Clients) -> None:
    """Withdraw the approval of a version, with the reason (cut to 1,024 characters) and the verification's figures."""
    clients.sagemaker.update_model_package(
        ModelPackageArn=package_arn,
        ModelApprovalStatus="Rejected",
        ApprovalDescription=" ".join(reason.split())[:1024],
        CustomerMetadataProperties={
            "verification": "failed",
            "verified_as": "none",
            "verification_reason": metadata_text(reason),
            **figures,
        },
    )


def metadata_text(text: str) -> str:
    """Text as SageMaker takes it for metadata: at most 256 letters, digits, spaces and a few signs."""
    return " ".join(re.sub(r"[^\w\s.:/=+\-@]", " ", text).split())[:256]


def _evaluation(package_arn: str, clients: Clients) -> str:
    """The S3 URI of the version's evaluation.json; "" where none was registered."""
    described = clients.sagemaker.describe_model_package(ModelPackageName=package_arn)
    statistics = described.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {})
    uri: str = statistics.get("S3Uri", "")
    return uri


def _announce(described: dict[str, Any], settings: Settings, clients: Clients) -> None:
    """Put an event on the default bus that the version passed: what promotes it to another stage listens for it."""
    detail = {
        "Stage": settings.endpoint_name,
        "ModelPackageArn": described["ModelPackageArn"],
        "ModelPackageVersion": described["ModelPackageVersion"],
    }
    answer = clients.events.put_events(
        Entries=[{"Source": EVENT_SOURCE, "DetailType": EVENT_TYPE, "Detail": json.dumps(detail)}]
    )
    if answer["FailedEntryCount"]:
        raise NotVerified(
            f"Version {described['ModelPackageVersion']} passed, but EventBridge did not take the event that says so: "
            f"{answer['Entries'][0].get('ErrorMessage', 'no reason given')}"
        )
