"""Lets a version serve as a shadow: it gets copies of the live requests, and its answers go to nobody.

The wish is the version's stage in SageMaker's model life cycle, `Shadow` and `Approved`, while its approval to serve
is pending; DeployModel acts on the event. Approving the version to serve (promotion) or rejecting it ends the shadow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from loadingbay.errors import UsageError, WorkError
from loadingbay.registry import plan as deployments
from loadingbay.registry import versions as registry
from loadingbay.registry.versions import Version
from loadingbay.target import Target
from pipelines import aws


def check(target: Target, endpoint: str, version: Version) -> None:
    """Raise UsageError where the version cannot be a shadow: what serves, or runs as one, does not allow it."""
    now = registry.endpoint(target, endpoint)
    if now is None or not now.serves:
        raise UsageError(
            f"nothing is in service, so there are no requests to copy: `loadingbay approve {version.number}` deploys"
        )
    live = registry.registered(target, now.serves)
    if live is None:
        number = registry.number(now.serves)
        raise UsageError(f"version {number}, which serves, was deleted from the registry: `loadingbay approve` another")
    belongs = registry.due(target)
    if version.arn in {live.arn, belongs.arn if belongs else ""}:
        raise UsageError(f"version {version.number} is the one in service, or on its way there: it has no shadow to be")
    classes = [one.metadata.get("classes", "") for one in (live, version)]
    if classes[0] != classes[1]:
        raise UsageError(
            f"version {version.number} tells apart {classes[1] or 'unknown classes'}, and version {live.number} in "
            f"service {classes[0] or 'unknown classes'}: their answers cannot be compared"
        )
    config = target.client("sagemaker").describe_endpoint_config(EndpointConfigName=now.config)
    if any("ServerlessConfig" in variant for variant in config["ProductionVariants"]):
        raise UsageError(f"the endpoint {endpoint} is serverless: SageMaker has no shadow variants for those")
    other = running(target)
    if other is not None and other.arn != version.arn:
        raise UsageError(
            f"version {other.number} is the shadow already, and SageMaker allows one: "
            f"`loadingbay reject {other.number}` ends it, `loadingbay approve {other.number}` puts it into service"
        )


def running(target: Target) -> Version | None:
    """The version that is to be the shadow: the newest with that stage; None where there is none."""
    pending = aws.packages(target.client("sagemaker"), target.stage, ModelApprovalStatus="PendingManualApproval")
    for package in pending:
        if aws.SHADOW_STAGE.items() <= (package.get("ModelLifeCycle") or {}).items():
            return registry.get(target, package["ModelPackageArn"])
    return None


def start(target: Target, version: Version, *, share: float, comment: str) -> None:
    """Record that the version is to get copies of this share (above 0, at most 1) of the requests."""
    registry.check_comment(comment)
    target.client("sagemaker").update_model_package(
        ModelPackageArn=version.arn,
        ModelApprovalStatus="PendingManualApproval",
        ModelLifeCycle={**aws.SHADOW_STAGE, "StageDescription": comment},
        CustomerMetadataProperties={"shadow_share": f"{share:g}"},
    )


def plan(target: Target, endpoint: str, version: Version, share: float) -> dict[str, Any]:
    """DeployModel's plan as it would be with the version as the shadow. Raises WorkError when we may not ask for it."""
    detail = {
        "ModelPackageArn": version.arn,
        "ModelApprovalStatus": "PendingManualApproval",
        "ModelLifeCycle": aws.SHADOW_STAGE,
        "CustomerMetadataProperties": {"shadow_share": f"{share:g}"},
    }
    return deployments.required(deployments.ask(target, endpoint, detail), endpoint)


def wait(target: Target, endpoint: str, version: Version, waiting: Callable[[str], None] = lambda _: None) -> None:
    """Wait until the version is the shadow. Raises WorkError with the reason where it is refused, or takes too long."""
    deadline = time.monotonic() + (120 if target.local else 2700)
    while time.monotonic() < deadline:
        now = registry.endpoint(target, endpoint)
        if now is not None and now.status == "InService" and now.shadow == version.arn:
            return
        seen = registry.get(target, version.arn)
        if seen.shadow != "Approved":
            raise WorkError(f"version {version.number} is no shadow: {seen.shadow_comment or 'its stage was changed'}")
        waiting(now.status if now else "waiting for the event")
        time.sleep(target.interval)
    raise WorkError(f"version {version.number} is no shadow yet: `loadingbay logs deploy_model` shows what was done")
