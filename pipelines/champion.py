"""Finds the champion: the artifact of the version now approved, which a new one must not be worse than."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from pipelines.definition import DEFAULT_STAGE
from pipelines.parameters import Value, as_text
from pipelines.sources import exists

_NONE = "champion/none"


def find(
    sagemaker: Any, s3: Any, bucket: str, definition: str, values: dict[str, Value], group: str = DEFAULT_STAGE
) -> str:
    """The S3 address for the parameter Champion of an execution of this definition with these values.

    While nothing is approved it is that of an empty object: a job's input must exist. If the champion came from an
    execution that was the same, then nothing has changed and it is what that execution was compared with: comparing
    a model with itself would say nothing, and cost an evaluation that the step cache has.
    """
    package = _approved(sagemaker, group)
    if package is None:
        return _nobody(s3, bucket)
    origin = package.get("MetadataProperties", {}).get("GeneratedBy", "")
    return _same(sagemaker, origin, definition, values) or str(
        package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    )


def _approved(sagemaker: Any, group: str) -> dict[str, Any] | None:
    """The newest approved version."""
    try:
        listed = sagemaker.list_model_packages(
            ModelPackageGroupName=group,
            ModelApprovalStatus="Approved",
            SortBy="CreationTime",
            SortOrder="Descending",
            MaxResults=1,
        )["ModelPackageSummaryList"]
    except ClientError as error:
        if error.response["Error"]["Code"] in {"ValidationException", "ResourceNotFound"}:
            return None  # there is no group yet
        raise
    if not listed:
        return None
    described: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=listed[0]["ModelPackageArn"])
    return described


def _nobody(s3: Any, bucket: str) -> str:
    if not exists(s3, bucket, f"{_NONE}/none"):
        s3.put_object(Bucket=bucket, Key=f"{_NONE}/none", Body=b"")
    return f"s3://{bucket}/{_NONE}"


def _same(sagemaker: Any, origin: str, definition: str, values: dict[str, Value]) -> str | None:
    """What the execution `origin` was compared with, if it ran this definition with these values."""
    if "/execution/" not in origin:
        return None
    try:
        listed = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=origin)["PipelineParameters"]
        ran = sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=origin)["PipelineDefinition"]
    except ClientError as error:
        if error.response["Error"]["Code"] in {"ResourceNotFound", "ValidationException"}:
            return None  # SageMaker forgets executions after a while
        raise
    before = {item["Name"]: item["Value"] for item in listed}
    champion = before.pop("Champion", None)
    before.pop("GitCommit", None)  # it changes nothing that is compared
    now = {name: value for name, value in values.items() if name != "GitCommit"}
    try:
        same = ran == definition and as_text({**before}) == as_text(now)
    except (ValueError, KeyError):
        return None
    return champion if same else None
