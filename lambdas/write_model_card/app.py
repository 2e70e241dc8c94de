"""The handler of WriteModelCard, `write_model_card.app.handler`: a registry event in, the version's model card written.

A card is written from what the registry says at that moment, so that events may come late, twice or in any order.
"""

# An exception is named for its condition.
# ruff: noqa: N818

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from .content import STATUS, Content, describe, merged

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logging.basicConfig(level=logging.INFO)  # without effect in Lambda, whose runtime has set a handler
logging.getLogger("botocore").setLevel(logging.WARNING)
logger = logging.getLogger(__name__)

_ROUNDS = 8
_MAX_EVALUATION_BYTES = 8 << 20
_ABSENT = {"NoSuchKey", "NoSuchBucket", "404"}


class StillChanging(RuntimeError):
    """The version, or its card, was changed by others again and again: Lambda delivers the event once more."""


@dataclass(frozen=True)
class Clients:
    """The boto3 clients, and the KMS key that encrypts new cards, "" for AWS's own."""

    sagemaker: Any
    s3: Any
    key: str = ""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """An event of a model package in; the card's name, and how often it was written, out."""
    clients = Clients(*_boto3_clients(), os.environ.get("KMS_KEY_ARN", ""))
    return write(event["detail"]["ModelPackageArn"], clients)


def write(package_arn: str, clients: Clients) -> dict[str, Any]:
    """Write the card of a version until it says what the registry says.

    It is read once more after each writing: of two deliveries at the same time the one that writes last may have read
    first. A card that a person archived stays, as does that of a version that is gone. Raises StillChanging.
    """
    name = card_name(package_arn)
    for written in range(_ROUNDS):
        version = _version(package_arn, clients)
        card = _card(name, clients)
        if version is None or (card and card["ModelCardStatus"] == "Archived"):
            logger.info("Nothing to write: %s is archived, or its version is gone", name)
            return {"card": name, "written": written}
        said = json.loads(card["Content"]) if card else {}
        content = merged(describe(version, _evaluation(version, clients)), said)
        status = STATUS[version["ModelApprovalStatus"]]
        if card is None:
            _create(name, content, status, clients)
        elif said != content:
            # SageMaker takes content and status in two calls only; the next round sees to the other.
            clients.sagemaker.update_model_card(ModelCardName=name, Content=json.dumps(content))
        elif card["ModelCardStatus"] != status:
            clients.sagemaker.update_model_card(ModelCardName=name, ModelCardStatus=status)
        else:
            return {"card": name, "written": written}
        logger.info("Card %s was written, for a version that is %s", name, version["ModelApprovalStatus"])
    raise StillChanging(f"The card {name} was changed by others {_ROUNDS} times while it was written.")


def card_name(package_arn: str) -> str:
    """`loadingbay-v3` for the version `arn:...:model-package/loadingbay/3`."""
    group, _, number = package_arn.partition(":model-package/")[2].rpartition("/")
    return f"{group}-v{number}"


def _create(name: str, content: Content, status: str, clients: Clients) -> None:
    """Create the model card; one that somebody else created meanwhile is left as it is."""
    key = {"SecurityConfig": {"KmsKeyId": clients.key}} if clients.key else {}
    try:
        clients.sagemaker.create_model_card(
            ModelCardName=name, Content=json.dumps(content), ModelCardStatus=status, **key
        )
    except ClientError as error:
        # Another delivery made it a moment ago; the next round looks at it.
        if error.response["Error"]["Code"] != "ConflictException":
            raise


def _version(package_arn: str, clients: Clients) -> dict[str, Any] | None:
    """Return DescribeModelPackage's answer; None for a version that was deleted."""
    try:
        found: dict[str, Any] = clients.sagemaker.describe_model_package(ModelPackageName=package_arn)
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            return None
        raise
    return found


def _card(name: str, clients: Clients) -> dict[str, Any] | None:
    """Return DescribeModelCard's answer; None when there is no such card."""
    try:
        found: dict[str, Any] = clients.sagemaker.describe_model_card(ModelCardName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"ResourceNotFound", "ResourceNotFoundException"}:
            return None
        raise
    return found


def _evaluation(version: dict[str, Any], clients: Clients) -> dict[str, Any]:
    """The version's evaluation.json; {} where none was registered, or none can be read."""
    uri = version.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {}).get("S3Uri", "")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not key:
        return {}
    try:
        body = clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read(_MAX_EVALUATION_BYTES)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            logger.warning("%s is not there: the card says no figures", uri)
            return {}
        raise
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        logger.warning("%s is not JSON, and the card says no figures: %s", uri, error)
        return {}
    return found if isinstance(found, dict) else {}


@cache
def _boto3_clients() -> tuple[Any, Any]:
    config = Config(connect_timeout=2, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})
    return boto3.client("sagemaker", config=config), boto3.client("s3", config=config)
