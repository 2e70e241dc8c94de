"""Endpoints: create, update in place, change weights, describe, list, delete. `serving/manager.py` does the work."""

from typing import Any

from localcloud.api import ApiError, operation, page, pick, refuse, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.resources import endpoint_configs, models
from localcloud.serving import serverless, shift
from localcloud.serving.manager import KIND, announce, variant_summaries

_MOST_INSTANCES = 8


def find(cloud: Cloud, name: str) -> dict[str, Any]:
    """An endpoint by name; ValidationException in AWS's words if it is not there."""
    endpoint = cloud.store.get(KIND, name)
    if endpoint is None:
        raise validation_error(f'Could not find endpoint "{cloud.arn(KIND, name)}".')
    return endpoint


def _snapshot(cloud: Cloud, config_name: str) -> dict[str, Any]:
    """Everything that is needed to serve a configuration, also when it and its models are gone."""
    config = endpoint_configs.find(cloud, config_name)
    return {
        "EndpointConfigName": config_name,
        "Variants": [_variant(cloud, variant) for variant in config["ProductionVariants"]],
        "Shadows": [_variant(cloud, variant) for variant in config.get("ShadowProductionVariants", [])],
        "DataCaptureConfig": config.get("DataCaptureConfig"),
        "Directory": cloud.new_id(),
        "StartTime": cloud.clock(),
    }


def _variant(cloud: Cloud, variant: dict[str, Any]) -> dict[str, Any]:
    without_instances = variant.get("ServerlessConfig")
    count = 1 if without_instances else variant["InitialInstanceCount"]
    start_seconds = variant.get("ContainerStartupHealthCheckTimeoutInSeconds")
    _check_count(variant["VariantName"], count)
    return {
        "VariantName": variant["VariantName"],
        "Weight": variant["InitialVariantWeight"],
        "Count": count,
        "Serverless": without_instances,
        "StartSeconds": serverless.START_SECONDS if without_instances else start_seconds,
        "ResolutionTime": cloud.clock(),
        **models.served_container(cloud, models.find(cloud, variant["ModelName"])),
    }


def _check_count(variant: str, count: int) -> None:
    if count > _MOST_INSTANCES:
        raise ApiError(
            "ResourceLimitExceeded",
            f"Variant {variant!r} asks for {count} instances; the local cloud runs at most {_MOST_INSTANCES} of one.",
        )


def _check_deployment(cloud: Cloud, deployment: dict[str, Any] | None, pending: dict[str, Any]) -> None:
    """Refuse what AWS refuses of deployment options, and alarms that are not there."""
    shift.check(deployment, sum(variant["Count"] for variant in pending["Variants"]))
    names = shift.alarms(deployment)
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
    pending = _snapshot(cloud, request["EndpointConfigName"])
    pending["DeploymentConfig"] = request.get("DeploymentConfig")
    _check_deployment(cloud, pending["DeploymentConfig"], pending)
    with cloud.store.transaction():
        _check_name(cloud, name)
        document = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
            "_Pending": pending,
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
    deployment = request.get("DeploymentConfig")
    name = request["EndpointName"]
    find(cloud, name)
    pending = _snapshot(cloud, request["EndpointConfigName"])
    _check_deployment(cloud, deployment, pending)
    with cloud.store.transaction():
        document = _in_service(cloud, name)
        serverless.check_update(document["_Live"], pending)
        if deployment is None and request.get("RetainDeploymentConfig"):
            deployment = document.get("LastDeploymentConfig")
        pending["DeploymentConfig"] = deployment
        if request.get("RetainAllVariantProperties"):
            excluded = {e["VariantPropertyType"] for e in request.get("ExcludeRetainedVariantProperties", [])}
            _retain(document["_Live"], pending, excluded)
        document = cloud.store.update(
            KIND,
            name,
            {
                "EndpointStatus": "Updating",
                "LastModifiedTime": cloud.clock(),
                "FailureReason": None,
                "_Pending": pending,
            },
        )
    announce(cloud, document)
    cloud.endpoints.begin(name)
    return {"EndpointArn": document["EndpointArn"]}


def _retain(live: dict[str, Any], pending: dict[str, Any], excluded: set[str]) -> None:
    """Keep weights, counts and capture of the variants that stay, but for the excluded kinds."""
    before = {variant["VariantName"]: variant for variant in live["Variants"]}
    for variant in pending["Variants"]:
        old = before.get(variant["VariantName"])
        if old is not None and "DesiredWeight" not in excluded:
            variant["Weight"] = old["Weight"]
        if old is not None and "DesiredInstanceCount" not in excluded:
            variant["Count"] = old["Count"]
    if "DataCaptureConfig" not in excluded:
        pending["DataCaptureConfig"] = live.get("DataCaptureConfig")


@operation("UpdateEndpointWeightsAndCapacities")
def update_endpoint_weights_and_capacities(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Change the share of requests, or the number of servers, of variants."""
    name, wanted = request["EndpointName"], request["DesiredWeightsAndCapacities"]
    with cloud.store.transaction():
        document = _in_service(cloud, name)
        known = [variant["VariantName"] for variant in document["_Live"]["Variants"]]
        if any(variant.get("Serverless") for variant in document["_Live"]["Variants"]):
            raise validation_error(f"Endpoint {name!r} is serverless: it has no instances and no weights to change.")
        names = [one["VariantName"] for one in wanted]
        if len(set(names)) < len(names):
            raise validation_error(f"DesiredWeightsAndCapacities names a variant twice: {', '.join(names)}.")
        for one in wanted:
            refuse(one, "ServerlessUpdateConfig")
            if one["VariantName"] not in known:
                raise validation_error(f'Could not find variant "{one["VariantName"]}"; there are: {", ".join(known)}.')
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


def _in_service(cloud: Cloud, name: str) -> dict[str, Any]:
    """The endpoint, if it can be changed now."""
    document = find(cloud, name)
    status, arn = document["EndpointStatus"], document["EndpointArn"]
    if status in ("Creating", "Updating", "RollingBack", "Deleting") or name in cloud.endpoints.starting:
        raise validation_error(f'Cannot update in-progress endpoint "{arn}".')
    if status != "InService":
        raise validation_error(f'Cannot update endpoint "{arn}" in status {status}: delete it and create it anew.')
    return document


@operation("DescribeEndpoint")
def describe_endpoint(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe an endpoint, with a deployment that is in progress."""
    document = find(cloud, request["EndpointName"])
    if document.get("_Live"):
        document["ProductionVariants"] = variant_summaries(document["_Live"])
        document["ShadowProductionVariants"] = variant_summaries(document["_Live"], "Shadows") or None
        pending = document.get("_Pending")
        if pending:
            document["PendingDeploymentSummary"] = {
                **pick(pending, "EndpointConfigName", "StartTime"),
                "ProductionVariants": [
                    {**summary, **({"CurrentInstanceCount": 0} if "CurrentInstanceCount" in summary else {})}
                    for summary in variant_summaries(pending)
                ],
            }
    return document


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
