"""Removes a stage with all it has made: `survey` lists it and changes nothing, `remove` deletes it.

The order matters. The rules are disabled first, or the deployer would answer each version that is removed by deploying
another; executions are stopped before their pipeline goes; buckets, repository and group are emptied, as CloudFormation
deletes them only so. What AWS keeps is the record that jobs ran: it costs nothing, and nobody can delete it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import WorkError
from loadingbay.stack import deploy
from loadingbay.target import Target
from pipelines import aws, monitoring, new_threshold, pretraining

TIMEOUT = 1800.0  # seconds for one thing to go; an endpoint and a stack take minutes each
_SCALING = "loadingbay:scaling"  # the tag by which DeployModel tells how an endpoint scales
_JOB_LOGS = ("/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs", "/aws/sagemaker/TransformJobs")


@dataclass(frozen=True)
class Item:
    """One thing to remove: its kind, for a person, its name, and how much is in it where that is told."""

    kind: str
    name: str
    count: int | None = None


def survey(target: Target) -> list[Item]:
    """All that the stage has, in the order in which `remove` takes it; empty when there is nothing.

    Raises WorkError when another stage runs this one's images.
    """
    for stage, repository in _other_stages(target).items():
        if repository == target.stage:
            raise WorkError(
                f"the stage {stage} runs images of the stage {target.stage}: remove that one first, with "
                f"`loadingbay --stage {stage} destroy`, or deploy it with another ImageRepository"
            )
    return list(_found(target))


def remove(target: Target, items: list[Item], say: Callable[[Item], None] = lambda _: None) -> None:
    """Removes these items. May be repeated: what is gone already is passed over. Raises WorkError when one stays."""
    for item in items:
        say(item)
        try:
            _REMOVE[item.kind](target, item.name)
        except ClientError as error:
            if not aws.is_missing(error) or _there(target, item):
                raise


def _found(target: Target) -> Iterator[Item]:
    """Yield everything that the stage has, in the order in which it can be deleted."""
    sagemaker, stage = target.client("sagemaker"), target.stage
    # The delivery's stack second: it has the boundary of the application's roles.
    stacks = [name for name in (stage, f"{stage}-cicd") if deploy.status(target, name)]
    resources = [resource for stack in stacks for resource in _resources(target, stack)]

    def of(kind: str) -> list[str]:
        return [name for type_, name in resources if type_ == kind]

    for name in of("AWS::Events::Rule"):
        yield Item("rule", name)
    pipelines = {name: _executions(sagemaker, name) for name in _pipelines(sagemaker, stage)}
    executions = [execution for found in pipelines.values() for execution in found]
    for arn, status in executions:
        if status in {"Executing", "Stopping"}:
            yield Item("running execution", arn)
    yield from _serving(sagemaker, stage)
    for name, found in pipelines.items():
        yield Item("pipeline", name, len(found))
    for group in sorted({*(arn.rsplit("/", 1)[-1] for arn in of("AWS::SageMaker::ModelPackageGroup")), stage}):
        if versions := aws.packages(sagemaker, group):
            yield Item("model versions", group, len(versions))
    if cards := _cards(sagemaker, stage):
        yield Item("model cards", stage, len(cards))
    for name in of("AWS::ECR::Repository"):
        if images := _images(target, name):
            yield Item("images", name, len(images))
    kept = f"{stage}-{target.account}-{target.resolved_region}"
    buckets = sorted({*of("AWS::S3::Bucket"), *([kept] if _bucket_is_ours(target, kept) else [])})
    for name in buckets:
        yield Item("objects of bucket", name)
    prefixes = [f"pipelines-{arn.rsplit('/', 1)[-1]}-" for arn, _ in executions]
    prefixes += [f"{stage}-monitor-", f"{stage}-transform-"]
    for prefix in prefixes:
        if streams := list(_streams(target, prefix)):
            yield Item("job logs", prefix, len(streams))
    for group in (f"/aws/sagemaker/Endpoints/{stage}", f"/aws/sagemaker/Endpoints/{aws.verification_endpoint(stage)}"):
        if _log_group(target, group):
            yield Item("log group", group)
    for stack in stacks:
        yield Item("stack", stack)
    # The template retains what holds data: the stack leaves it, and a stack that was deleted by hand left it.
    for name in buckets:
        yield Item("bucket", name)
    if _has_group(sagemaker, stage):
        yield Item("model package group", stage)
    if _has_repository(target, stage):
        yield Item("repository", stage)
    artifacts = deploy.artifacts_bucket(target)
    # All stages share it: the last one takes it with it.
    if _bucket_is_ours(target, artifacts) and not _other_stages(target):
        yield Item("objects of bucket", artifacts)
        yield Item("bucket", artifacts)


def _resources(target: Target, stack: str) -> Iterator[tuple[str, str]]:
    """(type, physical name) of what the stack has made."""
    client = target.client("cloudformation")
    for item in aws.listed(client, "list_stack_resources", "StackResourceSummaries", StackName=stack):
        if item.get("PhysicalResourceId") and item["ResourceStatus"] != "DELETE_COMPLETE":
            yield item["ResourceType"], item["PhysicalResourceId"].split("|")[-1]


def _executions(sagemaker: Any, pipeline: str) -> list[tuple[str, str]]:
    """(ARN, status) of the executions of a pipeline."""
    listed = aws.listed(sagemaker, "list_pipeline_executions", "PipelineExecutionSummaries", PipelineName=pipeline)
    return [(item["PipelineExecutionArn"], item["PipelineExecutionStatus"]) for item in listed]


def _pipelines(sagemaker: Any, stage: str) -> list[str]:
    """The names of the stage's pipelines that exist: of training, and those whose names are made of its name."""
    listed = aws.listed(sagemaker, "list_pipelines", "PipelineSummaries", PipelineNamePrefix=stage)
    there = {item["PipelineName"] for item in listed}
    suffixes = ("", monitoring.SUFFIX, pretraining.SUFFIX, new_threshold.SUFFIX)
    return [name for suffix in suffixes if (name := f"{stage}{suffix}") in there]


def _serving(sagemaker: Any, stage: str) -> Iterator[Item]:
    """The endpoint, the one on trial, and the configurations and models that the deployer made for them."""
    endpoints = {stage, aws.verification_endpoint(stage)}
    # The whole name: the models of a stage `loadingbay-v2` begin as those of the stage `loadingbay` do.
    ours = re.compile(rf"{re.escape(stage)}-(v\d+-[0-9a-f]+(-verify)?|transform-[\d-]+)")
    for kind, operation, key, name in (
        ("endpoint", "list_endpoints", "Endpoints", "EndpointName"),
        ("endpoint configuration", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        ("model", "list_models", "Models", "ModelName"),
    ):
        for item in aws.listed(sagemaker, operation, key, NameContains=stage):
            if item[name] in endpoints if kind == "endpoint" else ours.fullmatch(item[name]):
                yield Item(kind, item[name])


def _cards(sagemaker: Any, group: str) -> list[str]:
    """The model cards of the group's versions; those of a group `loadingbay-v2` begin as these do."""
    ours = re.compile(rf"{re.escape(group)}-v\d+")
    listed = aws.listed(sagemaker, "list_model_cards", "ModelCardSummaries", NameContains=group)
    return [card["ModelCardName"] for card in listed if ours.fullmatch(card["ModelCardName"])]


def _has_group(sagemaker: Any, group: str) -> bool:
    listed = aws.listed(sagemaker, "list_model_package_groups", "ModelPackageGroupSummaryList", NameContains=group)
    return any(item["ModelPackageGroupName"] == group for item in listed)


def _has_repository(target: Target, repository: str) -> bool:
    """Whether ECR has a repository of this name."""
    try:
        target.client("ecr").describe_repositories(repositoryNames=[repository])
    except ClientError as error:
        if aws.is_missing(error):
            return False
        raise
    return True


def _images(target: Target, repository: str) -> list[dict[str, str]]:
    listed = aws.listed(target.client("ecr"), "list_images", "imageIds", repositoryName=repository)
    return [{"imageDigest": digest} for digest in {image["imageDigest"] for image in listed}]


def _streams(target: Target, prefix: str) -> Iterator[tuple[str, str]]:
    """(group, stream) of the jobs whose names begin so, in the groups that all jobs of an account share."""
    logs = target.client("logs")
    for group in _JOB_LOGS:
        try:
            for stream in aws.listed(
                logs, "describe_log_streams", "logStreams", logGroupName=group, logStreamNamePrefix=prefix
            ):
                yield group, stream["logStreamName"]
        except ClientError as error:
            if not aws.is_missing(error):
                raise


def _log_group(target: Target, name: str) -> bool:
    listed = target.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return any(group["logGroupName"] == name for group in listed)


def _bucket_is_ours(target: Target, bucket: str) -> bool:
    """Whether the bucket exists and belongs to the target's account."""
    try:
        target.client("s3").head_bucket(Bucket=bucket, ExpectedBucketOwner=target.account)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in {403, 404}:
            return False
        raise
    return True


def _other_stages(target: Target) -> dict[str, str]:
    """The other stages of the account and region, each with the stage whose images it runs, "" for its own."""
    return {
        stack["StackName"]: next(
            (p["ParameterValue"] for p in stack.get("Parameters", []) if p["ParameterKey"] == "ImageRepository"), ""
        )
        for stack in aws.listed(target.client("cloudformation"), "describe_stacks", "Stacks")
        if stack["StackName"] != target.stage and stack["StackStatus"] != "DELETE_COMPLETE"
        if any(output["OutputKey"] == deploy.SOURCE for output in stack.get("Outputs", []))
    }


def _there(target: Target, item: Item) -> bool:
    """Whether the item is still there, after a call that said it is not."""
    return any((found.kind, found.name) == (item.kind, item.name) for found in survey(target))


def _stop_execution(target: Target, arn: str) -> None:
    """Stop a pipeline execution and wait for its end; WorkError when it takes longer than TIMEOUT seconds."""
    from pipelines import executions

    status = executions.stop(target.client("sagemaker"), arn, timeout=TIMEOUT, interval=target.interval)
    if status not in executions.ENDED:
        raise WorkError(f"the execution {arn} is still {status} after {TIMEOUT / 60:.0f} min: try again later")


def _delete_endpoint(target: Target, name: str) -> None:
    """Delete an endpoint and wait until it is gone; WorkError when it takes longer than TIMEOUT seconds."""
    _deregister_scaling(target, name)
    sagemaker = target.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=name)

    def there() -> bool:
        # AWS cuts a page before it filters it: the endpoint may be on a later one.
        pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=name)
        return any(item["EndpointName"] == name for page in pages for item in page["Endpoints"])

    _wait(target, there, f"the endpoint {name}")


def _deregister_scaling(target: Target, endpoint: str) -> None:
    """Deregister the variants of an endpoint that scales, with their policies and alarms, which would outlive it."""
    sagemaker = target.client("sagemaker")
    described = sagemaker.describe_endpoint(EndpointName=endpoint)
    tags = sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
    if {tag["Key"]: tag["Value"] for tag in tags}.get(_SCALING, "none") == "none":
        return
    for variant in described.get("ProductionVariants", []):
        try:
            target.client("application-autoscaling").deregister_scalable_target(
                ServiceNamespace="sagemaker",
                ResourceId=f"endpoint/{endpoint}/variant/{variant['VariantName']}",
                ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ObjectNotFoundException":
                raise


def _delete_versions(target: Target, group: str) -> None:
    sagemaker = target.client("sagemaker")
    for package in aws.packages(sagemaker, group):
        sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])


def _delete_cards(target: Target, group: str) -> None:
    sagemaker = target.client("sagemaker")
    for name in _cards(sagemaker, group):
        sagemaker.delete_model_card(ModelCardName=name)


def _delete_images(target: Target, repository: str) -> None:
    images = _images(target, repository)
    for start in range(0, len(images), 100):  # AWS takes so many in a call
        target.client("ecr").batch_delete_image(repositoryName=repository, imageIds=images[start : start + 100])


def _empty(target: Target, bucket: str) -> None:
    """Delete all versions of all objects in the bucket."""
    s3 = target.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not listed:
            continue
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in listed]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if answer.get("Errors"):
            first = answer["Errors"][0]
            raise WorkError(f"s3://{bucket}/{first['Key']} cannot be deleted: {first.get('Message', first['Code'])}")


def _delete_job_logs(target: Target, prefix: str) -> None:
    for group, stream in list(_streams(target, prefix)):
        target.client("logs").delete_log_stream(logGroupName=group, logStreamName=stream)


def _delete_stack(target: Target, stack: str) -> None:
    """Empty the stack's buckets and delete the stack; WorkError with CloudFormation's reason when that fails."""
    for kind, bucket in _resources(target, stack):
        if kind == "AWS::S3::Bucket":
            _empty(target, bucket)  # what was captured or logged meanwhile
    target.client("cloudformation").delete_stack(StackName=stack)
    _wait(target, lambda: deploy.status(target, stack) not in {"", "DELETE_FAILED"}, f"the stack {stack}")
    if deploy.status(target, stack):
        raise WorkError(f"the stack {stack} could not be deleted: {deploy.reason(target, stack)}")


def _wait(target: Target, there: Callable[[], bool], what: str) -> None:
    """Wait until `there` is false; WorkError, which names `what`, after TIMEOUT seconds."""
    deadline = time.monotonic() + TIMEOUT
    while there():
        if time.monotonic() > deadline:
            raise WorkError(f"{what} is still there after {TIMEOUT / 60:.0f} min: run the same command again later")
        time.sleep(target.interval)


_REMOVE: dict[str, Callable[[Target, str], Any]] = {
    "rule": lambda target, name: target.client("events").disable_rule(Name=name),
    "running execution": _stop_execution,
    "endpoint": _delete_endpoint,
    "endpoint configuration": lambda target, name: target.client("sagemaker").delete_endpoint_config(
        EndpointConfigName=name
    ),
    "model": lambda target, name: target.client("sagemaker").delete_model(ModelName=name),
    "pipeline": lambda target, name: target.client("sagemaker").delete_pipeline(
        PipelineName=name, ClientRequestToken=f"destroy-{name}-{time.time_ns()}".ljust(32, "0")
    ),
    "model versions": _delete_versions,
    "model cards": _delete_cards,
    "images": _delete_images,
    "objects of bucket": _empty,
    "job logs": _delete_job_logs,
    "log group": lambda target, name: target.client("logs").delete_log_group(logGroupName=name),
    "stack": _delete_stack,
    "bucket": lambda target, name: target.client("s3").delete_bucket(Bucket=name),
    "model package group": lambda target, name: target.client("sagemaker").delete_model_package_group(
        ModelPackageGroupName=name
    ),
    "repository": lambda target, name: target.client("ecr").delete_repository(repositoryName=name),
}
