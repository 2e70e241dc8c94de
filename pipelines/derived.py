"""Works out the pipeline parameters that nobody types: the champion, and the version that the same inputs gave before.

`Champion` is the S3 address of the approved version's artifact: a new version must not be worse. `RegisteredModel` is
that of the artifact which an execution registered whose definition and parameters give the same version: when training
comes from the cache, it gives that artifact again, and the pipeline registers no second version of it. Clients are
arguments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from pipelines import aws
from pipelines.parameters import BY_NAME, Value, as_text
from pipelines.settings import CACHE_DAYS, DEFAULT_STAGE

_NO_CHAMPION = "champion/none"
_LABELLED = "labelled/"
_NOTHING_LABELLED = f"{_LABELLED}none.manifest"
DERIVED = frozenset({"Champion", "RegisteredModel"})
"""The parameters that `complete` works out."""
_CHANGES_NO_VERSION = frozenset(
    {
        *("GitCommit", "Reason"),  # no job takes it
        *("MinimumAccuracy", "ChampionTolerance"),  # only whether it passes the gate
        # The step cache does not look at machines; where one trains anew, its artifact is another one.
        *("ProcessingInstanceType", "TrainingInstanceType", "TrainingInstanceCount", "VolumeSizeInGB"),
    }
)

_LOOKED_AT = 100  # so many of the newest versions: each costs two requests before a run begins


@dataclass(frozen=True)
class Derived:
    """All parameters of an execution. `version` is the ARN of the version that the same inputs gave before, or ""."""

    values: dict[str, Value]
    version: str = ""


def complete(
    sagemaker: Any, s3: Any, bucket: str, definition: str, values: Mapping[str, Value], group: str = DEFAULT_STAGE
) -> Derived:
    """`values` with Champion and RegisteredModel, unless they are among them, for an execution of `definition`.

    `bucket` is the stage's: while no version is approved, Champion is the address of an empty object there, because a
    job's input must exist; and LabelledPhotos, unless given, is a list of none.
    """
    chosen = dict(values)
    if "LabelledPhotos" not in chosen:
        chosen["LabelledPhotos"] = _nothing_labelled(s3, bucket)
    if "Champion" not in chosen:
        chosen["Champion"] = _champion(sagemaker, s3, bucket, definition, chosen, group)
    if "RegisteredModel" in chosen:
        return Derived(chosen)
    newest_first = aws.packages(sagemaker, group)
    approved = next((one for one in newest_first if one.get("ModelApprovalStatus") == "Approved"), None)
    # The artifact of an older version comes from a step that has left the cache.
    since = datetime.now(UTC) - timedelta(days=CACHE_DAYS)
    recent = [one for one in newest_first[:_LOOKED_AT] if one["CreationTime"] >= since]
    for package in _described(sagemaker, recent):
        before = same_run(sagemaker, _origin(package), definition, chosen)
        # One that is older than the approved version could not serve: it is registered anew, against that champion.
        newer = approved is None or package["ModelPackageVersion"] > approved["ModelPackageVersion"]
        if before is not None and (newer or before.get("Champion") == chosen["Champion"]):
            return Derived(chosen | {"RegisteredModel": _artifact(package)}, str(package["ModelPackageArn"]))
    return Derived(chosen)


def _nothing_labelled(s3: Any, bucket: str) -> str:
    """Return the address of an empty list, for an execution without labelled photos."""
    listed = [{"prefix": f"s3://{bucket}/{_LABELLED}"}, "none.json"]
    for key, content in ((f"{_LABELLED}none.json", []), (_NOTHING_LABELLED, listed)):
        if not aws.exists(s3, bucket, key):
            s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(content).encode())
    return f"s3://{bucket}/{_NOTHING_LABELLED}"


def same_definition(one: str, other: str, but: str = "") -> bool:
    """Whether two definitions mean the same, but for members of the name `but`.

    As documents: AWS does not promise to give back the text it was given.
    """

    def kept(members: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in members.items() if name != but}

    try:
        return bool(json.loads(one, object_hook=kept) == json.loads(other, object_hook=kept))
    except ValueError:
        return one == other


def _champion(sagemaker: Any, s3: Any, bucket: str, definition: str, values: Mapping[str, Value], group: str) -> str:
    """What an execution of this definition with these values is compared with.

    If the approved version came from an execution that was the same, it is what that execution was compared with: to
    compare a model with itself says nothing, and costs an evaluation that the step cache has.
    """
    for package in _servable(sagemaker, group):
        before = same_run(sagemaker, _origin(package), definition, values)
        return (before or {}).get("Champion") or _artifact(package)
    return _no_champion(s3, bucket)


def champion(sagemaker: Any, s3: Any, bucket: str, group: str) -> str:
    """The address of the newest approved version's artifact, or of an empty object where none is approved."""
    for package in _servable(sagemaker, group):
        return _artifact(package)
    return _no_champion(s3, bucket)


def _no_champion(s3: Any, bucket: str) -> str:
    """Return the address of an empty object, created if it is missing: a job's input must exist."""
    key = f"{_NO_CHAMPION}/none"
    if not aws.exists(s3, bucket, key):
        # One byte, not none: whether SageMaker takes an input that is empty, its documentation does not say.
        s3.put_object(Bucket=bucket, Key=key, Body=b"\n")
    return f"s3://{bucket}/{_NO_CHAMPION}"


def _described(sagemaker: Any, summaries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in summaries:
        yield sagemaker.describe_model_package(ModelPackageName=item["ModelPackageArn"])


def _servable(sagemaker: Any, group: str) -> Iterator[dict[str, Any]]:
    """The approved versions that have an artifact, the highest number first: others are registered by hand."""
    return filter(_artifact, _described(sagemaker, aws.approved_packages(sagemaker, group)))


def _artifact(package: Mapping[str, Any]) -> str:
    """The address of a version's model.tar.gz, "" if it was registered without one."""
    containers = package.get("InferenceSpecification", {}).get("Containers", [])
    return str(containers[0].get("ModelDataUrl", "")) if containers else ""


def _origin(package: Mapping[str, Any]) -> str:
    """The ARN of what registered a version, "" if it is not known."""
    return str(package.get("MetadataProperties", {}).get("GeneratedBy", ""))


def same_run(sagemaker: Any, execution: str, definition: str, values: Mapping[str, Value]) -> dict[str, str] | None:
    """Return the parameters of the execution with this ARN, if it ran this definition on these values.

    The values that `complete` adds, those that change no version, and roles are not compared. None if they differ, or
    if the execution is not known any more.
    """
    if "/execution/" not in execution:
        return None
    try:
        found = aws.listed(
            sagemaker, "list_pipeline_parameters_for_execution", "PipelineParameters", PipelineExecutionArn=execution
        )
        before = {item["Name"]: item["Value"] for item in found}
        if _compared(before) != _compared(values):
            return None
        ran = sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=execution)["PipelineDefinition"]
    except ClientError as error:
        if aws.is_missing(error):
            return None  # SageMaker forgets executions after a while
        raise
    except (ValueError, KeyError):
        return None  # parameters of another release
    return before if same_definition(ran, definition, but="RoleArn") else None


def _compared(values: Mapping[str, Value]) -> dict[str, str]:
    """All parameters as text, defaults included, without those that change nothing about the version that it gives."""
    if unknown := set(values) - set(BY_NAME):
        raise ValueError(f"unknown pipeline parameters: {', '.join(sorted(unknown))}")
    left_out = DERIVED | _CHANGES_NO_VERSION
    said = as_text(values)
    if said.get("LabelledPhotos", "").endswith(f"/{_NOTHING_LABELLED}"):
        del said["LabelledPhotos"]  # the list of none, and no list, are the same
    return {name: text for name, text in said.items() if name not in left_out}
