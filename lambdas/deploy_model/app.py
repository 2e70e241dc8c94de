"""Lambda DeployModel: read what is, let plan.py decide, perform the actions. Entry point: app.handler.

It runs on each change of a model package's or an endpoint's state, and on a schedule; with `{"dry_run": true}` it
only says what it would do. Only the standard library and boto3, both part of the Lambda runtime, are imported: the
folder is the whole deployable.
"""

# An exception is named for its condition: the name is what the state machine matches.
# ruff: noqa: N818

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from lambdas.deploy_model import actions, asked, foresight
    from lambdas.deploy_model import plan as planning
else:
    import actions
    import asked
    import foresight
    import plan as planning  # in Lambda this folder is the root

logging.basicConfig(level=logging.INFO)  # Lambda has its handler already, then this changes nothing
logging.getLogger("botocore").setLevel(logging.WARNING)  # where it found its credentials is no news
logger = logging.getLogger(__name__)

ATTEMPTED = "loadingbay:attempted"  # the tag that remembers what an endpoint was last told to take
RECORDED = "loadingbay:recorded"  # and the one that remembers what of it the history has
_ROUNDS = 4  # of plan and action in one go: a verification is followed by what comes of it


class EndpointNotReady(RuntimeError):
    """The endpoint cannot take the deployment yet: Lambda delivers the event again."""


class NotVerified(RuntimeError):
    """The verification could not be made, which says nothing about the version: Lambda delivers the event again."""


class SettingsMissing(ValueError):
    """The function's environment lacks a variable that the template sets."""


@dataclass(frozen=True)
class Doors:
    """The clients, and what they are used on: arguments, so that tests give their own."""

    sagemaker: Any
    functions: Any
    s3: Any
    cloudwatch: Any
    verify_function: str
    history_uri: str
    own_name: str = ""
    """This function's name: what changed a version under it was no person."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The door: an EventBridge event in, the plan that was performed out. `{"dry_run": true}` only plans."""
    environment = dict(os.environ)
    return converge(event, read_settings(environment), read_doors(environment))


def converge(event: dict[str, Any], settings: planning.Settings, doors: Doors) -> dict[str, Any]:
    """Plan from what is, and perform the plan; returns it. Raises EndpointNotReady where only time helps.

    A dry run plans for the event as if it had come, the approval or rejection that it tells of included, and adds
    under `course` every plan that would follow if all goes well.
    """
    if event.get("dry_run"):
        current = _decided(event, read_current(settings, doors), doors)
        plans = foresight.course(event, current, settings)
        return {**plans[0].as_json(), "course": [plan.as_json() for plan in plans]}
    try:
        plan = _converge(event, settings, doors)
    except EndpointNotReady:
        raise  # that is how every deployment goes
    except Exception:
        # A refused call, a verification that could not be made: Lambda tries again, and a person should know.
        _count(True, settings.endpoint_name)
        raise
    if plan.outcome is planning.Outcome.TRY_AGAIN:
        raise EndpointNotReady(plan.because)
    return plan.as_json()


def _converge(event: dict[str, Any], settings: planning.Settings, doors: Doors) -> planning.Plan:
    """Plan and perform, once more after a verification; the last plan."""
    needs_a_person = False
    for _ in range(_ROUNDS):
        plan = planning.plan_deployment(event, read_current(settings, doors), settings)
        logger.log(logging.ERROR if plan.outcome.needs_a_person else logging.INFO, plan.because)
        rejected = perform(plan.actions, settings, doors)
        needs_a_person = needs_a_person or rejected or plan.outcome.needs_a_person
        _count(needs_a_person, settings.endpoint_name)
        if not any(isinstance(action, actions.VerifyVersion) for action in plan.actions):
            break
    return plan


def read_settings(environment: Mapping[str, str]) -> planning.Settings:
    """The settings that the template put into the environment. Raises SettingsMissing."""

    def listed(name: str) -> tuple[str, ...]:
        return tuple(filter(None, environment.get(name, "").split(",")))

    try:
        return planning.Settings(
            endpoint_name=environment["ENDPOINT_NAME"],
            package_group=environment["MODEL_PACKAGE_GROUP_NAME"],
            execution_role_arn=environment["ENDPOINT_ROLE_ARN"],
            instance_type=environment["ENDPOINT_INSTANCE_TYPE"],
            instance_count=int(environment["ENDPOINT_INSTANCE_COUNT"]),
            capture_uri=environment["DATA_CAPTURE_URI"],
            serverless_memory_mb=int(environment.get("ENDPOINT_SERVERLESS_MEMORY_MB") or 0),
            serverless_concurrency=int(environment.get("ENDPOINT_SERVERLESS_CONCURRENCY") or 5),
            subnet_ids=listed("ENDPOINT_SUBNET_IDS"),
            security_group_ids=listed("ENDPOINT_SECURITY_GROUP_IDS"),
            kms_key_arn=environment.get("ENDPOINT_KMS_KEY_ARN", ""),
            bake_seconds=int(environment.get("BAKE_SECONDS") or 0),
            rollback_alarms=listed("ROLLBACK_ALARMS"),
        )
    except KeyError as error:
        raise _missing(error) from error


def read_doors(environment: Mapping[str, str]) -> Doors:
    """The clients and their places, as the environment names them. Raises SettingsMissing."""
    try:
        return Doors(
            *_clients(),
            verify_function=environment["VERIFY_FUNCTION_NAME"],
            history_uri=environment["HISTORY_URI"],
            own_name=environment.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        )
    except KeyError as error:
        raise _missing(error) from error


def _missing(error: KeyError) -> SettingsMissing:
    return SettingsMissing(f"The environment variable {error} is not set: deploy workflow/template.yaml again.")


@cache
def _clients() -> tuple[Any, Any, Any, Any]:
    config = Config(connect_timeout=2, read_timeout=20, retries={"mode": "standard", "max_attempts": 4})
    # A verification is not asked for twice because the first one takes its time: longer than that function may run.
    patient = Config(connect_timeout=2, read_timeout=200, retries={"mode": "standard", "total_max_attempts": 1})
    return (
        boto3.client("sagemaker", config=config),
        boto3.client("lambda", config=patient),
        boto3.client("s3", config=config),
        boto3.client("cloudwatch", config=config),
    )


def read_current(settings: planning.Settings, doors: Doors) -> planning.Current:
    """The approved versions of the group and the endpoints, as SageMaker has them now."""
    pages = doors.sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=settings.package_group, ModelApprovalStatus="Approved"
    )
    approved = {
        summary["ModelPackageVersion"]: planning.Version(
            summary["ModelPackageArn"], summary["ModelPackageVersion"], int(summary["CreationTime"].timestamp())
        )
        for page in pages
        for summary in page["ModelPackageSummaryList"]
        if summary["ModelPackageStatus"] == "Completed"
    }
    if approved:
        newest = max(approved)
        approved[newest] = _version(approved[newest].arn, doors)
    return planning.Current(
        tuple(approved.values()),
        _endpoint(settings.endpoint_name, doors),
        _endpoint(settings.trial_name, doors),
        doors.now(),
    )


def _version(arn: str, doors: Doors) -> planning.Version:
    described = doors.sagemaker.describe_model_package(ModelPackageName=arn)
    metadata = described.get("CustomerMetadataProperties", {})
    return planning.Version(
        arn,
        described["ModelPackageVersion"],
        int(described["CreationTime"].timestamp()),
        passed_as=metadata.get("verified_as", ""),
        approved_by=metadata.get("approved_by", ""),
        decided_by=_whoever_decided(described, doors),
        given_up=metadata.get("verification_given_up", ""),
    )


def _whoever_decided(described: dict[str, Any], doors: Doors) -> str:
    """The user or role that changed the version last; "" for this function itself, or where the registry has none."""
    user = described.get("LastModifiedBy", {})
    arn: str = user.get("IamIdentity", {}).get("Arn") or user.get("UserProfileName") or ""
    ours = doors.own_name and arn.endswith(f"/{doors.own_name}")
    return "" if ours else arn


def _endpoint(name: str, doors: Doors) -> planning.Endpoint | None:
    try:
        found = doors.sagemaker.describe_endpoint(EndpointName=name)
        # A trial may be deleted between the two questions.
        pages = list(doors.sagemaker.get_paginator("list_tags").paginate(ResourceArn=found["EndpointArn"]))
    except ClientError as error:
        # SageMaker has no code of its own for "there is none".
        if _says(error, "could not find"):
            return None
        raise
    tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    return planning.Endpoint(
        arn=found["EndpointArn"],
        status=found["EndpointStatus"],
        # An endpoint whose creation failed may be described without a configuration.
        config_name=found.get("EndpointConfigName", ""),
        attempted=tags.get(ATTEMPTED, ""),
        reason=found.get("FailureReason", ""),
        # In UTC wherever this runs: the history is in the order of these texts.
        since=found["LastModifiedTime"].astimezone(UTC).isoformat(timespec="milliseconds"),
        recorded=tags.get(RECORDED, ""),
    )


def _decided(event: dict[str, Any], current: planning.Current, doors: Doors) -> planning.Current:
    """What would be, had the approval or rejection that the event tells of been given."""
    detail = event.get("detail", {})
    arn, status = detail.get("ModelPackageArn", ""), detail.get("ModelApprovalStatus", "")
    if not arn:
        return current
    others = tuple(version for version in current.approved if version.arn != arn)
    decided = (_version(arn, doors),) if status == "Approved" else ()
    # The newest of what is left is not always the one that was described.
    left = replace(current, approved=(*others, *decided))
    if left.newest is None or left.newest in decided:
        return left
    newest = _version(left.newest.arn, doors)
    return replace(left, approved=tuple(newest if each.arn == newest.arn else each for each in left.approved))


def perform(todo: tuple[actions.Action, ...], settings: planning.Settings, doors: Doors) -> bool:
    """Do the actions in order; whether a version failed its verification.

    What exists already under its name is what would have been made, and what is gone already need not be deleted.
    """
    rejected = False
    for action in todo:
        logger.info("%s", action)
        try:
            if isinstance(action, actions.VerifyVersion):
                rejected = not _verify(action, settings, doors) or rejected
            else:
                _perform(action, settings, doors)
        except ClientError as error:
            if _says(error, "already exist"):
                continue
            if isinstance(action, actions.DeleteEndpoint) and _says(error, "could not find"):
                continue
            if _says(error, "in-progress"):
                raise EndpointNotReady(f"An endpoint is busy: {error}") from error
            raise
    return rejected


def _perform(action: actions.Action, settings: planning.Settings, doors: Doors) -> None:
    sagemaker = doors.sagemaker
    match action:
        case actions.CreateModel():
            sagemaker.create_model(**asked.model(action, settings))
        case actions.CreateEndpointConfig():
            sagemaker.create_endpoint_config(**asked.endpoint_config(action, settings))
        case actions.CreateEndpoint(name, config):
            tags = [{"Key": ATTEMPTED, "Value": config}]
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)
        case actions.UpdateEndpoint(config, endpoint_arn, watched):
            watch = asked.deployment(settings) if watched and not _ringing(settings, doors) else {}
            sagemaker.update_endpoint(EndpointName=settings.endpoint_name, EndpointConfigName=config, **watch)
            # After the update, not before: an attempt that was refused is none.
            sagemaker.add_tags(ResourceArn=endpoint_arn, Tags=[{"Key": ATTEMPTED, "Value": config}])
        case actions.ForgetAttempt(endpoint_arn):
            sagemaker.add_tags(ResourceArn=endpoint_arn, Tags=[{"Key": ATTEMPTED, "Value": "none"}])
        case actions.DeleteEndpoint(name):
            sagemaker.delete_endpoint(EndpointName=name)
        case actions.RejectVersion(package_arn, reason):
            _reject(package_arn, reason, {}, doors)
        case actions.NoteApproval(package_arn, who):
            sagemaker.update_model_package(
                ModelPackageArn=package_arn, CustomerMetadataProperties={"approved_by": _plain(who)}
            )
        case actions.NoteUnverified(package_arn, at):
            metadata = {"verification": "given up", "verification_given_up": at}
            sagemaker.update_model_package(ModelPackageArn=package_arn, CustomerMetadataProperties=metadata)
        case actions.RecordDeployment():
            _record(action, settings, doors)


def _ringing(settings: planning.Settings, doors: Doors) -> bool:
    """Whether an alarm goes off already, which is no fault of the version that comes: then it comes unwatched."""
    names = list(settings.rollback_alarms)
    if not (names and settings.bake_seconds):
        return False
    ringing = doors.cloudwatch.describe_alarms(AlarmNames=names, StateValue="ALARM")["MetricAlarms"]
    if ringing:
        logger.warning("%s goes off already: the update is not watched", ringing[0]["AlarmName"])
    return bool(ringing)


def _verify(action: actions.VerifyVersion, settings: planning.Settings, doors: Doors) -> bool:
    """Have the version verified, and write what came of it into the registry; False when it was rejected.

    Two deliveries of an event may do so at once. Whoever is first goes on and deletes the trial, and the other sees
    errors that are no fault of the version: its verdict counts only if the trial is there as before.
    """
    before = _endpoint(settings.trial_name, doors)
    described = doors.sagemaker.describe_model_package(ModelPackageName=action.package_arn)
    statistics = described.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {})
    answer = doors.functions.invoke(
        FunctionName=doors.verify_function, Payload=json.dumps({"evaluation": statistics.get("S3Uri", "")}).encode()
    )
    verdict = json.loads(answer["Payload"].read())
    described = doors.sagemaker.describe_model_package(ModelPackageName=action.package_arn)
    number = described["ModelPackageVersion"]
    passed_as = described.get("CustomerMetadataProperties", {}).get("verified_as", "")
    if described["ModelApprovalStatus"] != "Approved" or passed_as == action.config_name:
        logger.info("Version %s was decided on while it was verified", number)
        return True
    after = _endpoint(settings.trial_name, doors)
    if (
        after is None
        or after != before
        or (after.status, after.attempted) != ("InService", planning.trial_config_name(action.config_name))
    ):
        raise EndpointNotReady(f"Endpoint {settings.trial_name} changed while version {number} was verified there.")
    if answer.get("FunctionError"):
        raise NotVerified(f"Version {number} could not be verified: {verdict.get('errorMessage', verdict)}")
    figures = {
        f"verification_{name}": f"{verdict[name]:g}"
        for name in ("photos", "accuracy", "milliseconds")
        if verdict.get(name) is not None
    }
    if not verdict["passed"]:
        why = f"Version {number} was rolled back: {verdict['reason']}"
        logger.error(why)
        _reject(action.package_arn, why, figures, doors)
        return False
    logger.info("Version %s passed: %s", number, verdict)
    metadata = {"verification": "passed", "verified_as": action.config_name, **figures}
    doors.sagemaker.update_model_package(ModelPackageArn=action.package_arn, CustomerMetadataProperties=metadata)
    return True


def _reject(package_arn: str, reason: str, figures: dict[str, str], doors: Doors) -> None:
    doors.sagemaker.update_model_package(
        ModelPackageArn=package_arn,
        ModelApprovalStatus="Rejected",
        # The registry takes one line of at most 1,024 characters.
        ApprovalDescription=" ".join(reason.split())[:1024],
        CustomerMetadataProperties={
            "verification": "failed",
            "verified_as": "none",
            "verification_reason": _plain(reason),
            **figures,
        },
    )


def _plain(text: str) -> str:
    """Text as SageMaker takes it for metadata: at most 256 letters, digits, spaces and a few signs."""
    return " ".join(re.sub(r"[^\w\s.:/=+\-@]", " ", text).split())[:256]


def _record(action: actions.RecordDeployment, settings: planning.Settings, doors: Doors) -> None:
    """Write down what the endpoint serves since when, on whose approval and with what figures: one object for each."""
    group = action.endpoint_arn.rsplit(":", 1)[0] + f":model-package/{settings.package_group}"
    version: dict[str, Any] = {}
    if action.version:
        try:
            described = doors.sagemaker.describe_model_package(ModelPackageName=f"{group}/{action.version}")
        except ClientError as error:
            if not _says(error, "does not exist"):
                raise
        else:
            metadata = described.get("CustomerMetadataProperties", {})
            version = {
                "version": action.version,
                "model_package_arn": described["ModelPackageArn"],
                "approved_by": metadata.get("approved_by") or _whoever_decided(described, doors),
                "comment": described.get("ApprovalDescription", ""),
                "metadata": metadata,
            }
    record = {"endpoint": settings.endpoint_name, "config": action.config_name, "since": action.since, **version}
    bucket, _, prefix = doors.history_uri.removeprefix("s3://").partition("/")
    when = re.sub(r"[^0-9T.]", "", action.since.partition("+")[0])
    doors.s3.put_object(
        Bucket=bucket,
        # In the order of time. The same fact has the same name, however often it is told.
        Key=f"{prefix}/{settings.endpoint_name}/{when}-{action.config_name}.json",
        Body=json.dumps(record, indent=2, sort_keys=True).encode(),
        ContentType="application/json",
    )
    fact = f"{action.config_name}@{action.since}"
    doors.sagemaker.add_tags(ResourceArn=action.endpoint_arn, Tags=[{"Key": RECORDED, "Value": fact}])


def _says(error: ClientError, words: str) -> bool:
    return words in error.response["Error"].get("Message", "").lower()


def _count(needs_a_person: bool, endpoint_name: str) -> None:
    """One data point for CloudWatch in the embedded metric format: the alarm on it calls a person."""
    metric = {"Namespace": "LoadingBay", "Dimensions": [["Endpoint"]], "Metrics": [{"Name": "NotConverged"}]}
    emf = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]}
    print(json.dumps({"_aws": emf, "Endpoint": endpoint_name, "NotConverged": int(needs_a_person)}))
