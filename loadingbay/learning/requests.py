"""Tells which inference ids belong to requests that were made, so that a mistyped one does not become a label."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loadingbay.target import Target
from pipelines import aws


def unknown_ids(target: Target, stack: Mapping[str, str], inference_ids: Sequence[str]) -> set[str]:
    """Those of the ids that neither an execution of the inference state machine nor a captured request has.

    An execution is asked for by its name, which is the inference id. What is not found so is looked for in the
    captures, the newest hour first, because photos of a bulk run have no execution of their own.
    """
    missing = {one for one in inference_ids if not _executed(target, stack["InferenceStateMachineArn"], one)}
    for found in (
        _captured(target.client("s3"), f"{stack['DataCaptureUri']}/{stack['EndpointName']}/") if missing else ()
    ):
        missing.discard(found)
        if not missing:
            break
    return missing


def _executed(target: Target, machine: str, name: str) -> bool:
    """Whether the state machine (ARN) has an execution of this name."""
    states = target.client("stepfunctions")
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    try:
        states.describe_execution(executionArn=arn)
    except (states.exceptions.ExecutionDoesNotExist, states.exceptions.InvalidArn):
        return False
    return True


def _captured(s3: Any, prefix: str) -> Iterator[str]:
    """The ids of all captured requests below an S3 address, the newest file first."""
    bucket, base = aws.split_s3(prefix)
    for key in sorted((item["Key"] for item in aws.objects(s3, bucket, base)), reverse=True):
        for line in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_lines():
            try:
                about = json.loads(line)["eventMetadata"]
                yield str(about.get("inferenceId") or about["eventId"])
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue
