"""Reads the recent labelled answers of the version in service, which monitoring collected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import UsageError, WorkError
from loadingbay.learning.labels import PREFIX
from loadingbay.learning.periods import KEY
from loadingbay.learning.threshold import Answer, Traffic
from loadingbay.registry import evaluations
from loadingbay.registry import versions as registry
from loadingbay.target import Target
from pipelines import aws, monitoring

NEWER = "labels have come since; `loadingbay monitor` reads them"
_CORRECTION = "correction"  # comes because an answer was wrong: says nothing about how often answers are


def read(target: Target, stack: Mapping[str, str]) -> Traffic:
    """The labelled answers of the version in service, its thresholds, and the share of the stream that it accepts.

    They are as monitoring saw them last: on its schedule, or by `loadingbay monitor`, which `run --approve` does, too.
    Raises WorkError when it has not seen that version, what it wrote is damaged, or no answer of it has a label.
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

    endpoint = stack["EndpointName"]
    now, since = registry.endpoint(target, endpoint), _in_service_since(target, endpoint)
    serving = str(registry.number(now.serves)) if now and now.serves else ""
    told = document(KEY)["periods"] if aws.exists(s3, bucket, KEY) else []
    latest = next((one for one in reversed(told) if str(one.get("version", serving)) == serving or not serving), None)
    if latest is None and since:
        # What was looked at by hand tells no version: it must have begun with the one in service.
        reports = [item["Key"] for item in aws.objects(s3, bucket, f"monitoring/{target.stage}-monitor-")]
        newest = max((key for key in reports if key.endswith("/monitoring.json")), default=None)
        report: Any = document(newest) if newest else {"count": 0}
        if report["count"] and _time(report["first"]) >= since:
            latest = {**report, "version": serving}
    if latest is None:
        raise WorkError(
            f"monitoring has not seen any answer{f' of version {serving}' * bool(serving)} yet: its schedule starts "
            "it (`loadingbay status` shows when). At once: `aws sagemaker start-pipeline-execution --pipeline-name "
            f"{target.stage}{monitoring.SUFFIX}`"
            + (", with the variables that `loadingbay up` prints" if target.local else "")
        )
    listed = list(aws.objects(s3, bucket, "labelled/entries/"))
    with ThreadPoolExecutor(16) as pool:
        entries = list(pool.map(document, [item["Key"] for item in listed]))
    seen = max((item["LastModified"] for item in listed), default=None)
    newer = sum(seen is None or item["LastModified"] > seen for item in aws.objects(s3, bucket, PREFIX))
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
        corrected = " beside corrections, which say only that an answer was wrong" if recent else ""
        raise WorkError(
            f"no photo that the version in service answered has a label that monitoring has seen{corrected}: "
            + (NEWER if newer else "`loadingbay review` and `label` give them")
        )
    left_out = len(recent) - len(answers)
    return Traffic(answers, thresholds, float(latest["share_above"]), version, left_out, newer > 0)


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
