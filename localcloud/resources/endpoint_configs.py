"""Endpoint configurations: which models, how many servers of each, what share of the requests, and data capture."""

from typing import Any

from localcloud.api import operation, page, pick, refuse, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.containers import served_model
from localcloud.jobs.events import publish
from localcloud.resources import models
from localcloud.serving import serverless
from localcloud.state.store import DuplicateError

KIND = "endpoint-config"


def find(cloud: Cloud, name: str) -> dict[str, Any]:
    """A configuration by name; ValidationException in AWS's words if it is not there."""
    config = cloud.store.get(KIND, name)
    if config is None:
        raise validation_error(f'Could not find endpoint configuration "{cloud.arn(KIND, name)}".')
    return config


def check_request(request: dict[str, Any]) -> None:
    """ApiError for a CreateEndpointConfig request that is refused whatever models there are; sets default weights."""
    refuse(
        request,
        "ExplainerConfig",
        "EnableNetworkIsolation",
        "MetricsConfig",
    )
    shadows = request.get("ShadowProductionVariants", [])
    if shadows and (len(shadows), len(request["ProductionVariants"])) != (1, 1):
        raise validation_error("With ShadowProductionVariants there is one shadow and one production variant.")
    variants = request["ProductionVariants"] + shadows
    for variant in variants:
        if variant.get("ModelName") is None:
            raise validation_error(f"Production variant {variant['VariantName']!r} needs ModelName.")
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise validation_error(f"Variant names must be unique; given: {', '.join(names)}.")
    _check_async(request, variants)
    for variant in variants:
        _check_variant(variant)
    if not any(variant["InitialVariantWeight"] for variant in request["ProductionVariants"]):
        raise validation_error("At least one production variant needs an InitialVariantWeight above 0.")
    if "DataCaptureConfig" in request:
        models.s3_place(request["DataCaptureConfig"]["DestinationS3Uri"].rstrip("/") + "/endpoint")


@operation("CreateEndpointConfig")
def create_endpoint_config(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a configuration. Instance type, volume and key are recorded and have no effect on one machine."""
    check_request(request)
    variants = request["ProductionVariants"] + request.get("ShadowProductionVariants", [])
    served = {variant["ModelName"]: models.find(cloud, variant["ModelName"]) for variant in variants}
    serverless.check_config(request, served)
    _check_containers(cloud, request, served)
    name = request["EndpointConfigName"]
    arn = cloud.arn(KIND, name)
    document = {
        **pick(
            request,
            "EndpointConfigName",
            "ProductionVariants",
            "ShadowProductionVariants",
            "AsyncInferenceConfig",
            "DataCaptureConfig",
            "KmsKeyId",
            "ExecutionRoleArn",
            "VpcConfig",
        ),
        "EndpointConfigArn": arn,
        "CreationTime": cloud.clock(),
    }
    with cloud.store.transaction():
        try:
            cloud.store.insert(KIND, name, document)
        except DuplicateError:
            raise validation_error(f'Cannot create already existing endpoint configuration "{arn}".') from None
        tags.remember(cloud.store, arn, request.get("Tags"))
    publish(cloud, "Endpoint Config", arn, document, tags.shown(cloud.store, arn))
    return {"EndpointConfigArn": arn}


def _check_containers(cloud: Cloud, request: dict[str, Any], served: dict[str, dict[str, Any]]) -> None:
    """Refuse models of several containers, or of several models, where AWS does not have them.

    A request of InvokeEndpointAsync names neither a model nor a container.
    """
    runs = {name: served_model(cloud, model) for name, model in served.items()}
    several = [name for name, model in runs.items() if model.several]
    direct = [name for name, model in runs.items() if model.direct]
    pipelines = [name for name, model in runs.items() if len(model.containers) > 1]
    without_instances = any(variant.get("ServerlessConfig") for variant in request["ProductionVariants"])
    for member, given, refused in (
        ("ServerlessConfig", without_instances, several + pipelines),
        ("ShadowProductionVariants", request.get("ShadowProductionVariants"), several + pipelines),
        ("AsyncInferenceConfig", request.get("AsyncInferenceConfig"), several + direct),
    ):
        if given and refused:
            raise validation_error(
                f"{member} is not supported with model {refused[0]!r}: it has several containers, or Mode MultiModel."
            )


def _check_async(request: dict[str, Any], variants: list[dict[str, Any]]) -> None:
    """Refuse what AWS refuses of an asynchronous endpoint, and one that does not say where answers go."""
    config = request.get("AsyncInferenceConfig")
    if config is None:
        return
    if len(variants) > 1 or any(variant.get("ServerlessConfig") for variant in variants):
        raise validation_error("An asynchronous endpoint has one production variant, with instances.")
    if not config["OutputConfig"].get("S3OutputPath"):
        raise validation_error("AsyncInferenceConfig needs OutputConfig.S3OutputPath.")
    for name in ("S3OutputPath", "S3FailurePath"):
        if config["OutputConfig"].get(name):
            models.s3_place(config["OutputConfig"][name].rstrip("/") + "/answer")


def _check_variant(variant: dict[str, Any]) -> None:
    """Refuse members of a variant that are not supported or missing, and set its default weight."""
    refuse(
        variant,
        "InstancePools",
        "AcceleratorType",
        "CoreDumpConfig",
        "EnableSSMAccess",
        "ManagedInstanceScaling",
        "InferenceAmiVersion",
        "CapacityReservationConfig",
    )
    for member in () if variant.get("ServerlessConfig") else ("InstanceType", "InitialInstanceCount"):
        if variant.get(member) is None:
            raise validation_error(
                f"Production variant {variant['VariantName']!r} needs {member}, or else ServerlessConfig."
            )
    variant.setdefault("InitialVariantWeight", 1.0)


@operation("DescribeEndpointConfig")
def describe_endpoint_config(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe an endpoint configuration."""
    return find(cloud, request["EndpointConfigName"])


@operation("ListEndpointConfigs")
def list_endpoint_configs(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List endpoint configurations, newest first by default."""
    return page(
        request,
        cloud.store.select(KIND),
        member="EndpointConfigs",
        summary=lambda config: pick(config, "EndpointConfigName", "EndpointConfigArn", "CreationTime"),
        name="EndpointConfigName",
        identity="EndpointConfigName",
    )


@operation("DeleteEndpointConfig")
def delete_endpoint_config(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete a configuration. An endpoint that was made from it goes on serving."""
    with cloud.store.transaction():
        config = find(cloud, request["EndpointConfigName"])
        given = tags.shown(cloud.store, config["EndpointConfigArn"])
        cloud.store.delete(KIND, request["EndpointConfigName"])
        tags.forget(cloud.store, config["EndpointConfigArn"])
    publish(cloud, "Endpoint Config", config["EndpointConfigArn"], config, given)
