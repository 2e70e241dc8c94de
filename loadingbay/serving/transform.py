"""Classifies photos by a batch transform job: machines of its own for as long as it takes, no endpoint needed.

A registered version is made a SageMaker model for the job, and the model is deleted afterwards. What may be sent at a
time the image says itself, at /execution-parameters.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import UsageError, WorkError
from loadingbay.registry.versions import Version
from loadingbay.target import Target
from pipelines import aws

LOGS = "/aws/sagemaker/TransformJobs"
_PHOTOS = (".png", ".jpg", ".jpeg")
_PARALLEL = 8
_ENDED = {"Completed", "Failed", "Stopped"}


@dataclass(frozen=True)
class Transformed:
    """What a version answered to the photos below a prefix.

    `accepted` counts, by class, the answers that reach both thresholds; `review` is how many do not. Below the S3
    address `results` lies each photo's answer, as its name with `.out` behind it.
    """

    job: str
    version: int
    photos: int
    accepted: dict[str, int]
    review: int
    results: str
    seconds: float

    def document(self) -> dict[str, Any]:
        """The result as a JSON object, which `transform --json` prints."""
        return {**self.__dict__}


def transform(
    target: Target,
    stack: Mapping[str, str],
    version: Version,
    prefix: str,
    *,
    instance_type: str,
    instances: int,
    waiting: Callable[[str], None] = lambda _: None,
) -> Transformed:
    """Runs the job over the photos below `prefix` in the stage's bucket, and waits for its end; an interrupt stops it.

    Raises UsageError when something else than photos lies there, or nothing, and WorkError when the job fails.
    """
    sagemaker, s3, bucket = target.client("sagemaker"), target.client("s3"), stack["BucketName"]
    keys = _photos(s3, bucket, prefix)
    began = time.monotonic()
    job = f"{target.stage}-transform-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    results = f"s3://{bucket}/transforms/{job}/"
    sagemaker.create_model(**_model(job, version, stack))
    try:
        sagemaker.create_transform_job(**_job(job, stack, prefix, results, instance_type, instances))
        now = _ended(target, job, waiting)
    except KeyboardInterrupt:
        sagemaker.stop_transform_job(TransformJobName=job)  # its machines cost money
        raise
    finally:
        # Somebody may have deleted it.
        with contextlib.suppress(ClientError):
            sagemaker.delete_model(ModelName=job)
    if now["TransformJobStatus"] != "Completed":
        raise WorkError(
            f"the transform job {job} ended as {now['TransformJobStatus']}: "
            f"{now.get('FailureReason', 'no reason given')}; its log: "
            f"`aws logs filter-log-events --log-group-name {LOGS} --log-stream-name-prefix {job}`"
        )
    answers = _answers(s3, results)
    if len(answers) != len(keys):
        raise WorkError(f"the transform job {job} answered {len(answers)} of {len(keys)} photos: see {results}")
    return _summary(job, version, answers, results, time.monotonic() - began)


def _photos(s3: Any, bucket: str, prefix: str) -> list[str]:
    """The keys of the photos below the prefix."""
    keys = [item["Key"] for item in aws.objects(s3, bucket, prefix)]
    if not keys and Path(prefix).exists():
        raise UsageError(
            f"{prefix} lies on this machine, and transform classifies what lies in S3: copy it there with `aws s3 cp "
            f"--recursive {prefix} s3://{bucket}/bulk/mine/`, then name the prefix bulk/mine/"
        )
    if not keys:
        raise UsageError(f"nothing lies below s3://{bucket}/{prefix}")
    others = [key for key in keys if not key.lower().endswith(_PHOTOS)]
    if others:
        raise UsageError(
            f"s3://{bucket}/{others[0]} is no .png, .jpg or .jpeg: a transform job sends all that lies below the "
            "prefix, and fails at the first object that is no photo"
        )
    return keys


def _model(job: str, version: Version, stack: Mapping[str, str]) -> dict[str, Any]:
    """CreateModel: the registered version, without a network."""
    request: dict[str, Any] = {
        "ModelName": job,
        "PrimaryContainer": {
            "ModelPackageName": version.arn,
            "Environment": {"MODEL_VERSION": str(version.number)},
        },
        "ExecutionRoleArn": stack["PipelineRoleArn"],
        "EnableNetworkIsolation": True,
    }
    if "SubnetIds" in stack:
        request["VpcConfig"] = {
            "Subnets": stack["SubnetIds"].split(","),
            "SecurityGroupIds": stack["SecurityGroupIds"].split(","),
        }
    return request


def _job(
    job: str, stack: Mapping[str, str], prefix: str, results: str, instance_type: str, instances: int
) -> dict[str, Any]:
    """CreateTransformJob: a photo a request, its answer as JSON. Without limits, which the image sets."""
    key = stack.get("KmsKeyArn")
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{stack['BucketName']}/{prefix}"}}
    return {
        "TransformJobName": job,
        "ModelName": job,
        # PNG and JPEG in one job: the handler looks at the bytes.
        "TransformInput": {"DataSource": source, "ContentType": "application/octet-stream", "SplitType": "None"},
        "TransformOutput": {
            "S3OutputPath": results,
            "Accept": "application/json",
            "AssembleWith": "None",
            **({"KmsKeyId": key} if key else {}),
        },
        "TransformResources": {
            "InstanceType": instance_type,
            "InstanceCount": instances,
            **({"VolumeKmsKeyId": key} if key else {}),
        },
    }


def _ended(target: Target, job: str, waiting: Callable[[str], None]) -> dict[str, Any]:
    """Wait for the transform job's end, telling `waiting` its status; return its description."""
    sagemaker = target.client("sagemaker")
    while True:
        now: dict[str, Any] = sagemaker.describe_transform_job(TransformJobName=job)
        if now["TransformJobStatus"] in _ENDED:
            return now
        waiting(now["TransformJobStatus"])
        time.sleep(target.interval)


def _answers(s3: Any, results: str) -> list[dict[str, Any]]:
    """The answers below the results' address, one document a photo."""
    bucket, prefix = aws.split_s3(results)
    keys = [item["Key"] for item in aws.objects(s3, bucket, prefix) if item["Key"].endswith(".out")]
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="answers") as pool:
        return list(pool.map(lambda key: json.load(s3.get_object(Bucket=bucket, Key=key)["Body"]), keys))


def _summary(job: str, version: Version, answers: list[dict[str, Any]], results: str, seconds: float) -> Transformed:
    """Count the answers by class that reach both thresholds, and those that do not; see `Transformed`."""
    accepted: Counter[str] = Counter()
    for answer in answers:
        (prediction,) = answer["predictions"]
        sure = prediction["confidence"] >= prediction.get("threshold", answer["threshold"])
        known = prediction.get("in_distribution", 1.0) >= answer.get("in_distribution_threshold", 0.0)
        if sure and known:
            accepted[prediction["label"]] += 1
    routed = dict(sorted(accepted.items()))
    review = len(answers) - accepted.total()
    return Transformed(job, version.number, len(answers), routed, review, results, seconds)
