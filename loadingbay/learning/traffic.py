"""Reads the recent labelled answers of the version in service, which monitoring collected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import UsageError, WorkError
from loadingbay.learning.periods import KEY
from loadingbay.learning.threshold import Answer, Traffic
from loadingbay.registry import evaluations
from loadingbay.registry import versions as registry
from loadingbay.target import Target
from pipelines import aws, monitoring

_CORRECTION = "correction"  # comes because an answer was wrong: says nothing about how often answers are


def read(target: Target, stack: Mapping[str, str]) -> Traffic:
    """The labelled answers of the version in service, its thresholds, and the share of the stream that it accepts.

    Raises WorkError when monitoring has not run, what it wrote is damaged, or no answer of that version has a label.
    """
    try:
        return _read(target, stack)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkError(
            f"what monitoring wrote below s3://{stack['BucketName']}/monitoring/ or labelled/ is damaged "
            f"({type(error).__name__}: {error}): put earlier versions of the objects back, or delete the one that "
            "cannot be read, and the next period writes it anew"
        ) from error


def _read(target: Target, stack: Mapping[str, str]) -> Traffic:
    """Read the traffic; KeyError, TypeError or ValueError where a document has another form."""
    s3, bucket = target.client("s3"), stack["BucketName"]

    def document(key: str) -> Any:
        return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    told = document(KEY)["periods"] if aws.exists(s3, bucket, KEY) else []
    if not told:
        raise WorkError(
            "monitoring has not seen any answer yet: its schedule starts it (`loadingbay status` shows when). At once: "
            f"`aws sagemaker start-pipeline-execution --pipeline-name {target.stage}{monitoring.SUFFIX}`"
            + (", with the variables that `loadingbay up` prints" if target.local else "")
        )
    latest = told[-1]
    keys = [item["Key"] for item in aws.objects(s3, bucket, "labelled/entries/")]
    with ThreadPoolExecutor(16) as pool:
        entries = list(pool.map(document, keys))
    since = _in_service_since(target, stack["EndpointName"])
    version, own = _version(target, str(latest.get("version", "")))
    known = {str(entry["answer"]) for entry in entries} | set(own)
    thresholds = {name: own.get(name, float(latest["threshold"])) for name in sorted(known)}
    recent = [entry for entry in entries if since is None or _time(entry["inference_time"]) >= since]
    answers = [
        Answer(
            str(entry["answer"]),
            str(entry["truth"]),
            float(entry["confidence"]),
            bool(entry["accepted"]),
            unknown=not entry["accepted"] and float(entry["confidence"]) >= thresholds[str(entry["answer"])],
        )
        for entry in recent
        if entry["source"] != _CORRECTION
    ]
    if not answers:
        raise WorkError(
            "no photo that the version in service answered has a label yet: `loadingbay review` and `label` give them"
        )
    return Traffic(answers, thresholds, float(latest["share_above"]), version, len(recent) - len(answers))


def _version(target: Target, number: str) -> tuple[int | None, dict[str, float]]:
    """The version's number, and its thresholds by class as they are in its evaluation; nothing of an unknown one."""
    if not number.isdecimal():
        return None, {}
    try:
        version = registry.numbered(target, int(number))
    except UsageError:  # deleted since
        return None, {}
    found = evaluations.evaluation(target, version)
    common = version.figure("threshold")
    classes = version.metadata.get("classes", "").split()
    rounded = {} if common is None else dict.fromkeys(classes, common)
    return version.number, {**rounded, **found.get("thresholds", {})}


def _in_service_since(target: Target, endpoint: str) -> datetime | None:
    """When the endpoint was given the version that it serves; None when there is no endpoint."""
    sagemaker = target.client("sagemaker")
    try:
        name = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        config = sagemaker.describe_endpoint_config(EndpointConfigName=name)
        if config.get("ShadowProductionVariants"):
            # The version served before it got a shadow: DeployModel names that configuration as it names the model.
            served = config["ProductionVariants"][0]["ModelName"]
            config = sagemaker.describe_endpoint_config(EndpointConfigName=served)
    except ClientError as error:
        if aws.is_missing(error):
            return None
        raise
    made: datetime = config["CreationTime"]
    return made


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
