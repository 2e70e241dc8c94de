"""The requests to SageMaker that deploy a version: model, endpoint configuration, deployment. Pure."""

from __future__ import annotations

from typing import Any

from .actions import CreateEndpointConfig, CreateModel
from .state import Settings


def model(action: CreateModel, settings: Settings) -> dict[str, Any]:
    """CreateModel: image and artifact come from the model package; the container gets its number in MODEL_VERSION."""
    request: dict[str, Any] = {
        "ModelName": action.name,
        "PrimaryContainer": {
            "ModelPackageName": action.package_arn,
            "Environment": {"MODEL_VERSION": str(action.version)},
        },
        "ExecutionRoleArn": settings.execution_role_arn,
    }
    if settings.serverless_memory_mb:
        return request
    request["EnableNetworkIsolation"] = True  # the model server needs no network
    if settings.subnet_ids:
        request["VpcConfig"] = {
            "Subnets": list(settings.subnet_ids),
            "SecurityGroupIds": list(settings.security_group_ids),
        }
    return request


def endpoint_config(action: CreateEndpointConfig, settings: Settings) -> dict[str, Any]:
    """CreateEndpointConfig: one variant, on instances or serverless, and the shadow's beside it if there is one.

    Only the endpoint that serves captures data. The shadow has as many instances of the same type, as it may get as
    many requests; SageMaker sends it the share that its weight is of the serving variant's, which is 1.
    """
    variant: dict[str, Any] = {"VariantName": VARIANT, "ModelName": action.model_name}
    request: dict[str, Any] = {"EndpointConfigName": action.name, "ProductionVariants": [variant]}
    if settings.serverless_memory_mb:
        variant["ServerlessConfig"] = {
            "MemorySizeInMB": settings.serverless_memory_mb,
            "MaxConcurrency": settings.serverless_concurrency,
        }
        return request
    variant |= {
        "InitialInstanceCount": 1 if action.trial else settings.instance_count,
        "InstanceType": settings.instance_type,
        "InitialVariantWeight": 1.0,
    }
    key = {"KmsKeyId": settings.kms_key_arn} if settings.kms_key_arn else {}
    if action.trial:
        return {**request, **key}
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": settings.capture_uri,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        # Other types, the photos, are captured as base64.
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]},
        **key,
    }
    if action.shadow:
        shadow = {"VariantName": SHADOW_VARIANT, "ModelName": action.shadow, "InitialVariantWeight": action.share}
        request["ShadowProductionVariants"] = [{**variant, **shadow}]
    return {**request, **key, "DataCaptureConfig": capture}


VARIANT = "AllTraffic"
SHADOW_VARIANT = "Shadow"


def scaling(settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """RegisterScalableTarget and PutScalingPolicy: instances follow the requests a minute that each of them gets."""
    target = scalable_target(settings)
    tracking = {
        "TargetValue": float(settings.invocations_per_instance),
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        # An instance takes minutes to start: out quickly, in slowly.
        "ScaleOutCooldown": 60,
        "ScaleInCooldown": 600,
    }
    register = {**target, "MinCapacity": settings.instance_count, "MaxCapacity": settings.max_instance_count}
    policy = {
        **target,
        "PolicyName": f"{settings.endpoint_name}-requests",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": tracking,
    }
    return register, policy


def scalable_target(settings: Settings) -> dict[str, Any]:
    """The endpoint's variant, as Application Auto Scaling names it."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{settings.endpoint_name}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def update(config: str, settings: Settings) -> dict[str, Any]:
    """UpdateEndpoint: an endpoint that scales keeps the number of instances that it has, not the weights."""
    request: dict[str, Any] = {"EndpointName": settings.endpoint_name, "EndpointConfigName": config}
    if settings.scaling != "none":
        request["RetainAllVariantProperties"] = True
        # A shadow's weight is the share of the requests that it gets copies of.
        request["ExcludeRetainedVariantProperties"] = [{"VariantPropertyType": "DesiredWeight"}]
    return request


def deployment(settings: Settings) -> dict[str, Any]:
    """The member DeploymentConfig of UpdateEndpoint, or {} where the update is not watched.

    The new instances are watched for `bake_seconds` by the alarms; with two instances or more, one of them takes
    requests first (canary).
    """
    if not (settings.bake_seconds and settings.rollback_alarms) or settings.serverless_memory_mb:
        return {}
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": settings.bake_seconds}
    if settings.instance_count > 1:
        routing |= {"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}}
    return {
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": routing,
                # Longer than all the waiting: instances take minutes to start.
                "MaximumExecutionTimeoutInSeconds": 1800 + 2 * settings.bake_seconds,
            },
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in settings.rollback_alarms]},
        }
    }
