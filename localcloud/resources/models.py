"""Models: what an endpoint serves, artifacts in S3 and the containers that serve them."""

from typing import Any

from botocore.exceptions import ClientError

from localcloud.api import operation, page, pick, refuse, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.containers import ContainerSpec, served_model
from localcloud.jobs.events import publish
from localcloud.jobs.requests import check_image
from localcloud.state import s3_addresses
from localcloud.state.store import DuplicateError

KIND = "model"


def find(cloud: Cloud, name: str) -> dict[str, Any]:
    """A model by name; ValidationException in AWS's words if it is not there."""
    model = cloud.store.get(KIND, name)
    if model is None:
        raise validation_error(f'Could not find model "{cloud.arn(KIND, name)}".')
    return model


def s3_place(url: str) -> tuple[str, str]:
    """(bucket, key) of an address in S3; ValidationException if it is none, or names no object."""
    try:
        bucket, key = s3_addresses.split(url)
    except ValueError:
        key = ""
    if not key:
        raise validation_error(f"Invalid S3 URI {url!r}: give s3://bucket/key.")
    return bucket, key


def check_request(request: dict[str, Any]) -> None:
    """ValidationException for a CreateModel request that is refused whatever lies in S3 and in the registry."""
    containers = request.get("Containers") or []
    if bool(request.get("PrimaryContainer")) == bool(containers):
        raise validation_error("Give either PrimaryContainer or Containers.")
    for container in containers or [request["PrimaryContainer"]]:
        _check_container(container)
    names = [container["ContainerHostname"] for container in containers if container.get("ContainerHostname")]
    if names and len(names) < len(containers):
        raise validation_error("Give every container of Containers a ContainerHostname, or none.")
    if len(set(names)) < len(names):
        raise validation_error(f"The ContainerHostname of each container must be unique; given: {', '.join(names)}.")
    several = sum(container.get("Mode") == "MultiModel" for container in containers)
    if several > 1:
        raise validation_error("Only one container of an inference pipeline can be of Mode MultiModel.")
    if (request.get("InferenceExecutionConfig") or {}).get("Mode") != "Direct":
        return
    if len(containers) < 2 or len(names) < len(containers):
        raise validation_error(
            "InferenceExecutionConfig with Mode Direct needs two or more Containers, each with a ContainerHostname."
        )
    if several:
        raise validation_error("With InferenceExecutionConfig of Mode Direct no container can be of Mode MultiModel.")


def _check_container(container: dict[str, Any]) -> None:
    """ValidationException for a container definition that is refused whatever lies in S3."""
    refuse(container, "AdditionalModelDataSources", "InferenceSpecificationName")
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    if container.get("Mode") == "MultiModel":
        if not container.get("ModelDataUrl") or source or container.get("ModelPackageName"):
            raise validation_error(
                "A container of Mode MultiModel needs ModelDataUrl, the prefix below which the archives lie, and takes "
                "neither ModelDataSource nor ModelPackageName."
            )
    elif container.get("MultiModelConfig"):
        raise validation_error("MultiModelConfig is for a container of Mode MultiModel.")
    if source:
        refuse(source, "ModelAccessConfig", "HubAccessConfig", "ManifestS3Uri")
        if (source["S3DataType"], source["CompressionType"]) == ("S3Prefix", "Gzip"):
            raise validation_error("A ModelDataSource of CompressionType Gzip is an archive: give S3DataType S3Object.")


@operation("CreateModel")
def create_model(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a model; its artifacts must be in S3 by now, and something must stand for its images."""
    check_request(request)
    for container in served_model(cloud, request).containers:
        if not container.image:
            raise validation_error("The container names neither an Image nor a ModelPackageName.")
        check_image(cloud, container.image)
        if container.model_data_url is not None:
            _check_artifact(cloud, container)
    name = request["ModelName"]
    arn = cloud.arn(KIND, name)
    document = {
        **pick(
            request,
            "ModelName",
            "PrimaryContainer",
            "Containers",
            "InferenceExecutionConfig",
            "ExecutionRoleArn",
            "VpcConfig",
        ),
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
    publish(cloud, "Model", arn, document, tags.shown(cloud.store, arn))
    return {"ModelArn": arn}


def _check_artifact(cloud: Cloud, container: ContainerSpec) -> None:
    """ValidationException if there is no archive of the container, or nothing below the prefix of several files."""
    url = container.model_data_url or ""
    try:
        if container.packed and not container.several:
            bucket, key = s3_place(url)
            cloud.s3.head_object(Bucket=bucket, Key=key)
            return
        # A whole bucket is a prefix too.
        bucket, prefix = s3_place(f"{url.rstrip('/')}/any")
        below = prefix.removesuffix("any") if container.several else prefix.removesuffix("/any")
        listed = cloud.s3.list_objects_v2(Bucket=bucket, Prefix=below, MaxKeys=1)
        found = listed["KeyCount"] > 0
    except ClientError as error:
        raise validation_error(f"Could not find model data at {url}.") from error
    if not found:
        raise validation_error(f"Could not find model data at {url}.")


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
        cut_first=True,
    )


@operation("DeleteModel")
def delete_model(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete a model. An endpoint that serves it goes on serving."""
    with cloud.store.transaction():
        model = find(cloud, request["ModelName"])
        given = tags.shown(cloud.store, model["ModelArn"])
        cloud.store.delete(KIND, request["ModelName"])
        tags.forget(cloud.store, model["ModelArn"])
    publish(cloud, "Model", model["ModelArn"], model, given)
