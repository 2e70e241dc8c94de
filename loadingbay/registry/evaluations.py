"""Reads what Evaluate wrote about a version: its figures, and what it answered to the verification photos."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.registry.versions import Version
from loadingbay.target import Target
from pipelines import aws


def evaluation(target: Target, version: Version) -> dict[str, Any]:
    """The version's evaluation.json (see docs/evaluation.md); {} when it has none, or it was deleted."""
    return _document(target, version.evaluation) if version.evaluation else {}


def verification_answers(target: Target, version: Version) -> dict[str, dict[str, Any]]:
    """What the version answered to its verification photos: file name to label, confidence and probabilities."""
    found: dict[str, dict[str, Any]] = _verification(target, version, "answers").get("answers", {})
    return found


def verification_labels(target: Target, version: Version) -> dict[str, str]:
    """What the verification photos of the version show: file name to class."""
    return _verification(target, version, "labels")


def verification_photo(version: Version, name: str) -> str:
    """The S3 address of a verification photo of the version."""
    return f"{version.evaluation.rsplit('/', 1)[0]}/verification/{name}"


def _verification(target: Target, version: Version, name: str) -> dict[str, Any]:
    if not version.evaluation:
        return {}
    return _document(target, f"{version.evaluation.rsplit('/', 1)[0]}/verification/{name}.json")


def _document(target: Target, uri: str) -> dict[str, Any]:
    """Return the JSON object at an S3 address; {} when it is missing or something else."""
    bucket, key = aws.split_s3(uri)
    try:
        body = target.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if aws.is_missing(error):
            return {}
        raise
    document = json.loads(body)
    return document if isinstance(document, dict) else {}
