"""Registers the network in service again with another threshold, through a pipeline: Evaluate, Gate, Register.

The artifact is packed again with another model.json and uploaded under its hash; everything else is the training
pipeline's own steps, run by the same role, on the photos that the version was evaluated on. It then waits for approval.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import UsageError, WorkError
from loadingbay.learning.repacking import repacked
from loadingbay.learning.threshold import Comparison, Point, Traffic
from loadingbay.registry import versions as registry
from loadingbay.registry.versions import Version
from loadingbay.screen.progress import Screen
from loadingbay.story import training
from loadingbay.story.training import Registered
from loadingbay.target import Target
from pipelines import aws, derived, executions
from pipelines import new_threshold as pipeline
from pipelines.costs import Costs
from pipelines.sources import git_commit

_FOLDER = "thresholds"
_REASON = 1024  # characters of a description


def register(
    target: Target,
    screen: Screen,
    stack: Mapping[str, str],
    traffic: Traffic,
    found: Comparison,
    wanted: Point,
    costs: Costs,
    why: str,
) -> Registered:
    """Register a version of the network in service with the thresholds of `wanted`, and follow its pipeline.

    The new version waits for approval. Where this network was registered with these thresholds before, that version is
    the result, and nothing is started. UsageError when `why` is no single line, or nothing would change; WorkError when
    the version's evaluation is not known any more, or with the reason of the gate or the step that failed.
    """
    if len(why) > _REASON // 2 or not why.isprintable():
        raise UsageError(f"--why has {len(why)} characters: one line of at most {_REASON // 2} is kept")
    origin = _in_service(target, traffic)
    if _rounded(wanted.thresholds) == _rounded(traffic.thresholds):
        raise UsageError(f"version {origin.number} has the threshold {_words(wanted.thresholds)} already")
    known = registered_before(registry.versions(target), origin, wanted.thresholds)
    if known is not None:
        return Registered(known, new=False)
    reason = describe(origin.number, traffic, found, wanted, costs, why)
    note = {"network_of": origin.arn, "before": dict(traffic.thresholds), "labels": found.labels, "why": reason}
    sagemaker, s3 = target.client("sagemaker"), target.client("s3")
    package = sagemaker.describe_model_package(ModelPackageName=origin.arn)
    container = package["InferenceSpecification"]["Containers"][0]
    place, key = aws.split_s3(container["ModelDataUrl"])
    artifact = repacked(s3.get_object(Bucket=place, Key=key)["Body"].read(), wanted.thresholds, costs, note)
    address = f"{_FOLDER}/{hashlib.sha256(artifact).hexdigest()}/model.tar.gz"
    text, role = _definition(sagemaker, target.stage)
    values = {
        **_values(sagemaker, origin, text),
        **_photos(sagemaker, origin),
        pipeline.MODEL: f"s3://{stack['BucketName']}/{address}",
        pipeline.IMAGE: container["Image"],
        pipeline.ORIGIN: origin.arn,
        "Champion": derived.champion(sagemaker, s3, stack["BucketName"], target.stage),
        "Reason": reason,
        "GitCommit": git_commit(),
    }
    s3.put_object(Bucket=stack["BucketName"], Key=address, Body=artifact, ExpectedBucketOwner=target.account)
    name = f"{target.stage}{pipeline.SUFFIX}"
    with screen.part("Pipeline") as part:
        executions.upsert(sagemaker, text, role, name, pipeline.DESCRIPTION)
        arn = sagemaker.start_pipeline_execution(
            PipelineName=name,
            PipelineParameters=[{"Name": key, "Value": value} for key, value in sorted(values.items())],
        )["PipelineExecutionArn"]
        execution = training.follow(target, screen, part, arn)
    training.require_success(execution)
    return training.registered(target, execution)


def registered_before(versions: Iterable[Version], origin: Version, thresholds: Mapping[str, float]) -> Version | None:
    """The first of the versions that has the network of `origin` and these thresholds, by class; None for none."""
    known = {version.arn: version for version in versions}
    wanted = _rounded(thresholds)
    for version in known.values():
        if _first_of(version, known) == _first_of(origin, known) and _rounded_of(version, list(wanted)) == wanted:
            return version
    return None


def _first_of(version: Version, known: Mapping[str, Version]) -> str:
    """The ARN of the version that was trained, of those that have the same network."""
    arn, seen = version.arn, {""}
    while arn not in seen:
        seen.add(arn)
        before = known[arn].metadata.get("network_of", "") if arn in known else ""
        arn = before or arn
    return arn


def _rounded(thresholds: Mapping[str, float]) -> dict[str, str]:
    """The thresholds with the digits that a version's metadata have."""
    return {name: f"{at:.4f}" for name, at in thresholds.items()}


def _rounded_of(version: Version, classes: Sequence[str]) -> dict[str, str]:
    """A version's thresholds by class, as its metadata have them; without classes that these leave out."""
    own = dict(
        each.rpartition("=")[::2] for each in version.metadata.get("class_thresholds", "").split() if "=" in each
    )
    return own or dict.fromkeys(classes, version.metadata.get("threshold", ""))


def describe(number: int, traffic: Traffic, found: Comparison, wanted: Point, costs: Costs, why: str) -> str:
    """Why the version exists, in at most 1,024 characters: thresholds, what they cost on the labels, and `why`."""
    low, high = wanted.saving_interval
    text = (
        f"threshold {_words(wanted.thresholds)} instead of {_words(traffic.thresholds)} for the network of version "
        f"{number}: on {found.labels} recent labels a thousand photos cost {wanted.cost:.0f} instead of "
        f"{found.today.cost:.0f} (interval of the saving {round(low)} to {round(high)}) where a wrong bay costs "
        f"{_words(costs.wrong_bay, 'g')} and a review {costs.review:g}"
    )
    return (f"{text}; {why}" if why else text)[:_REASON]


def _words(values: Mapping[str, float], form: str = ".3f") -> str:
    different = sorted(set(values.values()))
    if len(different) == 1:
        return f"{different[0]:{form}}"
    return " and ".join(f"{value:{form}} ({name})" for name, value in values.items())


def _in_service(target: Target, traffic: Traffic) -> Version:
    """The version that the labelled answers are of."""
    if traffic.version is None:
        raise WorkError("monitoring does not say which version gave these answers: its next period does")
    return registry.numbered(target, traffic.version)


def _definition(sagemaker: Any, stage: str) -> tuple[str, str]:
    """The definition of the threshold's pipeline, and the role of the training pipeline, which it is made of."""
    try:
        described = sagemaker.describe_pipeline(PipelineName=stage)
        return pipeline.derive(described["PipelineDefinition"]), str(described["RoleArn"])
    except ClientError as error:
        if not aws.is_missing(error):
            raise
        raise WorkError(f"there is no pipeline {stage}: `loadingbay run` makes it") from error
    except pipeline.NotThePipeline as error:
        raise WorkError(f"{error}: `loadingbay run` brings it up to date") from error


def _photos(sagemaker: Any, version: Version) -> dict[str, str]:
    """The addresses of the photos that the version was evaluated on, by parameter."""
    gone = WorkError(
        f"the evaluation of version {version.number} is not known any more, or was made in another stage: its photos "
        "cannot be found to evaluate the new threshold on; train a version here"
    )
    if "/execution/" not in version.origin:
        raise gone
    try:
        step = executions.describe(sagemaker, version.origin).step("Evaluate")
        if step is None or not step.job:
            raise gone
        job = sagemaker.describe_processing_job(ProcessingJobName=step.job.rsplit("/", 1)[-1])
    except ClientError as error:
        if not aws.is_missing(error):
            raise
        raise gone from error
    inputs = {one["InputName"]: one["S3Input"]["S3Uri"] for one in job["ProcessingInputs"]}
    if missing := set(pipeline.PHOTOS) - set(inputs):
        raise WorkError(
            f"the evaluation of version {version.number} had no {sorted(missing)[0]} photos: train a version"
        )
    return {parameter: inputs[name] for name, parameter in pipeline.PHOTOS.items()}


def _values(sagemaker: Any, version: Version, definition: str) -> dict[str, str]:
    """The parameters that the version's execution was given, as far as this definition has them."""
    known = pipeline.names(definition)
    given = executions.values(sagemaker, version.origin) if "/execution/" in version.origin else {}
    return {name: value for name, value in given.items() if name in known}
