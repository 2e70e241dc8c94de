"""The deployment history: one object in S3 for each change of what the endpoint serves."""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.exceptions import ClientError

from .actions import RecordDeployment
from .environment import Clients
from .reading import RECORDED, last_changed_by, says
from .state import Settings


def record(action: RecordDeployment, settings: Settings, clients: Clients) -> None:
    """Write what the endpoint serves, since when, who approved it and its figures; then tag the endpoint with it.

    The object's name begins with the time, so a listing is in order; the same deployment always has the same name.
    """
    document = {
        "endpoint": settings.endpoint_name,
        "config": action.config_name,
        "since": action.since,
        **_version(action.version, action.endpoint_arn, settings, clients),
    }
    if action.shadow:
        document["shadow"] = _version(action.shadow, action.endpoint_arn, settings, clients)
    bucket, _, prefix = clients.history_uri.removeprefix("s3://").partition("/")
    when = re.sub(r"[^0-9T.]", "", action.since.partition("+")[0])
    clients.s3.put_object(
        Bucket=bucket,
        Key=f"{prefix}/{settings.endpoint_name}/{when}-{action.config_name}.json",
        Body=json.dumps(document, indent=2, sort_keys=True).encode(),
        ContentType="application/json",
    )
    entry = f"{action.config_name}@{action.since}"
    clients.sagemaker.add_tags(ResourceArn=action.endpoint_arn, Tags=[{"Key": RECORDED, "Value": entry}])


def _version(number: int, endpoint_arn: str, settings: Settings, clients: Clients) -> dict[str, Any]:
    """A version's part of the record; empty for a configuration that is not ours, or a version that was deleted."""
    if not number:
        return {}
    group = endpoint_arn.rsplit(":", 1)[0] + f":model-package/{settings.package_group}"
    try:
        described = clients.sagemaker.describe_model_package(ModelPackageName=f"{group}/{number}")
    except ClientError as error:
        if not says(error, "does not exist"):
            raise
        return {}
    metadata = described.get("CustomerMetadataProperties", {})
    return {
        "version": number,
        "model_package_arn": described["ModelPackageArn"],
        "approved_by": metadata.get("approved_by") or last_changed_by(described, clients),
        "comment": described.get("ApprovalDescription", ""),
        "metadata": metadata,
    }
