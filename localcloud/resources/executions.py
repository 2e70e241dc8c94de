"""Pipeline executions: start, stop, retry, describe and list, with their steps and parameters."""

from collections.abc import Iterator
from typing import Any

from localcloud.api import ApiError, not_found, operation, page, pick, refuse, validation_error
from localcloud.api.shapes import check_request
from localcloud.cloud import Cloud
from localcloud.engine.definition import Definition, DefinitionError, parse
from localcloud.engine.graph import reused
from localcloud.engine.parameters import ParameterError, bind
from localcloud.engine.records import EXECUTION, PIPELINE, RUNNING, STEP, TOKEN, VERSION, Records, announce_execution
from localcloud.engine.references import as_text, resolve
from localcloud.engine.scope import ExecutionScope
from localcloud.engine.step_types import sagemaker_model
from localcloud.resources import tracking
from localcloud.resources.pipelines import find as find_pipeline
from localcloud.resources.pipelines import find_version

_MOST_NAME = 120
"""The most characters of an experiment's or a trial's name."""


@operation("StartPipelineExecution")
def start_pipeline_execution(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Start an execution, of all steps or of selected ones. The same token returns the same execution."""
    refuse(request, "MlflowExperimentName")
    selection = request.get("SelectiveExecutionConfig") or {}
    pipeline = find_pipeline(cloud, request["PipelineName"])
    name = pipeline["PipelineName"]
    version = request.get("PipelineVersionId", pipeline["_version"])
    definition = parse(find_version(cloud, pipeline, version)["PipelineDefinition"])
    try:
        taken = _taken(cloud, pipeline, definition, selection) if selection else []
        parameters = bind(definition, request.get("PipelineParameters", []))
    except (ParameterError, DefinitionError) as error:
        raise validation_error(str(error)) from None
    now, identifier = cloud.clock(), cloud.new_id(12)
    arn = f"{pipeline['PipelineArn']}/execution/{identifier}"
    execution = {
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineExecutionArn": arn,
        "PipelineExecutionDisplayName": f"execution-{int(now * 1000)}",
        "PipelineExecutionStatus": "Executing",
        "PipelineVersionId": version,
        "CreationTime": now,
        "LastModifiedTime": now,
        "CreatedBy": cloud.user(),
        "LastModifiedBy": cloud.user(),
        **pick(pipeline, "ParallelismConfiguration"),
        **pick(request, "PipelineExecutionDisplayName", "PipelineExecutionDescription", "ParallelismConfiguration"),
        **pick(request, "SelectiveExecutionConfig"),
        "_pipeline": name,
        "_parameters": parameters,
        "_role": pipeline["RoleArn"],
    }
    execution["PipelineExperimentConfig"] = _experiment(cloud, definition, execution)
    with cloud.store.transaction():
        token = f"start/{name}/{request['ClientRequestToken']}"
        before = cloud.store.get(TOKEN, token)
        if before is not None:
            return {"PipelineExecutionArn": before["arn"]}
        cloud.store.insert(EXECUTION, arn, execution, parent=name)
        cloud.store.insert(TOKEN, token, {"arn": arn}, parent=name)
        for step in sorted(taken, key=lambda step: float(step["StartTime"])):
            cloud.store.insert(STEP, f"{arn}/{step['StepName']}", step, parent=arn)
        _make_trial(cloud, execution)
        cloud.store.update(PIPELINE, name, {"LastRunTime": now})
    announce_execution(cloud, execution, None)
    cloud.engine.start(arn)
    return {"PipelineExecutionArn": arn}


def _taken(
    cloud: Cloud, pipeline: dict[str, Any], definition: Definition, selection: dict[str, Any]
) -> list[dict[str, Any]]:
    """The steps that a selective execution takes from its source, as they ended there.

    DefinitionError if there is no source, or a step that is needed did not succeed in it.
    """
    needed = reused(definition, {selected["StepName"] for selected in selection["SelectedSteps"]})
    source = selection.get("SourcePipelineExecutionArn")
    if source is None:
        if needed:
            raise DefinitionError(
                f"The selected steps need {sorted(needed)[0]!r}, which is not among them: select it as well, or give "
                "SourcePipelineExecutionArn, an execution to take its result from."
            )
        return []
    execution = _find(cloud, source)
    if execution["PipelineArn"] != pipeline["PipelineArn"]:
        raise DefinitionError(f"SourcePipelineExecutionArn {source} is of another pipeline.")
    if execution["PipelineExecutionStatus"] not in ("Succeeded", "Failed"):
        status = execution["PipelineExecutionStatus"]
        raise DefinitionError(f"SourcePipelineExecutionArn {source} is {status}; it must have Succeeded or Failed.")
    steps = {step["StepName"]: step for step in cloud.store.documents(STEP, source)}
    for name in sorted(needed):
        status = steps[name]["StepStatus"] if name in steps else "not run"
        if status != "Succeeded":
            raise DefinitionError(f"The selected steps need {name!r}, which is {status} in {source}.")
    result = {"SelectiveExecutionResult": {"SourcePipelineExecutionArn": source}}
    return [{**steps[name], **result} for name in definition.steps if name in needed]


def _experiment(cloud: Cloud, definition: Definition, execution: dict[str, Any]) -> dict[str, Any] | None:
    """The names of the experiment and the trial that the execution is; ValidationException if they cannot be such."""
    if definition.experiment is None:
        return None
    names = resolve(definition.experiment, ExecutionScope(cloud, execution, {}, lambda: cloud.s3))
    cut = {name: as_text(value)[:_MOST_NAME].rstrip("-") for name, value in names.items()}
    return check_request(sagemaker_model().shape_for("ExperimentConfig"), cut)


def _make_trial(cloud: Cloud, execution: dict[str, Any]) -> None:
    """Make the experiment and the trial that the execution's jobs belong to, as far as they are not there."""
    names = execution["PipelineExperimentConfig"] or {}
    for resource, source in ((tracking.EXPERIMENT, "PipelineArn"), (tracking.TRIAL, "PipelineExecutionArn")):
        if names.keys() >= {"ExperimentName", "TrialName"} and not cloud.store.get(resource.kind, names[resource.name]):
            named = names if resource is tracking.TRIAL else pick(names, "ExperimentName")
            tracking.create(cloud, resource, {**named, "Source": {"SourceArn": execution[source]}})


@operation("DescribePipelineExecution")
def describe_pipeline_execution(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Describe an execution. One that waits because nothing can be stored says so as its FailureReason."""
    execution = _find(cloud, request["PipelineExecutionArn"])
    refused = cloud.retried.refused if execution["PipelineExecutionStatus"] in RUNNING else None
    return {**execution, "FailureReason": refused} if refused else execution


@operation("ListPipelineExecutions")
def list_pipeline_executions(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List a pipeline's executions, newest first by default."""
    pipeline = find_pipeline(cloud, request["PipelineName"])
    return page(
        request,
        cloud.store.select(EXECUTION, pipeline["PipelineName"]),
        member="PipelineExecutionSummaries",
        summary=lambda e: {
            **pick(
                e,
                "PipelineExecutionArn",
                "PipelineExecutionStatus",
                "PipelineExecutionDescription",
                "PipelineExecutionDisplayName",
            ),
            "StartTime": e["CreationTime"],
            "PipelineExecutionFailureReason": e.get("FailureReason"),
        },
        name="PipelineExecutionArn",
        identity="PipelineExecutionArn",
        sort={"PipelineExecutionArn": "PipelineExecutionArn"},
    )


@operation("ListPipelineExecutionSteps")
def list_pipeline_execution_steps(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List the steps that have started, the last one first by default."""
    if "PipelineExecutionArn" not in request:
        raise validation_error("PipelineExecutionArn must be given.")
    execution = _find(cloud, request["PipelineExecutionArn"])

    def steps(after: tuple[Any, str] | None, count: int) -> Iterator[dict[str, Any]]:
        # Inserted when they start, in the definition's order those that start in the same moment.
        """At most `count` steps after a place, each with its own place, for the page."""
        found = cloud.store.inserted(
            STEP,
            execution["PipelineExecutionArn"],
            None if after is None else int(after[1]),
            count,
            descending=request.get("SortOrder") != "Ascending",
        )
        for place, step in found:
            yield {**step, "_place": f"{place:020d}"}

    return page(
        request,
        steps,
        member="PipelineExecutionSteps",
        # A step that has just started has no metadata yet: an unset member, not an empty one.
        summary=lambda step: {name: value for name, value in step.items() if not name.startswith("_") and value != {}},
        name="StepName",
        identity="_place",
        sort={"Place": "_place"},
        default_sort="Place",
    )


@operation("ListPipelineParametersForExecution")
def list_pipeline_parameters_for_execution(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """List all parameters with the values that the execution uses."""
    execution = _find(cloud, request["PipelineExecutionArn"])
    return page(
        request,
        [{"Name": name, "Value": as_text(value)} for name, value in execution["_parameters"].items()],
        member="PipelineParameters",
        summary=lambda parameter: parameter,
        name="Name",
        identity="Name",
        default_sort="Name",
        default_order="Ascending",
        default_size=100,
    )


@operation("DescribePipelineDefinitionForExecution")
def describe_pipeline_definition_for_execution(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Return the definition that the execution was started with."""
    execution = _find(cloud, request["PipelineExecutionArn"])
    version = cloud.store.get(VERSION, f"{execution['_pipeline']}/{execution['PipelineVersionId']}") or {}
    return pick(version, "PipelineDefinition", "CreationTime")


@operation("StopPipelineExecution")
def stop_pipeline_execution(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Stop an execution and its running steps; ConflictException if it has ended."""
    arn = request["PipelineExecutionArn"]
    execution = _find(cloud, arn)
    if not Records(cloud, arn).begin_stopping():
        raise ApiError(
            "ConflictException",
            f"Pipeline execution with ARN {arn} cannot be stopped: it has status "
            f"{execution['PipelineExecutionStatus']}.",
        )
    cloud.engine.stop(arn)
    return {"PipelineExecutionArn": arn}


@operation("RetryPipelineExecution")
def retry_pipeline_execution(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Run failed and stopped steps, and those after them, again; a token of an earlier retry has no effect."""
    arn = request["PipelineExecutionArn"]
    with cloud.store.transaction():
        execution = _find(cloud, arn)
        token = f"retry/{arn}/{request['ClientRequestToken']}"
        if cloud.store.get(TOKEN, token) is not None:
            return {"PipelineExecutionArn": arn}
        if execution["PipelineExecutionStatus"] not in ("Failed", "Stopped"):
            raise ApiError(
                "ConflictException",
                f"Pipeline execution with ARN {arn} cannot be retried: it has status "
                f"{execution['PipelineExecutionStatus']}, not Failed or Stopped.",
            )
        cloud.store.insert(TOKEN, token, {"arn": arn}, parent=execution["_pipeline"])
        for step in cloud.store.documents(STEP, arn):
            if step["StepStatus"] != "Succeeded":
                cloud.store.delete(STEP, f"{arn}/{step['StepName']}")
        if "ParallelismConfiguration" in request:
            cloud.store.update(EXECUTION, arn, pick(request, "ParallelismConfiguration"))
    Records(cloud, arn).set_status("Executing")
    cloud.engine.start(arn)
    return {"PipelineExecutionArn": arn}


@operation("UpdatePipelineExecution")
def update_pipeline_execution(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Change an execution's name, description, or how many steps run at once."""
    execution = _find(cloud, request["PipelineExecutionArn"])
    members = ("PipelineExecutionDescription", "PipelineExecutionDisplayName", "ParallelismConfiguration")
    changes = {**pick(request, *members), "LastModifiedTime": cloud.clock(), "LastModifiedBy": cloud.user()}
    cloud.store.update(EXECUTION, execution["PipelineExecutionArn"], changes)
    return {"PipelineExecutionArn": execution["PipelineExecutionArn"]}


def _find(cloud: Cloud, arn: str) -> dict[str, Any]:
    execution = cloud.store.get(EXECUTION, arn)
    if execution is None:
        raise not_found("Pipeline execution", arn)
    return execution
