"""Runs processing/monitor as a processing job over the captured requests and fetches its figures and pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loadingbay.errors import WorkError
from loadingbay.learning.labels import Label, store
from loadingbay.serving.photos import Outcome
from loadingbay.target import Target
from pipelines import aws
from pipelines.sources import Sources, image_address, image_tag, upload_missing

_INPUT = "/opt/ml/processing"
_DAYS = 2  # how far back "the recent stream" goes; captures lie in a folder a day


@dataclass(frozen=True)
class Report:
    """What monitoring found: its figures, and the files it wrote, now in a local folder."""

    figures: dict[str, Any]
    folder: Path
    job: str

    @property
    def picture(self) -> Path:
        """The picture with everything on it."""
        return self.folder / "report.png"


def add_labels(target: Target, bucket: str, run: str, outcomes: Iterable[Outcome]) -> None:
    """Stores what photos that were sent with their label really showed; `run` names who sent them."""
    now = datetime.now(UTC)
    known = [Label(o.inference_id, o.label, "known", run, now) for o in outcomes if o.label]
    store(target.client("s3"), bucket, known)


def wait_for_captures(
    target: Target, capture_uri: str, endpoint: str, inference_ids: Collection[str], since: datetime
) -> int:
    """Waits until the captures of these requests lie in S3; how many are missing when the time is up.

    An endpoint writes captures some time after it answered: at most a few seconds here, minutes on AWS. Files that
    were last written well before `since`, when the requests began, are not read.
    """
    oldest = since - timedelta(minutes=5)  # clocks differ
    s3 = target.client("s3")
    missing = set(inference_ids)
    read: dict[str, str] = {}
    deadline = time.monotonic() + (20 if target.local else 600)
    while missing:
        for prefix in _days(s3, capture_uri, endpoint):
            bucket, key_prefix = aws.split_s3(prefix)
            for item in aws.objects(s3, bucket, key_prefix):
                if item["LastModified"] < oldest or read.get(item["Key"]) == item["ETag"]:
                    continue
                read[item["Key"]] = item["ETag"]
                for line in s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].iter_lines():
                    missing.discard(_inference_id(line))
        if time.monotonic() > deadline:
            break
        if missing:
            time.sleep(target.interval)
    return len(missing)


def monitor(
    target: Target,
    *,
    stack: dict[str, str],
    folder: Path,
    evaluation: str = "",
    since: datetime | None = None,
    waiting: Callable[[str], None] = lambda _: None,
) -> Report:
    """Runs the job over the captures of the last days and puts what it wrote into `folder`.

    Labelled photos are put where the schedule's monitoring puts them, so that `threshold` and `retrain` know them.

    `evaluation` is the S3 address of the evaluation.json of the version in service, if there is one, and `since` when
    it came into service: earlier answers are another version's, perhaps of other classes. Raises WorkError when there
    are no captures, or with the job's reason when it fails.
    """
    s3, sagemaker = target.client("s3"), target.client("sagemaker")
    bucket, endpoint = stack["BucketName"], stack["EndpointName"]
    days = _days(s3, stack["DataCaptureUri"], endpoint)
    if not days:
        raise WorkError(
            f"nothing was captured in the last {_DAYS} days below {stack['DataCaptureUri']}/{endpoint}: "
            "`loadingbay classify PHOTO` sends a photo (a serverless endpoint captures none)"
        )
    sources = Sources.read()
    upload_missing(s3, bucket, (sources.monitor,), owner=target.account)
    job = f"{target.stage}-monitor-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    outputs = {"monitoring": f"s3://{bucket}/monitoring/{job}"}
    inputs = [_input("code", f"s3://{bucket}/{sources.monitor.key}", "input/code")]
    inputs += [_input(f"captures-{n}", day, f"captures/{n}") for n, day in enumerate(days)]
    arguments = ["--captures", f"{_INPUT}/captures", "--output", f"{_INPUT}/monitoring"]
    if any(True for _ in aws.objects(s3, bucket, "labels/")):
        inputs.append(_input("labels", f"s3://{bucket}/labels/", "labels"))
        arguments += ["--labels", f"{_INPUT}/labels", "--labelled", f"{_INPUT}/labelled"]
        outputs["labelled"] = f"s3://{bucket}/labelled"
    if evaluation:
        inputs.append(_input("evaluation", evaluation.rsplit("/", 1)[0], "evaluation"))
        arguments += ["--evaluation", f"{_INPUT}/evaluation"]
    if since:
        arguments += ["--since", since.isoformat(timespec="seconds")]
    sagemaker.create_processing_job(
        ProcessingJobName=job,
        RoleArn=stack["PipelineRoleArn"],
        AppSpecification={
            "ImageUri": image_address(target.client("ecr"), stack["ImageRepositoryUri"], image_tag()),
            "ContainerEntrypoint": ["python3", f"{_INPUT}/input/code/{sources.monitor.name}"],
            "ContainerArguments": arguments,
        },
        ProcessingInputs=inputs,
        ProcessingOutputConfig={
            "Outputs": [
                {
                    "OutputName": name,
                    "S3Output": {"S3Uri": uri, "LocalPath": f"{_INPUT}/{name}", "S3UploadMode": "EndOfJob"},
                }
                for name, uri in outputs.items()
            ],
            **({"KmsKeyId": stack["KmsKeyArn"]} if "KmsKeyArn" in stack else {}),
        },
        ProcessingResources={"ClusterConfig": _machine(stack)},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
        **_network(stack),
    )
    while (now := sagemaker.describe_processing_job(ProcessingJobName=job))["ProcessingJobStatus"] not in {
        "Completed",
        "Failed",
        "Stopped",
    }:
        waiting(now["ProcessingJobStatus"])
        time.sleep(target.interval)
    if now["ProcessingJobStatus"] != "Completed":
        raise WorkError(
            f"the monitoring job ended as {now['ProcessingJobStatus']}: "
            f"{now.get('ExitMessage') or now.get('FailureReason', 'no reason given')}; "
            "`loadingbay logs monitor` shows its log"
        )
    fetch(s3, outputs["monitoring"], folder)
    figures = json.loads((folder / "monitoring.json").read_text(encoding="utf-8"))
    if since and not figures["count"]:
        raise WorkError(
            f"nothing was captured since {since.astimezone():%Y-%m-%d %H:%M:%S}, when the version in service came: "
            "`loadingbay classify PHOTO` sends a photo"
        )
    return Report(figures, folder, job)


def _machine(stack: Mapping[str, str]) -> dict[str, Any]:
    """The job's machine, its disk encrypted with the stack's key if it has one."""
    key = {"VolumeKmsKeyId": stack["KmsKeyArn"]} if "KmsKeyArn" in stack else {}
    return {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30, **key}


def _network(stack: Mapping[str, str]) -> dict[str, Any]:
    """The stack's VPC, as an argument of CreateProcessingJob, if it is in one."""
    if "SubnetIds" not in stack:
        return {}
    vpc = {"Subnets": stack["SubnetIds"].split(","), "SecurityGroupIds": stack["SecurityGroupIds"].split(",")}
    return {"NetworkConfig": {"VpcConfig": vpc}}


def fetch(s3: Any, uri: str, folder: Path) -> list[Path]:
    """Downloads what lies below `uri` into `folder`; paths that would climb out are refused."""
    bucket, prefix = aws.split_s3(uri.rstrip("/") + "/")
    fetched = []
    for item in aws.objects(s3, bucket, prefix):
        place = (folder / item["Key"].removeprefix(prefix)).resolve()
        if not place.is_relative_to(folder.resolve()):
            raise WorkError(f"s3://{bucket}/{item['Key']} would be written outside of {folder}")
        place.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, item["Key"], str(place))
        fetched.append(place)
    return fetched


def _days(s3: Any, capture_uri: str, endpoint: str) -> list[str]:
    """The addresses of the day folders of the last days that hold captures, of all variants that answer."""
    bucket, base = aws.split_s3(f"{capture_uri}/{endpoint}/")
    variants = s3.list_objects_v2(Bucket=bucket, Prefix=base, Delimiter="/").get("CommonPrefixes", [])
    today = datetime.now(UTC)
    days = [f"{today - timedelta(days=n):%Y/%m/%d}" for n in reversed(range(_DAYS))]
    answering = [one["Prefix"] for one in variants if one["Prefix"] != f"{base}{aws.SHADOW_VARIANT}/"]
    prefixes = [f"{variant}{day}" for variant in answering for day in days]
    return [
        f"s3://{bucket}/{prefix}"
        for prefix in prefixes
        if s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/", MaxKeys=1).get("KeyCount")
    ]


def _input(name: str, uri: str, folder: str) -> dict[str, Any]:
    """A member of ProcessingInputs: what lies below the S3 address `uri`, mounted as `folder`."""
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{_INPUT}/{folder}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }


def _inference_id(line: bytes) -> str:
    """The caller's id of a captured request, or "" for a line that is none."""
    try:
        return str(json.loads(line)["eventMetadata"].get("inferenceId", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
