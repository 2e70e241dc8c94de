"""Models: what an endpoint serves, an artifact in S3 and the container that serves it."""

import re
from typing import Any

from botocore.exceptions import ClientError

from localcloud.api import operation, page, pick, refuse, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.resources import model_packages
from localcloud.serving.deployment import ServedContainer
from localcloud.state.store import DuplicateError

KIND = "model"
_S3 = re.compile(r"^s3://([^/]+)/(.+)$")


def find(cloud: Cloud, name: str) -> dict[str, Any]:
    """A model by name; ValidationException in AWS's words if it is not there."""
    model = cloud.store.get(KIND, name)
    if model is None:
        raise validation_error(f'Could not find model "{cloud.arn(KIND, name)}".')
    return model


def served_container(cloud: Cloud, model: dict[str, Any]) -> ServedContainer:
    """Return what runs for a model, whose document is like a CreateModel request; ApiError if it cannot be served.

    A container that names a model package gets image, artifact and variables from there; its own variables win.
    """
    container: dict[str, Any] = model.get("PrimaryContainer") or model["Containers"][0]
    package_name = container.get("ModelPackageName")
    base: dict[str, Any] = {}
    if package_name:
        package = model_packages.find(cloud, package_name)
        containers = (package.get("InferenceSpecification") or {}).get("Containers") or []
        if len(containers) != 1:
            raise validation_error(
                f"ModelPackage {package['ModelPackageArn']} has {len(containers)} containers; one is served here."
            )
        base = containers[0]
    source = (container.get("ModelDataSource") or base.get("ModelDataSource") or {}).get("S3DataSource")
    url = container.get("ModelDataUrl") or base.get("ModelDataUrl") or (source or {}).get("S3Uri")
    return ServedContainer(
        image=container.get("Image") or base.get("Image"),
        model_data_url=url or None,
        environment={**base.get("Environment", {}), **container.get("Environment", {})},
        isolated=model.get("EnableNetworkIsolation", False),
        role_arn=model.get("ExecutionRoleArn"),
    )


def s3_place(url: str) -> tuple[str, str]:
    """(bucket, key) of `s3://bucket/key`; ValidationException for anything else."""
    match = _S3.match(url)
    if match is None:
        raise validation_error(f"Invalid S3 URI {url!r}: give s3://bucket/key.")
    return match.group(1), match.group(2)


def check_request(request: dict[str, Any]) -> None:
    """ValidationException for a CreateModel request that is refused whatever lies in S3 and in the registry."""
    refuse(request, "InferenceExecutionConfig")
    containers = request.get("Containers") or []
    if bool(request.get("PrimaryContainer")) == bool(containers):
        raise validation_error("Give either PrimaryContainer or Containers.")
    if len(containers) > 1:
        raise validation_error(f"The local cloud serves one container a model; Containers has {len(containers)}.")
    container = request.get("PrimaryContainer") or containers[0]
    refuse(container, "AdditionalModelDataSources", "MultiModelConfig", "InferenceSpecificationName")
    if container.get("Mode") == "MultiModel":
        raise validation_error("The local cloud does not implement Mode MultiModel; leave it out.")
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    if source and (source["S3DataType"], source["CompressionType"]) != ("S3Object", "Gzip"):
        raise validation_error(
            "The local cloud reads ModelDataSource of S3DataType S3Object, CompressionType Gzip only."
        )


@operation("CreateModel")
def create_model(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a model; its artifact must be in S3 by now."""
    check_request(request)
    served = served_container(cloud, request)
    if not served.image:
        raise validation_error("The container names neither an Image nor a ModelPackageName.")
    if served.model_data_url is not None:
        _check_artifact(cloud, served.model_data_url)
    name = request["ModelName"]
    arn = cloud.arn(KIND, name)
    document = {
        **pick(request, "ModelName", "PrimaryContainer", "Containers", "ExecutionRoleArn", "VpcConfig"),
        "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
        "CreationTime": cloud.clock(),
        "ModelArn": arn,
    }
    with cloud.store.transaction():
        try:
            cloud.store.insert(KIND, name, document)
        except DuplicateError:
            raise validation_error(f'Cannot create already existing model "{arn}".') from None
        tags.remember(cloud.store, arn, request.get("Tags"))
    return {"ModelArn": arn}


def _check_artifact(cloud: Cloud, url: str) -> None:
    bucket, key = s3_place(url)
    try:
        cloud.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise validation_error(f"Could not find model data at {url}.") from error


@operation("DescribeModel")
def describe_model(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a model."""
    return find(cloud, request["ModelName"])


@operation("ListModels")
def list_models(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List models, newest first by default."""
    return page(
        request,
        cloud.store.select(KIND),
        member="Models",
        summary=lambda model: pick(model, "ModelName", "ModelArn", "CreationTime"),
        name="ModelName",
        identity="ModelName",
    )


@operation("DeleteModel")
def delete_model(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete a model. An endpoint that serves it goes on serving."""
    with cloud.store.transaction():
        model = find(cloud, request["ModelName"])
        cloud.store.delete(KIND, request["ModelName"])
        tags.forget(cloud.store, model["ModelArn"])
