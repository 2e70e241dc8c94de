"""EndpointConfig and Endpoint steps: what a pipeline deploys, with the permissions of the pipeline's role.

Source: `EndpointConfigStep` and `EndpointStep` of SageMaker's SDKs. Their names are sent as they are given. An Endpoint
step creates the endpoint, or updates the one of that name, and waits until it is in service. AWS does not document what
becomes of a configuration whose name is taken, as it is when a pipeline runs again: here one of the same content is
used as it is, and another one fails the step. A CacheConfig has no effect: both steps take milliseconds where nothing
has changed, and a cached one could name an endpoint that is gone.
"""

from __future__ import annotations

from typing import Any

from localcloud.api import ApiError, pick
from localcloud.engine.definition import Step
from localcloud.engine.steps import Context, Document, StepError, refused, resolved, stable_name

_CHANGING = ("Creating", "Updating", "RollingBack", "SystemUpdating")
_POLL_SECONDS = 0.2


def configure(context: Context, step: Step) -> Document:
    """Create the step's endpoint configuration. A second try after a crash finds the one that the first one made."""
    request = {"EndpointConfigName": stable_name(context, step), **resolved(context, step, step.arguments)}
    named = pick(request, "EndpointConfigName")
    try:
        role = context.identity()
        try:
            context.cloud.call("CreateEndpointConfig", request, role)
        except ApiError as error:
            if "already existing" not in error.message:
                raise
            there = context.cloud.call("DescribeEndpointConfig", named, role)
            if not _within({**request, "Tags": None}, there):
                raise
        properties = context.cloud.call("DescribeEndpointConfig", named, role)
    except ApiError as error:
        raise refused(context, step, error) from None
    return {"Metadata": {"EndpointConfig": {"Arn": properties["EndpointConfigArn"]}}, "_properties": properties}


def request(context: Context, step: Step) -> Document:
    """Return what an Endpoint step asks for: `target`, the endpoint's name, and `arguments`, references replaced."""
    arguments = {"EndpointName": stable_name(context, step), **resolved(context, step, step.arguments)}
    return {"target": arguments["EndpointName"], "arguments": arguments}


def deploy(context: Context, step: Step, sent: Document) -> Document:
    """Create or update the endpoint and wait until it is in service; the members that the step's document gets.

    StepError if the request is refused, or the endpoint does not come into service with the configuration.
    """
    name, arguments = sent["target"], sent["arguments"]
    wanted = arguments["EndpointConfigName"]
    try:
        role = context.identity()
        endpoint = _endpoint(context, name)
        if endpoint is None:
            context.cloud.call("CreateEndpoint", arguments, role)
        elif endpoint["EndpointStatus"] not in _CHANGING or wanted not in _configs(endpoint):
            changes = pick(arguments, "EndpointName", "EndpointConfigName", "DeploymentConfig")
            context.cloud.call("UpdateEndpoint", changes, role)
        endpoint = _endpoint(context, name) or {}
        while endpoint.get("EndpointStatus") in _CHANGING and not context.cloud.runner.stopping.wait(_POLL_SECONDS):
            endpoint = _endpoint(context, name) or {}
    except ApiError as error:
        raise refused(context, step, error) from None
    status, reason = endpoint.get("EndpointStatus", "deleted"), endpoint.get("FailureReason")
    if status != "InService" or endpoint["EndpointConfigName"] != wanted or reason:
        raise StepError(
            f"ClientError: Endpoint {name} is {status}, not in service with {wanted}. {reason or ''}".strip()
        )
    return {"_properties": endpoint, "_outputs": []}


def _endpoint(context: Context, name: str) -> Document | None:
    """The endpoint as DescribeEndpoint shows it; None if there is none. ApiError if the role may not look."""
    try:
        return context.cloud.call("DescribeEndpoint", {"EndpointName": name}, context.identity())
    except ApiError as error:
        if "Could not find endpoint" not in error.message:
            raise
        return None


def _configs(endpoint: Document) -> tuple[str, str | None]:
    """The names of the configurations that an endpoint serves and is changing to."""
    return endpoint["EndpointConfigName"], endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName")


def _within(given: Any, there: Any) -> bool:
    """Whether each member of a request is in a description with the same value; None stands for a missing member."""
    if isinstance(given, dict) and isinstance(there, dict):
        return all(value is None or _within(value, there.get(name)) for name, value in given.items())
    if isinstance(given, list) and isinstance(there, list):
        return len(given) == len(there) and all(map(_within, given, there))
    return bool(given == there)
