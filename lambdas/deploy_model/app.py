"""Lambda DeployModel: read what is, let plan.py decide, perform the actions. Entry point: app.handler.

It runs on each change of a model package's or the endpoint's state, and on a schedule. Only the standard library and
boto3, both part of the Lambda runtime, are imported: the folder is the whole deployable.
"""

# An exception is named for its condition: the name is what the state machine matches.
# ruff: noqa: N818

from __future__ import annotations

import json
import logging
import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from lambdas.deploy_model import plan as planning
else:
    import plan as planning  # in Lambda this folder is the root

logging.basicConfig(level=logging.INFO)  # Lambda has its handler already, then this changes nothing
logging.getLogger("botocore").setLevel(logging.WARNING)  # where it found its credentials is no news
logger = logging.getLogger(__name__)

ATTEMPTED = "loadingbay:attempted"  # the tag that remembers what the endpoint was last told to take


class EndpointNotReady(RuntimeError):
    """The endpoint cannot take the deployment yet: Lambda delivers the event again."""


class SettingsMissing(ValueError):
    """The function's environment lacks a variable that the template sets."""


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The door: an EventBridge event in, the plan that was performed out. `{"dry_run": true}` only plans."""
    return converge(event, read_settings(dict(os.environ)), _sagemaker())


def converge(event: dict[str, Any], settings: planning.Settings, sagemaker: Any) -> dict[str, Any]:
    """Plan from what is, and perform the plan; returns it. Raises EndpointNotReady where only time helps."""
    plan = planning.plan_deployment(event, read_current(settings, sagemaker), settings)
    logger.log(logging.ERROR if plan.outcome.needs_a_person else logging.INFO, plan.because)
    if event.get("dry_run"):
        return plan.as_json()
    _count(plan.outcome.needs_a_person, settings.endpoint_name)
    perform(plan.actions, settings, sagemaker)
    if plan.outcome is planning.Outcome.TRY_AGAIN:
        raise EndpointNotReady(plan.because)
    return plan.as_json()


def read_settings(environment: dict[str, str]) -> planning.Settings:
    """The settings that the template put into the environment. Raises SettingsMissing."""
    try:
        return planning.Settings(
            endpoint_name=environment["ENDPOINT_NAME"],
            package_group=environment["MODEL_PACKAGE_GROUP_NAME"],
            execution_role_arn=environment["ENDPOINT_ROLE_ARN"],
            instance_type=environment["ENDPOINT_INSTANCE_TYPE"],
            instance_count=int(environment["ENDPOINT_INSTANCE_COUNT"]),
            capture_uri=environment["DATA_CAPTURE_URI"],
        )
    except KeyError as error:
        raise SettingsMissing(
            f"The environment variable {error} is not set: deploy workflow/template.yaml again."
        ) from error


@cache
def _sagemaker() -> Any:
    config = Config(connect_timeout=2, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})
    return boto3.client("sagemaker", config=config)


def read_current(settings: planning.Settings, sagemaker: Any) -> planning.Current:
    """The approved versions of the group and the endpoint, as SageMaker has them now."""
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=settings.package_group, ModelApprovalStatus="Approved"
    )
    approved = tuple(
        planning.Version(
            summary["ModelPackageArn"], summary["ModelPackageVersion"], int(summary["CreationTime"].timestamp())
        )
        for page in pages
        for summary in page["ModelPackageSummaryList"]
        if summary["ModelPackageStatus"] == "Completed"
    )
    return planning.Current(approved, _endpoint(settings.endpoint_name, sagemaker))


def _endpoint(name: str, sagemaker: Any) -> planning.Endpoint | None:
    try:
        found = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        # SageMaker has no code of its own for "there is none".
        if _says(error, "could not find"):
            return None
        raise
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=found["EndpointArn"])
    tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    return planning.Endpoint(
        arn=found["EndpointArn"],
        status=found["EndpointStatus"],
        # An endpoint whose creation failed may be described without a configuration.
        config_name=found.get("EndpointConfigName", ""),
        attempted=tags.get(ATTEMPTED, ""),
        reason=found.get("FailureReason", ""),
    )


def perform(actions: tuple[planning.Action, ...], settings: planning.Settings, sagemaker: Any) -> None:
    """Do the actions in order. What exists already under its name is what would have been made."""
    for action in actions:
        logger.info("%s", action)
        try:
            _perform(action, settings, sagemaker)
        except ClientError as error:
            if _says(error, "already exist"):
                continue
            if _says(error, "in-progress"):
                raise EndpointNotReady(f"Endpoint {settings.endpoint_name} is busy: {error}") from error
            raise


def _perform(action: planning.Action, settings: planning.Settings, sagemaker: Any) -> None:
    name = settings.endpoint_name
    match action:
        case planning.CreateModel(model_name, package_arn):
            sagemaker.create_model(
                ModelName=model_name,
                PrimaryContainer={"ModelPackageName": package_arn},
                ExecutionRoleArn=settings.execution_role_arn,
                EnableNetworkIsolation=True,  # the model server needs no network
            )
        case planning.CreateEndpointConfig(config):
            sagemaker.create_endpoint_config(**_endpoint_config(config, settings))
        case planning.CreateEndpoint(config):
            tags = [{"Key": ATTEMPTED, "Value": config}]
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)
        case planning.UpdateEndpoint(config, endpoint_arn):
            sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
            # After the update, not before: an attempt that was refused is none.
            sagemaker.add_tags(ResourceArn=endpoint_arn, Tags=[{"Key": ATTEMPTED, "Value": config}])
        case planning.DeleteEndpoint():
            sagemaker.delete_endpoint(EndpointName=name)
        case planning.RejectVersion(package_arn, reason):
            # The registry takes one line of at most 1,024 characters.
            sagemaker.update_model_package(
                ModelPackageArn=package_arn,
                ModelApprovalStatus="Rejected",
                ApprovalDescription=" ".join(reason.split())[:1024],
            )


def _endpoint_config(name: str, settings: planning.Settings) -> dict[str, Any]:
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": settings.instance_count,
        "InstanceType": settings.instance_type,
        "InitialVariantWeight": 1.0,
    }
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": settings.capture_uri,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        # Whatever is not named here, the photos, is captured as base64.
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]},
    }
    return {"EndpointConfigName": name, "ProductionVariants": [variant], "DataCaptureConfig": capture}


def _says(error: ClientError, words: str) -> bool:
    return words in error.response["Error"].get("Message", "").lower()


def _count(needs_a_person: bool, endpoint_name: str) -> None:
    """One data point for CloudWatch in the embedded metric format: the alarm on it calls a person."""
    metric = {"Namespace": "LoadingBay", "Dimensions": [["Endpoint"]], "Metrics": [{"Name": "NotConverged"}]}
    emf = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]}
    print(json.dumps({"_aws": emf, "Endpoint": endpoint_name, "NotConverged": int(needs_a_person)}))
