"""Reads and writes S3 objects, and finds the version in service and what was measured of it."""

# An exception is named for its condition.
# ruff: noqa: N818

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

_ABSENT = {"NoSuchKey", "404"}
_MAX_BYTES = 8 << 20
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class NotReadable(RuntimeError):
    """What a job wrote for this function is not there, or has another form."""


@dataclass(frozen=True)
class Clients:
    """The boto3 clients; the stage's endpoint (also its group of versions), bucket, alarm topic and review queue's URL.

    A photo should not wait for a person for more than `most_review_hours`.
    """

    s3: Any
    sagemaker: Any
    sns: Any
    sqs: Any
    cloudwatch: Any
    endpoint: str
    bucket: str
    topic: str
    review_queue: str
    most_review_hours: float


@dataclass(frozen=True)
class Serving:
    """What the endpoint serves: its production variants, since when, and the version's number and evaluation.

    `since` is when the version came into service: earlier answers are another version's. `evaluation` is the
    key of the folder with the version's evaluation.json and statistics.json, "" when none was registered.
    """

    variants: tuple[str, ...]
    since: datetime
    version: str
    evaluation: str


def serving(clients: Clients) -> Serving | None:
    """What the endpoint serves; None when there is no endpoint."""
    try:
        described = clients.sagemaker.describe_endpoint(EndpointName=clients.endpoint)
        name = described["EndpointConfigName"]
        config = clients.sagemaker.describe_endpoint_config(EndpointConfigName=name)
        if config.get("ShadowProductionVariants"):
            # The version served before it got a shadow: DeployModel names that configuration as it names the model.
            name = config["ProductionVariants"][0]["ModelName"]
            config = clients.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    except ClientError as error:
        if "Could not find" in error.response["Error"].get("Message", ""):
            return None
        raise
    # The endpoint is brought to the newest approved version: that is the one in service.
    found = clients.sagemaker.list_model_packages(
        ModelPackageGroupName=clients.endpoint,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=1,
    )["ModelPackageSummaryList"]
    version, evaluation = "", ""
    if found:
        package = clients.sagemaker.describe_model_package(ModelPackageName=found[0]["ModelPackageArn"])
        version, evaluation = str(package["ModelPackageVersion"]), _baseline(package, clients.bucket)
    return Serving(
        tuple(variant["VariantName"] for variant in config["ProductionVariants"]),
        max(config["CreationTime"], _taken_up(clients, name)),
        version,
        evaluation,
    )


def _taken_up(clients: Clients, config: str) -> datetime:
    """When the version of this configuration came into service last, by DeployModel's records; long ago without any.

    Their names, `deployments/<endpoint>/20261122T200001.000-<configuration>.json`, are in the order of time. Where an
    earlier version came back, its configuration is older than the answers of the one between.
    """
    since = _LONG_AGO
    version, _, _ = config.rpartition("-")
    for key in keys(clients, f"deployments/{clients.endpoint}/"):
        when, _, recorded = key.rsplit("/", 1)[-1].partition("-")
        if not recorded.startswith(f"{version}-"):
            since = _LONG_AGO
        elif since == _LONG_AGO:
            since = datetime.strptime(when, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    return since


def _baseline(package: Mapping[str, Any], bucket: str) -> str:
    """The key of the folder of the statistics that the version is to be compared with, in this stage's bucket."""
    for member in ("DriftCheckBaselines", "ModelMetrics"):
        for kind in ("ModelDataQuality", "ModelQuality"):
            uri = package.get(member, {}).get(kind, {}).get("Statistics", {}).get("S3Uri", "")
            if uri.startswith(f"s3://{bucket}/"):
                return str(uri.removeprefix(f"s3://{bucket}/").rpartition("/")[0])
    return ""


def keys(clients: Clients, prefix: str, delimiter: str = "") -> Iterator[str]:
    """The keys below a prefix, in S3's order, without those that stand for folders."""
    more: dict[str, str] = {"Delimiter": delimiter} if delimiter else {}
    while True:
        page = clients.s3.list_objects_v2(Bucket=clients.bucket, Prefix=prefix, **more)
        yield from (item["Key"] for item in page.get("Contents", []) if not item["Key"].endswith("/"))
        if not page.get("IsTruncated"):
            return
        more["ContinuationToken"] = page["NextContinuationToken"]


def document(clients: Clients, key: str) -> dict[str, Any] | None:
    """A JSON object of the bucket, None when there is none. Raises NotReadable when it is something else."""
    found = _json(clients, key)
    if found is not None and not isinstance(found, dict):
        raise NotReadable(f"s3://{clients.bucket}/{key} holds no JSON object")
    return found


def listed(clients: Clients, key: str) -> list[dict[str, Any]]:
    """A JSON list of objects of the bucket, empty when there is none. Raises NotReadable when it is something else."""
    found = _json(clients, key)
    if found is not None and not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise NotReadable(f"s3://{clients.bucket}/{key} holds no JSON list of objects")
    return found or []


def _json(clients: Clients, key: str) -> Any:
    """Return the JSON value of an object of the bucket, None when there is none; NotReadable when it is no JSON."""
    try:
        body = clients.s3.get_object(Bucket=clients.bucket, Key=key)["Body"].read(_MAX_BYTES + 1)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotReadable(f"s3://{clients.bucket}/{key} is not JSON: {error}") from error


def write(clients: Clients, key: str, content: Any) -> None:
    """Writes a value as a JSON object."""
    body = json.dumps(content, indent=1, sort_keys=True).encode()
    clients.s3.put_object(Bucket=clients.bucket, Key=key, Body=body, ContentType="application/json")
