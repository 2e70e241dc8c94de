"""Pipelines: create, update, describe, delete, list. Each new definition is a version; executions keep theirs."""

from typing import Any

from localcloud.api import ApiError, not_found, operation, page, pick, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.engine.definition import DefinitionError
from localcloud.engine.outside import TOKEN_KIND
from localcloud.engine.records import CACHE, EXECUTION, PIPELINE, RUNNING, STEP, TOKEN, VERSION
from localcloud.engine.steps import new_document
from localcloud.engine.validate import read
from localcloud.images import ANY_IMAGE
from localcloud.jobs.failure import JobError
from localcloud.jobs.requests import check_image, check_transform_job
from localcloud.jobs.transfer import Location, Transfer
from localcloud.resources import endpoint_configs, model_packages, models
from localcloud.state.store import DuplicateError


@operation("CreatePipeline")
def create_pipeline(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Create a pipeline. A definition that could not run is refused, with the step and the member."""
    name = request["PipelineName"]
    definition = _definition(cloud, request)
    if definition is None:
        raise validation_error("Give PipelineDefinition or PipelineDefinitionS3Location.")
    now = cloud.clock()
    pipeline = {
        "PipelineArn": cloud.arn("pipeline", name),
        "PipelineDisplayName": name,
        "PipelineStatus": "Active",
        "CreationTime": now,
        "LastModifiedTime": now,
        "CreatedBy": cloud.user(),
        "LastModifiedBy": cloud.user(),
        **pick(
            request, "PipelineName", "PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration"
        ),
        "_token": request.get("ClientRequestToken"),
        "_version": 1,
    }
    with cloud.store.transaction():
        try:
            cloud.store.insert(PIPELINE, name, pipeline)
        except DuplicateError:
            existing = cloud.store.get(PIPELINE, name) or {}
            if existing.get("_token") == pipeline["_token"] is not None:
                return {"PipelineArn": existing["PipelineArn"]}
            raise validation_error(
                "Pipeline names must be unique within an AWS account and region. "
                f"Pipeline with name ({name}) already exists."
            ) from None
        _store_version(cloud, pipeline, definition)
        tags.remember(cloud.store, pipeline["PipelineArn"], request.get("Tags"))
    return {"PipelineArn": pipeline["PipelineArn"]}


@operation("UpdatePipeline")
def update_pipeline(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Change a pipeline; members that are not given stay. Running executions keep their definition."""
    find(cloud, request["PipelineName"])
    definition = _definition(cloud, request)
    changes = pick(request, "PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")
    with cloud.store.transaction():
        pipeline = find(cloud, request["PipelineName"])
        pipeline.update(changes, LastModifiedTime=cloud.clock(), LastModifiedBy=cloud.user())
        if definition is not None and definition != _stored_definition(cloud, pipeline):
            pipeline["_version"] += 1
            _store_version(cloud, pipeline, definition)
        cloud.store.put(PIPELINE, pipeline["PipelineName"], pipeline)
    return {"PipelineArn": pipeline["PipelineArn"], "PipelineVersionId": pipeline["_version"]}


@operation("DescribePipeline")
def describe_pipeline(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe a pipeline with its definition, or that of an earlier version."""
    pipeline = find(cloud, request["PipelineName"])
    version = request.get("PipelineVersionId", pipeline["_version"])
    stored = find_version(cloud, pipeline, version)
    return {**pipeline, "PipelineDefinition": stored["PipelineDefinition"]}


@operation("DeletePipeline")
def delete_pipeline(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Delete a pipeline with its executions and its cache; refused while one runs."""
    with cloud.store.transaction():
        pipeline = find(cloud, request["PipelineName"])
        name = pipeline["PipelineName"]
        executions = cloud.store.documents(EXECUTION, name)
        running = [e["PipelineExecutionArn"] for e in executions if e["PipelineExecutionStatus"] in RUNNING]
        if running:
            raise ApiError(
                "ConflictException", f"Pipeline {name} cannot be deleted while executions run: {', '.join(running)}."
            )
        for execution in executions:
            for kind in (STEP, TOKEN_KIND):
                cloud.store.delete_children(kind, execution["PipelineExecutionArn"])
        for kind in (EXECUTION, VERSION, CACHE, TOKEN):
            cloud.store.delete_children(kind, name)
        cloud.store.delete(PIPELINE, name)
        tags.forget(cloud.store, pipeline["PipelineArn"])
    return {"PipelineArn": pipeline["PipelineArn"]}


@operation("ListPipelines")
def list_pipelines(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List pipelines, newest first by default."""
    prefix = request.get("PipelineNamePrefix", "")
    return page(
        request,
        [p for p in cloud.store.documents(PIPELINE) if p["PipelineName"].startswith(prefix)],
        member="PipelineSummaries",
        summary=_summary,
        name="PipelineName",
        identity="PipelineName",
    )


@operation("ListPipelineVersions")
def list_pipeline_versions(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List the versions of a pipeline, newest first by default."""
    pipeline = find(cloud, request["PipelineName"])
    versions = cloud.store.documents(VERSION, pipeline["PipelineName"])
    return page(
        {**request, "SortBy": None},
        [{**v, "_place": f"{v['PipelineVersionId']:09d}"} for v in versions],
        member="PipelineVersionSummaries",
        summary=lambda v: {
            "PipelineArn": pipeline["PipelineArn"],
            **pick(v, "PipelineVersionId", "CreationTime", "LastExecutionPipelineExecutionArn"),
        },
        name="_place",
        identity="_place",
        default_sort="Name",
    )


def find(cloud: Cloud, name_or_arn: str) -> dict[str, Any]:
    """The stored pipeline, by name or ARN; ResourceNotFound if there is none."""
    name = name_or_arn.rpartition("/")[2]
    pipeline = cloud.store.get(PIPELINE, name)
    if pipeline is None or (":" in name_or_arn and pipeline["PipelineArn"] != name_or_arn):
        raise not_found("Pipeline", name_or_arn if ":" in name_or_arn else cloud.arn("pipeline", name))
    return pipeline


def find_version(cloud: Cloud, pipeline: dict[str, Any], version: int) -> dict[str, Any]:
    """One version of a pipeline; ResourceNotFound if there is none."""
    stored = cloud.store.get(VERSION, f"{pipeline['PipelineName']}/{version}")
    if stored is None:
        raise not_found("Pipeline version", f"{pipeline['PipelineArn']} {version}")
    return stored


def _definition(cloud: Cloud, request: dict[str, Any]) -> str | None:
    """The checked definition of a request, which may lie in S3; None if it has none."""
    text, place = request.get("PipelineDefinition"), request.get("PipelineDefinitionS3Location")
    if text is not None and place is not None:
        raise validation_error("Give PipelineDefinition or PipelineDefinitionS3Location, not both.")
    try:
        if place is not None:
            location = Location(place["Bucket"], place["ObjectKey"])
            text = Transfer(cloud.s3).read_text(location, 4 * 1_048_576, place.get("VersionId"))
        if text is not None:
            read(text, lambda kind, request: _refuse(cloud, kind, request))
    except (DefinitionError, JobError) as error:
        raise validation_error(f"Unable to parse pipeline definition. {error}") from None
    return text


def _refuse(cloud: Cloud, step_type: str, request: dict[str, Any]) -> None:
    """ApiError for a step's request that would be refused when the step runs, whatever there is by then."""
    if step_type == "Model":
        models.check_request(request)
        for container in request.get("Containers") or [request["PrimaryContainer"]]:
            check_image(cloud, container.get("Image", ANY_IMAGE))
    elif step_type == "EndpointConfig":
        endpoint_configs.check_request(request)
    elif step_type == "Transform":
        check_transform_job(request)
    elif step_type == "RegisterModel":
        model_packages.check_request(request)
    else:
        new_document(cloud, step_type, request)


def _stored_definition(cloud: Cloud, pipeline: dict[str, Any]) -> str:
    return str(find_version(cloud, pipeline, pipeline["_version"])["PipelineDefinition"])


def _store_version(cloud: Cloud, pipeline: dict[str, Any], definition: str) -> None:
    name, version = pipeline["PipelineName"], pipeline["_version"]
    document = {"PipelineVersionId": version, "PipelineDefinition": definition, "CreationTime": cloud.clock()}
    cloud.store.put(VERSION, f"{name}/{version}", document, parent=name)


def _summary(pipeline: dict[str, Any]) -> dict[str, Any]:
    members = ("PipelineArn", "PipelineName", "PipelineDisplayName", "PipelineDescription", "RoleArn")
    times = {"LastExecutionTime": pipeline.get("LastRunTime")}
    return {**pick(pipeline, *members, "CreationTime", "LastModifiedTime"), **times}
