"""Performs single steps of an execution: jobs, conditions, failures, models and model packages.

A function returns members that are added to the step's document (`Metadata`, `_properties`), and raises StepError
where the step fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.api import ApiError
from localcloud.api.shapes import check_request
from localcloud.cloud import Cloud
from localcloud.engine.caching import cache_key
from localcloud.engine.conditions import ConditionError, evaluate
from localcloud.engine.definition import Step
from localcloud.engine.records import CACHE, execution_id
from localcloud.engine.references import UnknownReferenceError, as_text, resolve
from localcloud.engine.scope import ExecutionScope
from localcloud.engine.step_types import JOBS, STEP_TYPES, request_shape
from localcloud.engine.validate import with_defaults
from localcloud.iam.identities import Identity, authorize
from localcloud.jobs.failure import JobError
from localcloud.jobs.requests import insert, processing_job, training_job, transform_job
from localcloud.jobs.transfer import Location, Transfer
from localcloud.jobs.tuning import summaries
from localcloud.jobs.tuning_requests import tuning_job

Document = dict[str, Any]
_NEW: dict[str, Callable[[Cloud, Document], Document]] = {
    "Processing": processing_job,
    "Training": training_job,
    "Transform": transform_job,
    "Tuning": tuning_job,
    "QualityCheck": processing_job,
    "ClarifyCheck": processing_job,
}
MAX_JOB_NAME = 63


class StepError(Exception):
    """The step has failed; the text is its FailureReason. `cause` is what retry policies are matched with."""

    def __init__(self, reason: str, cause: str | None = None, members: Document | None = None) -> None:
        super().__init__(reason)
        self.cause = cause or reason
        self.members = members or {}


@dataclass
class Context:
    """The execution that a step belongs to. `steps` are its steps' documents, kept up to date by the scheduler."""

    cloud: Cloud
    execution: Document
    steps: Mapping[str, Document]
    arn: str = field(init=False)
    _identity: Identity | None = None

    def __post_init__(self) -> None:
        self.arn = self.execution["PipelineExecutionArn"]

    def identity(self) -> Identity:
        """The pipeline's role, with whose permissions steps act; ApiError if it cannot be assumed."""
        if self._identity is None:
            self._identity = self.cloud.identities.assume(self.execution["_role"])
        return self._identity

    def s3(self) -> Any:
        """A boto3 client for S3 with the permissions of the pipeline's role."""
        return self.identity().client("s3")

    def close(self) -> None:
        """Give the role's temporary credentials up, at the end of the execution."""
        if self._identity is not None:
            self._identity.release()


def job_name(execution_id: str, step: Step, random: str) -> str:
    """The name of a job or model, pipelines-<execution>-<step>-<random> as on AWS. The step's name is cut to fit."""
    prefix = step.arguments.get(STEP_TYPES[step.type].name_member)
    base = prefix if isinstance(prefix, str) else step.name
    if step.type == "Tuning":
        # The name of a tuning job has at most 32 characters.
        return f"{execution_id}-{base.replace('_', '-')[: 30 - len(execution_id) - len(random)].strip('-')}-{random}"
    room = MAX_JOB_NAME - len(f"pipelines-{execution_id}--{random}")
    return f"pipelines-{execution_id}-{base.replace('_', '-')[:room].strip('-') or 'step'}-{random}"


def resolved(context: Context, step: Step, value: Any, name: str | None = None) -> Any:
    """The value with its references replaced; StepError if one has no value."""
    try:
        scope = ExecutionScope(context.cloud, context.execution, context.steps, context.s3, name)
        return resolve(value, scope)
    except UnknownReferenceError as error:
        raise StepError(f"ClientError: A reference in step {step.name} has no value: {error}") from None


def make_job(context: Context, step: Step, name: str) -> tuple[Document, str | None]:
    """The document of the step's job, which is not stored yet, and the key of the step's result in the cache."""
    arguments = resolved(context, step, step.arguments, name)
    return new_job(context, step, name, arguments), result_key(step, arguments)


def new_job(context: Context, step: Step, name: str, arguments: Document) -> Document:
    """The document of a job with these arguments; StepError if the local cloud refuses them."""
    shape = request_shape(step.type)
    experiment = context.execution.get("PipelineExperimentConfig")
    # Tuning jobs are no part of a trial.
    in_trial = experiment and "ExperimentConfig" in getattr(shape, "members", {})
    defaults = {
        **({"ExperimentConfig": experiment} if in_trial else {}),
        **with_defaults(step, context.execution["_role"], name),
    }
    try:
        request = {**defaults, **arguments, JOBS[step.type].name_member: name}
        return new_document(context.cloud, step.type, check_request(shape, request))
    except ApiError as error:
        raise refused(context, step, error) from None


def result_key(step: Step, arguments: Document) -> str | None:
    """The key of a step's result in the cache; None if it is not cached."""
    return cache_key(step.type, arguments) if step.cache is not None and step.cache.enabled else None


def new_document(cloud: Cloud, step_type: str, request: Document) -> Document:
    """The document of a new job of a step of this type; ApiError if the local cloud refuses the request.

    For steps that run no job the request is looked at when the step calls its operation: the answer is empty.
    """
    new = _NEW.get(step_type)
    return {} if new is None else new(cloud, request)


def store_job(context: Context, step: Step, job: Document) -> None:
    """Store the job, within the caller's transaction; StepError if the pipeline's role may not create it."""
    try:
        request = {**job, "Tags": job.get("_tags")}
        authorize(context.identity(), STEP_TYPES[step.type].create, request, context.cloud.settings)
        insert(context.cloud, JOBS[step.type].store_kind, JOBS[step.type].job, job)
    except ApiError as error:
        raise refused(context, step, error) from None


def refused(context: Context, step: Step, error: ApiError) -> StepError:
    """Return the StepError for a request that was refused, in SageMaker's words."""
    return StepError(
        f"ClientError: Failed to invoke sagemaker:{STEP_TYPES[step.type].create}. Error Details: {error.message} "
        f"Retry not appropriate on execution of step with PipelineExecutionArn {context.arn} and StepId {step.name}.",
        cause=f"{error.code}: {error.message}",
    )


def cached(context: Context, step: Step, key: str | None) -> Document | None:
    """The result of an earlier run of the same step in the same pipeline; None if there is none that is still good."""
    if key is None or step.cache is None:
        return None
    hit = context.cloud.store.get(CACHE, _cache_place(context, step, key))
    if hit is None:
        return None
    age = context.cloud.clock() - hit["Time"]
    if step.cache.expire_after is not None and age > step.cache.expire_after:
        return None
    return {**hit["members"], "CacheHitResult": {"SourcePipelineExecutionArn": hit["Source"]}}


def remember(context: Context, step: Step, document: Document) -> None:
    """Keep a successful step's result for later runs; the most recent one counts."""
    key = document.get("_cache_key")
    if key is None:
        return
    members = {name: document[name] for name in ("Metadata", "_properties", "_files") if name in document}
    entry = {"Source": context.arn, "Time": document["EndTime"], "members": members}
    pipeline = context.execution["_pipeline"]
    context.cloud.store.put(CACHE, _cache_place(context, step, key), entry, parent=pipeline)


def _cache_place(context: Context, step: Step, key: str) -> str:
    return f"{context.execution['_pipeline']}/{step.name}/{key}"


def metadata(step: Step, job: Document) -> Document:
    """The member Metadata of a step that runs a job."""
    return {f"{step.type}Job": {"Arn": job[f"{JOBS[step.type].job}JobArn"]}}


def job_result(context: Context, step: Step, job: Document) -> Document:
    """What a completed job leaves to later steps: its properties, and its property files as they are now.

    They are read now because another run may write to the same place later.
    """
    properties = {name: value for name, value in job.items() if not name.startswith("_")}
    if step.type == "Tuning":
        properties["TrainingJobSummaries"] = summaries(context.cloud, job["HyperParameterTuningJobName"])
    files = {}
    for file in step.property_files:
        outputs = job.get("ProcessingOutputConfig", {}).get("Outputs", [])
        output = next(o for o in outputs if o["OutputName"] == file.output_name)
        try:
            location = Location.parse(output["S3Output"]["S3Uri"]).join(file.path)
            files[file.name] = {"content": Transfer(context.s3()).read_json(location)}
        except (ApiError, JobError) as error:
            files[file.name] = {"problem": str(error)}
    return {"_properties": properties, **({"_files": files} if files else {})}


def condition(context: Context, step: Step) -> Document:
    """The outcome of a Condition step: True if all of its conditions hold. In a joined text it is `true` or `false`."""
    conditions = resolved(context, step, step.arguments["Conditions"])
    try:
        outcome = all(evaluate(c) for c in conditions)
    except ConditionError as error:
        raise StepError(f"ClientError: {error}") from None
    return {"Metadata": {"Condition": {"Outcome": str(outcome)}}, "_properties": {"Outcome": outcome}}


def fail(context: Context, step: Step) -> StepError:
    """The error of a Fail step, with its message; to be raised by the caller."""
    message = as_text(resolved(context, step, step.arguments.get("ErrorMessage", "")))
    return StepError(message[:1024], members={"Metadata": {"Fail": {"ErrorMessage": message[:3072]}}})


def register(context: Context, step: Step) -> Document:
    """Register a model package: in a group, which is made if there is none, or one of its own."""
    name = stable_name(context, step)
    request = {**resolved(context, step, step.arguments, name)}
    if "ModelPackageGroupName" not in request:
        request["ModelPackageName"] = name
    metadata = {"GeneratedBy": context.arn, **request.get("MetadataProperties", {})}
    # The token makes a second try after a crash return the package that the first one made.
    token = hashlib.sha256(f"{context.arn}/{step.name}".encode()).hexdigest()[:36]
    request = {"ClientToken": token, **request, "MetadataProperties": metadata}
    try:
        role = context.identity()
        _ensure_group(context.cloud, role, request.get("ModelPackageGroupName"))
        arn = _registered(context, request, role)
        properties = context.cloud.call("DescribeModelPackage", {"ModelPackageName": arn}, role)
    except ApiError as error:
        raise refused(context, step, error) from None
    return {"Metadata": {"RegisterModel": {"Arn": arn}}, "_properties": properties}


def _registered(context: Context, request: Document, role: Identity) -> str:
    """The ARN of the package of a CreateModelPackage request. A package of its own is found again by its name."""
    try:
        return str(context.cloud.call("CreateModelPackage", request, role)["ModelPackageArn"])
    except ApiError as error:
        if "ModelPackageName" not in request or "already exists" not in error.message:
            raise
        return context.cloud.arn("model-package", request["ModelPackageName"])


def stable_name(context: Context, step: Step) -> str:
    """A name for what the step makes, the same at each try."""
    digest = hashlib.sha256(f"{context.arn}/{step.name}/{context.execution['CreationTime']}".encode()).hexdigest()[:10]
    return job_name(execution_id(context.arn), step, digest)


def create_model(context: Context, step: Step) -> Document:
    """Create the step's model. A second try after a crash finds the model that the first one made."""
    name = stable_name(context, step)
    request = {**resolved(context, step, step.arguments, name), "ModelName": name}
    try:
        role = context.identity()
        try:
            context.cloud.call("CreateModel", request, role)
        except ApiError as error:
            if "already existing" not in error.message:
                raise
        properties = context.cloud.call("DescribeModel", {"ModelName": name}, role)
    except ApiError as error:
        raise refused(context, step, error) from None
    return {"Metadata": {"Model": {"Arn": properties["ModelArn"]}}, "_properties": properties}


def _ensure_group(cloud: Cloud, role: Identity, name: Any) -> None:
    """Create the model package group as the role, unless it exists; ApiError if the role may not."""
    if not isinstance(name, str):
        return
    try:
        cloud.call("DescribeModelPackageGroup", {"ModelPackageGroupName": name}, role)
    except ApiError as missing:
        if missing.code == "AccessDeniedException":
            raise
        try:
            cloud.call("CreateModelPackageGroup", {"ModelPackageGroupName": name}, role)
        except ApiError as error:
            # Two executions may make it at once.
            if "already exists" not in error.message:
                raise
