"""Asks the function DeployModel for a dry run: what it would do now, or after a decision about a version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import WorkError
from loadingbay.target import Target

ENDPOINT_EVENT = "SageMaker Endpoint State Change"
PACKAGE_EVENT = "SageMaker Model Package State Change"
_REFUSED = frozenset({"AccessDeniedException", "AccessDenied"})


def plan(target: Target, endpoint: str, arn: str = "", approval: str = "") -> dict[str, Any] | None:
    """DeployModel's plan, as it is or as it would be with a version (by its ARN) Approved or Rejected.

    `{"outcome", "because", "actions", "course"}`; the course is every plan that follows if all goes well. None when
    we may not ask. Raises WorkError with its reason when the function fails.
    """
    return ask(target, endpoint, {"ModelPackageArn": arn, "ModelApprovalStatus": approval} if arn else {})


def ask(target: Target, endpoint: str, detail: Mapping[str, Any]) -> dict[str, Any] | None:
    """DeployModel's plan after an event of a version with this detail, or of the endpoint if it is empty; as `plan`."""
    event = {"dry_run": True, "detail-type": PACKAGE_EVENT if detail else ENDPOINT_EVENT, "detail": detail}
    try:
        answer = target.client("lambda").invoke(
            FunctionName=f"{endpoint}-deploy-model", Payload=json.dumps(event).encode()
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in _REFUSED:
            return None
        raise
    document: dict[str, Any] = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise WorkError(f"the deployment cannot be planned: {document.get('errorMessage', document)}")
    return document


def decision(target: Target, endpoint: str, arn: str, *, approve: bool) -> dict[str, Any]:
    """The plan as it would be with this version approved or rejected. Raises WorkError when we may not ask for it."""
    return required(plan(target, endpoint, arn, "Approved" if approve else "Rejected"), endpoint)


def required(found: dict[str, Any] | None, endpoint: str) -> dict[str, Any]:
    """The plan. Raises WorkError where there is none, because we may not ask."""
    if found is None:
        raise WorkError(f"the plan is made by the function {endpoint}-deploy-model, which you may not invoke")
    return found


def details(action: Mapping[str, Any]) -> str:
    """What an action of a plan is about: `name=value` of each of its members that says something."""
    return " ".join(f"{key}={value}" for key, value in action.items() if key != "action" and value not in ("", False))
