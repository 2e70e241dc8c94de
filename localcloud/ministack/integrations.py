"""Registers with MiniStack what it lacks: SageMaker's resource types, SDK integrations of SageMaker and S3."""

import functools
import json
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError

from localcloud.api import ApiError, tags
from localcloud.cloud import Cloud
from localcloud.ministack import sagemaker_tasks, sagemaker_types
from localcloud.ministack.asl import limits
from localcloud.ministack.asl.errors import DATA_LIMIT_EXCEEDED
from localcloud.ministack.emulator import Emulator

_S3 = "arn:aws:states:::aws-sdk:s3:"


def register(emulator: Emulator, cloud: Cloud) -> None:
    """Add SageMaker's types to CloudFormation; SageMaker, S3 and ResultWriter to Step Functions."""
    groups = _ModelPackageGroups(cloud)
    emulator.register_integration(
        "arn:aws:states:::aws-sdk:sagemakerruntime:invokeEndpoint", lambda parameters: _invoke(cloud, parameters)
    )
    emulator.register_integrations(_S3, functools.partial(_object_task, cloud))
    for prefix in (sagemaker_tasks.OPTIMIZED, sagemaker_tasks.SDK):
        emulator.register_integrations(prefix, functools.partial(sagemaker_tasks.run, cloud.call))
    emulator.register_pipeline_target(lambda request: cloud.call("StartPipelineExecution", request))
    emulator.keep_map_runs(functools.partial(_put, cloud))
    emulator.register_resource_type("AWS::SageMaker::ModelPackageGroup", groups.create, groups.update, groups.delete)
    for name, made in sagemaker_types.types(cloud).items():
        emulator.register_resource_type(name, made.create, made.update, made.delete)


def _put(cloud: Cloud, bucket: str, key: str, body: bytes) -> None:
    cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def _invoke(cloud: Cloud, parameters: dict[str, Any]) -> dict[str, Any]:
    """InvokeEndpoint as a task: `Body` is text, or JSON that is sent as text; the answer's `Body` is text."""
    body = parameters.get("Body", "")
    text = body if isinstance(body, str) else json.dumps(body)
    try:
        answer = cloud.client("sagemaker-runtime").invoke_endpoint(**{**parameters, "Body": text.encode()})
    except ClientError as error:
        # The names of the Java SDK's exceptions: SageMakerRuntime.ModelErrorException.
        name = error.response["Error"]["Code"].removesuffix("Exception") + "Exception"
        raise LookupError(f"SageMakerRuntime.{name}", error.response["Error"]["Message"]) from error
    except ParamValidationError as error:
        raise LookupError("States.Runtime", str(error)) from error
    members = ("ContentType", "InvokedProductionVariant", "CustomAttributes")
    return {
        "Body": answer["Body"].read().decode("utf-8", "replace"),
        **{name: answer[name] for name in members if name in answer},
    }


def _object_task(cloud: Cloud, resource: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """An operation of S3 as a task: a `Body` is text, or JSON that is stored as text.

    No more of an object is read than a state may hand on. LookupError with the names of the Java SDK's exceptions.
    """
    operation, client = xform_name(resource.removeprefix(_S3)), cloud.client("s3")
    if operation not in client.meta.method_to_api_mapping:
        raise LookupError("States.Runtime", f"S3 has no operation for {resource}.")
    if "Body" in parameters:
        body = parameters["Body"]
        text = body if isinstance(body, str) else limits.as_json(body)
        parameters = {**parameters, "Body": text.encode(errors="replace")}
    try:
        answer = getattr(client, operation)(**parameters)
    except ClientError as error:
        told, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = "NoSuchKey" if told["Code"] == "404" else told["Code"].removesuffix("Exception")
        raise LookupError(f"S3.{code}Exception", f"{told['Message']} (Service: S3, Status Code: {status})") from error
    except (ParamValidationError, TypeError) as error:
        raise LookupError("States.Runtime", str(error)) from error
    if "Body" not in answer:
        return _plain(answer)
    with answer.pop("Body") as stream:
        data = stream.read(limits.MOST_BYTES + 1)
    if len(data) > limits.MOST_BYTES:
        raise LookupError(DATA_LIMIT_EXCEEDED, limits.TOO_LARGE.format("aws-sdk:s3"))
    return {**_plain(answer), "Body": data.decode("utf-8", "replace")}


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as JSON without what only the SDK has, its times as text."""
    answer.pop("ResponseMetadata", None)
    plain: dict[str, Any] = json.loads(json.dumps(answer, default=lambda value: f"{value:%Y-%m-%dT%H:%M:%SZ}"))
    return plain


class _ModelPackageGroups:
    """AWS::SageMaker::ModelPackageGroup: Ref is the ARN, as on AWS."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def create(self, logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Create the group; (Ref, attributes). ValueError with SageMaker's message if it refuses."""
        known = ("ModelPackageGroupName", "ModelPackageGroupDescription", "Tags")
        request = {name: properties[name] for name in known if properties.get(name)}
        request.setdefault("ModelPackageGroupName", f"{stack}-{logical_id}")
        try:
            arn = self._cloud.call("CreateModelPackageGroup", request)["ModelPackageGroupArn"]
            self._let_in(arn, properties)
        except ApiError as error:
            raise ValueError(error.message) from error
        return self._described(arn)

    def update(self, ref: str, old: dict[str, Any], new: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
        """Change tags and policy. ValueError for others: on AWS they replace the group, which loses its versions."""
        for name in ("ModelPackageGroupName", "ModelPackageGroupDescription"):
            if old.get(name) != new.get(name):
                raise ValueError(f"{name} of {ref} cannot be changed: delete the group and create it again.")
        tags.remember(self._cloud.store, ref, new.get("Tags"))
        self._let_in(ref, new)
        return self._described(ref)

    def delete(self, ref: str, properties: dict[str, Any]) -> None:
        """Delete the group; no error if it does not exist. ValueError while it has versions, as on AWS."""
        try:
            self._cloud.call("DeleteModelPackageGroup", {"ModelPackageGroupName": ref})
        except ApiError as error:
            if error.code == "ConflictException":
                raise ValueError(error.message) from error

    def _let_in(self, arn: str, properties: dict[str, Any]) -> None:
        """Give the group the policy that the template has for it, or take it away."""
        request = {"ModelPackageGroupName": arn.rpartition("/")[2]}  # these take no ARN
        if policy := properties.get("ModelPackageGroupPolicy"):
            self._cloud.call("PutModelPackageGroupPolicy", {**request, "ResourcePolicy": json.dumps(policy)})
        else:
            self._cloud.call("DeleteModelPackageGroupPolicy", request)

    def _described(self, arn: str) -> tuple[str, dict[str, Any]]:
        group = self._cloud.call("DescribeModelPackageGroup", {"ModelPackageGroupName": arn})
        attributes = ("ModelPackageGroupArn", "ModelPackageGroupStatus", "CreationTime")
        return arn, {name: str(group[name]) for name in attributes}
