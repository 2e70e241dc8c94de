"""Reads what Retrain plans from: the alarm, earlier retrainings, executions and labelled photos."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from .dataset import PREFIX, Photo
from .plan import Alarm, Record, State

RECORDS = "retraining/"
PERIODS = "monitoring/periods.json"
_TRIAL = "tune-"  # how the display name of an execution begins that only tries parameters
_SENT_WITH_IT = "known"  # source of the labels of photos that a run sends: test photos
_FOR_PEOPLE = "review_queue_age"  # a violation that is no reason to train
_ABSENT = {"NoSuchKey", "404"}
_AT_ONCE = 16  # S3 objects read at the same time


@dataclass(frozen=True)
class Clients:
    """The boto3 clients, the stage's bucket, and its name: that of its pipeline and of its group of versions."""

    s3: Any
    sagemaker: Any
    bucket: str
    stage: str


def read_state(clients: Clients, now: datetime) -> State:
    """The state as S3 and SageMaker say it is. Without a pipeline there are no parameters."""
    running, parameters = _executions(clients)
    champion, metadata = _champion(clients)
    known = metadata.get("classes", "").split()
    labelled = [
        _photo(entry) for entry in _documents(clients, f"{PREFIX}entries/") if entry.get("source") != _SENT_WITH_IT
    ]
    there = {key.removeprefix(f"{PREFIX}photos/") for key in _keys(clients, f"{PREFIX}photos/")} if labelled else set()
    photos = [photo for photo in labelled if photo.name in there]
    return State(
        now=now,
        alarm=_alarm(document(clients, PERIODS) or {}),
        records=[_record(clients, each) for each in _documents(clients, RECORDS)],
        running=running,
        photos=photos,
        deleted=len(labelled) - len(photos),
        parameters={**parameters, **_costs(metadata)} if parameters else {},
        # Whether SageMaker lists a parameter that has its default, its documentation does not say.
        classes=parameters["Classes"].split(",") if "Classes" in parameters else known,
        champion=champion,
    )


def document(clients: Clients, key: str) -> dict[str, Any] | None:
    """A JSON object of the bucket; None when there is none, or it is something else."""
    try:
        found = json.loads(clients.s3.get_object(Bucket=clients.bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def record_key(alarm: str) -> str:
    """Where the record of the retraining for an alarm lies."""
    return f"{RECORDS}{alarm}.json"


def _documents(clients: Clients, prefix: str) -> list[dict[str, Any]]:
    """All JSON objects below a prefix, in the order of their keys."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda key: document(clients, key), list(_keys(clients, prefix)))
        return [each for each in found if each is not None]


def _keys(clients: Clients, prefix: str) -> Iterator[str]:
    """Yield the keys below a prefix of the stage's bucket."""
    more: dict[str, str] = {}
    while True:
        page = clients.s3.list_objects_v2(Bucket=clients.bucket, Prefix=prefix, **more)
        yield from (item["Key"] for item in page.get("Contents", []))
        if not page.get("IsTruncated"):
            return
        more["ContinuationToken"] = page["NextContinuationToken"]


def _alarm(periods: Mapping[str, Any]) -> Alarm | None:
    said = periods.get("alarm")
    sentences = {name: str(text) for name, text in periods.get("sentences", {}).items() if name != _FOR_PEOPLE}
    return Alarm(str(said), tuple(sentences.values())) if said else None


def _photo(entry: Mapping[str, Any]) -> Photo:
    return Photo(str(entry.get("photo", "")), str(entry.get("truth", "")), str(entry.get("inference_time", "")))


def _record(clients: Clients, said: Mapping[str, Any]) -> Record:
    """Parse the record of a retraining and ask SageMaker for its execution's status."""
    execution = str(said.get("execution", ""))
    return Record(
        alarm=str(said["alarm"]),
        time=datetime.fromisoformat(said["time"]).astimezone(UTC),
        photos=frozenset((str(name), str(truth)) for name, truth in said["photos"]),
        parameters=said["parameters"],
        execution=execution,
        status=_status(clients, execution) if execution else "",
        refused=str(said.get("refused", "")),
    )


def _status(clients: Clients, execution: str) -> str:
    """Return the execution's status; "" when SageMaker does not know it any more."""
    try:
        found = clients.sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFound":  # SageMaker forgets executions after a while
            return ""
        raise
    return str(found["PipelineExecutionStatus"])


def _executions(clients: Clients) -> tuple[str, dict[str, str]]:
    """The execution that runs, or ""; and the parameters of the newest that succeeded."""
    try:
        listed = clients.sagemaker.list_pipeline_executions(PipelineName=clients.stage, MaxResults=100)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFound":
            return "", {}
        raise
    found = listed["PipelineExecutionSummaries"]
    running = next((one for one in found if one["PipelineExecutionStatus"] in {"Executing", "Stopping"}), None)
    # A trial's parameters were nobody's choice.
    chosen = (one for one in found if not one.get("PipelineExecutionDisplayName", "").startswith(_TRIAL))
    last = next((one for one in chosen if one["PipelineExecutionStatus"] == "Succeeded"), None)
    parameters = {}
    if last:
        listed = clients.sagemaker.list_pipeline_parameters_for_execution(
            PipelineExecutionArn=last["PipelineExecutionArn"], MaxResults=100
        )
        parameters = {item["Name"]: item["Value"] for item in listed["PipelineParameters"]}
    return running["PipelineExecutionArn"] if running else "", parameters


def _costs(metadata: Mapping[str, str]) -> dict[str, str]:
    """The costs that the approved version's thresholds were chosen for, as parameters; {} where it names none.

    They may be of a threshold that was registered since the last training: the next version keeps to them.
    """
    named = dict(part.split("=", 1) for part in metadata.get("costs", "none").split() if "=" in part)
    if "review" not in named:
        return {}
    review = named.pop("review")
    return {"CostOfWrongBay": ",".join(f"{name}={cost}" for name, cost in named.items()), "CostOfReview": review}


def _champion(clients: Clients) -> tuple[str, dict[str, str]]:
    """S3 address of the newest approved version's artifact, and its metadata; ("", {}) when no version is approved.

    Versions without an artifact are left out: they were registered by hand, and deploying takes their approval away.
    """
    found = clients.sagemaker.list_model_packages(
        ModelPackageGroupName=clients.stage,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=100,
    )["ModelPackageSummaryList"]
    for one in found:
        package = clients.sagemaker.describe_model_package(ModelPackageName=one["ModelPackageArn"])
        containers = package.get("InferenceSpecification", {}).get("Containers", [])
        if containers and "ModelDataUrl" in containers[0]:
            return containers[0]["ModelDataUrl"], package.get("CustomerMetadataProperties", {})
    return "", {}
