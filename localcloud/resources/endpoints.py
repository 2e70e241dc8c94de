"""Endpoints: create, update in place, change weights, describe, list, delete. `serving/manager.py` does the work."""

from dataclasses import replace
from typing import Any

from localcloud.api import ApiError, operation, page, pick, refuse, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.containers import served_model
from localcloud.resources import endpoint_configs, models
from localcloud.serving import serverless, shift
from localcloud.serving.deployment import KIND, Deployment, VariantSpec, in_progress, live, pending
from localcloud.serving.manager import announce

_MOST_INSTANCES = 8


def find(cloud: Cloud, name: str) -> dict[str, Any]:
    """An endpoint by name; ValidationException in AWS's words if it is not there."""
    endpoint = cloud.store.get(KIND, name)
    if endpoint is None:
        raise validation_error(f'Could not find endpoint "{cloud.arn(KIND, name)}".')
    return endpoint


def _deployment(cloud: Cloud, config_name: str, deployment_config: dict[str, Any] | None) -> Deployment:
    """A new deployment of a configuration; ApiError if the configuration or one of its models is missing."""
    config = endpoint_configs.find(cloud, config_name)
    return Deployment(
        endpoint_config_name=config_name,
        variants=[_variant(cloud, variant) for variant in config["ProductionVariants"]],
        shadows=[_variant(cloud, variant) for variant in config.get("ShadowProductionVariants", [])],
        data_capture_config=config.get("DataCaptureConfig"),
        async_inference_config=config.get("AsyncInferenceConfig"),
        deployment_config=deployment_config,
        directory=cloud.new_id(),
        start_time=cloud.clock(),
    )


def _variant(cloud: Cloud, variant: dict[str, Any]) -> VariantSpec:
    """Return a production variant of a configuration as a VariantSpec; ApiError if it cannot be served."""
    without_instances = variant.get("ServerlessConfig")
    count = 1 if without_instances else variant["InitialInstanceCount"]
    start_seconds = variant.get("ContainerStartupHealthCheckTimeoutInSeconds")
    _check_count(variant["VariantName"], count)
    return VariantSpec(
        variant_name=variant["VariantName"],
        weight=variant["InitialVariantWeight"],
        count=count,
        serverless=without_instances,
        start_seconds=serverless.START_SECONDS if without_instances else start_seconds,
        resolution_time=cloud.clock(),
        **vars(served_model(cloud, models.find(cloud, variant["ModelName"]))),
    )


def _check_count(variant: str, count: int) -> None:
    """ApiError when a variant asks for more instances than the local cloud runs."""
    if count > _MOST_INSTANCES:
        raise ApiError(
            "ResourceLimitExceeded",
            f"Variant {variant!r} asks for {count} instances; the local cloud runs at most {_MOST_INSTANCES} of one.",
        )


def _check_deployment(cloud: Cloud, deployment: Deployment) -> None:
    """Refuse what AWS refuses of deployment options, and alarms that are not there."""
    shift.check(deployment.deployment_config, deployment.servers)
    names = shift.alarms(deployment.deployment_config)
    if names:
        listed = cloud.client("cloudwatch").describe_alarms(AlarmNames=names)
        there = {alarm["AlarmName"] for alarm in listed["MetricAlarms"] + listed["CompositeAlarms"]}
        for name in names:
            if name not in there:
                raise validation_error(f"Could not find the CloudWatch alarm {name!r} of AutoRollbackConfiguration.")


@operation("CreateEndpoint")
def create_endpoint(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create an endpoint; it is Creating until its servers answer pings."""
    name = request["EndpointName"]
    arn = cloud.arn(KIND, name)
    now = cloud.clock()
    deployment = _deployment(cloud, request["EndpointConfigName"], request.get("DeploymentConfig"))
    _check_deployment(cloud, deployment)
    with cloud.store.transaction():
        _check_name(cloud, name)
        document = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            **in_progress(deployment),
        }
        cloud.store.insert(KIND, name, document)
        tags.remember(cloud.store, arn, request.get("Tags"))
    announce(cloud, document)
    cloud.endpoints.begin(name)
    return {"EndpointArn": arn}


def _check_name(cloud: Cloud, name: str) -> None:
    """Refuse a name that is taken. CreateEndpoint compares names without regard to case, as AWS documents it."""
    for taken in cloud.store.documents(KIND):
        if taken["EndpointName"].lower() == name.lower():
            raise validation_error(f'Cannot create already existing endpoint "{taken["EndpointArn"]}".')


@operation("UpdateEndpoint")
def update_endpoint(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Update blue/green: requests move to the new servers once all are healthy; if that fails the old ones stay."""
    name = request["EndpointName"]
    find(cloud, name)
    deployment = _deployment(cloud, request["EndpointConfigName"], request.get("DeploymentConfig"))
    _check_deployment(cloud, deployment)
    with cloud.store.transaction():
        document, served = _in_service(cloud, name)
        serverless.check_update(served, deployment)
        if deployment.deployment_config is None and request.get("RetainDeploymentConfig"):
            deployment = replace(deployment, deployment_config=document.get("LastDeploymentConfig"))
        if request.get("RetainAllVariantProperties"):
            excluded = {e["VariantPropertyType"] for e in request.get("ExcludeRetainedVariantProperties", [])}
            deployment = _retain(served, deployment, excluded)
        document = cloud.store.update(
            KIND,
            name,
            {
                "EndpointStatus": "Updating",
                "LastModifiedTime": cloud.clock(),
                "FailureReason": None,
                **in_progress(deployment),
            },
        )
    announce(cloud, document)
    cloud.endpoints.begin(name)
    return {"EndpointArn": document["EndpointArn"]}


def _retain(served: Deployment, deployment: Deployment, excluded: set[str]) -> Deployment:
    """Return `deployment` with weights, counts and data capture of `served`; `excluded` are VariantPropertyTypes."""
    kept = {"DesiredWeight": "weight", "DesiredInstanceCount": "count"}
    names = [name for kind, name in kept.items() if kind not in excluded]
    before = {variant.variant_name: variant for variant in served.variants}
    variants = [
        replace(variant, **{name: getattr(before[variant.variant_name], name) for name in names})
        if variant.variant_name in before
        else variant
        for variant in deployment.variants
    ]
    capture = (deployment if "DataCaptureConfig" in excluded else served).data_capture_config
    return replace(deployment, variants=variants, data_capture_config=capture)


@operation("UpdateEndpointWeightsAndCapacities")
def update_endpoint_weights_and_capacities(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Change the share of requests, or the number of servers, of variants."""
    name, wanted = request["EndpointName"], request["DesiredWeightsAndCapacities"]
    with cloud.store.transaction():
        document, served = _in_service(cloud, name)
        known = [variant.variant_name for variant in served.variants]
        if served.serverless:
            raise validation_error(f"Endpoint {name!r} is serverless: it has no instances and no weights to change.")
        names = [one["VariantName"] for one in wanted]
        twice = next((one for one in names if names.count(one) > 1), None)
        if twice is not None:
            raise validation_error(f'The variant name "{twice}" was non-unique within the request.')
        missing = [one for one in names if one not in known]
        if missing:
            raise validation_error(
                f'The variant name(s) "{", ".join(missing)}" is/are not present within endpoint configuration '
                f'"{served.endpoint_config_name}".'
            )
        for one in wanted:
            refuse(one, "ServerlessUpdateConfig")
            count = one.get("DesiredInstanceCount", 1)
            if count < 1:
                raise validation_error(f'Variant "{one["VariantName"]}" needs a DesiredInstanceCount of at least 1.')
            _check_count(one["VariantName"], count)
        document = cloud.store.update(
            KIND, name, {"EndpointStatus": "Updating", "LastModifiedTime": cloud.clock(), "FailureReason": None}
        )
    announce(cloud, document)
    cloud.endpoints.begin_weights(name, wanted)
    return {"EndpointArn": document["EndpointArn"]}


def _in_service(cloud: Cloud, name: str) -> tuple[dict[str, Any], Deployment]:
    """The endpoint and its deployment in service; ValidationException if it cannot be changed now."""
    document = find(cloud, name)
    served = live(document)
    status, arn = document["EndpointStatus"], document["EndpointArn"]
    if status in ("Creating", "Updating", "RollingBack", "Deleting") or name in cloud.endpoints.starting:
        raise validation_error(f'Cannot update in-progress endpoint "{arn}".')
    if status != "InService" or served is None:
        raise validation_error(f'Cannot update endpoint "{arn}" in status {status}: delete it and create it anew.')
    return document, served


@operation("DescribeEndpoint")
def describe_endpoint(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe an endpoint, with a deployment that is in progress."""
    document = find(cloud, request["EndpointName"])
    served, wanted = live(document), pending(document)
    if served:
        document["ProductionVariants"] = [variant.summary() for variant in served.variants]
        document["ShadowProductionVariants"] = [variant.summary() for variant in served.shadows] or None
        document["AsyncInferenceConfig"] = served.async_inference_config
    if served and wanted:
        document["PendingDeploymentSummary"] = {
            "EndpointConfigName": wanted.endpoint_config_name,
            "StartTime": wanted.start_time,
            "ProductionVariants": [_coming(variant) for variant in wanted.variants],
            **({"ShadowProductionVariants": [_coming(one) for one in wanted.shadows]} if wanted.shadows else {}),
        }
    return document


def _coming(variant: VariantSpec) -> dict[str, Any]:
    """A variant of a deployment in progress, which has no instances in service yet."""
    summary = variant.summary()
    return {**summary, **({"CurrentInstanceCount": 0} if "CurrentInstanceCount" in summary else {})}


@operation("ListEndpoints")
def list_endpoints(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List endpoints, newest first by default."""
    return page(
        request,
        cloud.store.select(KIND),
        member="Endpoints",
        summary=lambda endpoint: pick(
            endpoint, "EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"
        ),
        name="EndpointName",
        identity="EndpointName",
        status="EndpointStatus",
        cut_first=True,
    )


@operation("DeleteEndpoint")
def delete_endpoint(cloud: Cloud, request: dict[str, Any]) -> None:
    """Delete an endpoint: requests that were accepted are answered, then its servers stop."""
    name = request["EndpointName"]
    with cloud.store.transaction():
        document = find(cloud, name)
        if document["EndpointStatus"] in ("Creating", "Updating", "RollingBack", "Deleting"):
            raise validation_error(f'Cannot update in-progress endpoint "{document["EndpointArn"]}".')
        document = cloud.store.update(KIND, name, {"EndpointStatus": "Deleting", "LastModifiedTime": cloud.clock()})
        tags.forget(cloud.store, document["EndpointArn"])
    announce(cloud, document)
    cloud.endpoints.begin_delete(name)
