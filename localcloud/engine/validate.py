"""Refuses, when a pipeline is created, what could not run: unknown references, circles, arguments that AWS refuses."""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.model import ServiceModel, Shape

from localcloud.api import ApiError
from localcloud.api.shapes import check_request, service_model
from localcloud.engine.conditions import ConditionError
from localcloud.engine.conditions import check as check_condition
from localcloud.engine.definition import Definition, DefinitionError, Step
from localcloud.engine.graph import dependencies, own_arguments
from localcloud.engine.references import Get, UnknownReferenceError, find, is_reference

EXECUTION_VARIABLES = (
    "StartDateTime",
    "CurrentDateTime",
    "PipelineName",
    "PipelineArn",
    "PipelineExecutionId",
    "PipelineExecutionArn",
    "TrainingJobName",
    "ProcessingJobName",
)
CREATES = {"Processing": "CreateProcessingJob", "Training": "CreateTrainingJob", "RegisterModel": "CreateModelPackage"}
JOB_NAMES = {"Processing": "ProcessingJobName", "Training": "TrainingJobName"}
_DESCRIBES = {
    "Processing": "DescribeProcessingJob",
    "Training": "DescribeTrainingJob",
    "RegisterModel": "DescribeModelPackage",
}
# A value of the right form for members that a step's arguments leave to the pipeline.
_ANY_ROLE = "arn:aws:iam::000000000000:role/any"


@cache
def sagemaker_model() -> ServiceModel:
    """botocore's model of SageMaker, loaded once: it is a file of megabytes."""
    return service_model("sagemaker")


def check(definition: Definition, model: ServiceModel) -> None:
    """Raise DefinitionError, naming the step, for what cannot run. `model` is botocore's of SageMaker."""
    for step in definition.steps.values():
        try:
            for get in find(own_arguments(step)):
                _check_get(definition, step, get, model)
        except UnknownReferenceError as error:
            raise DefinitionError(f"Step {step.name!r}: {error}") from None
        _check_property_files(step)
    dependencies(definition)
    for step in definition.steps.values():
        _check_arguments(step, model)


def _check_get(definition: Definition, step: Step, get: Get, model: ServiceModel) -> None:
    known: Any = {"Parameters": definition.parameters, "Execution": EXECUTION_VARIABLES, "Steps": definition.steps}
    if get.name not in known[get.kind]:
        raise UnknownReferenceError(f"Unknown property reference {get.text!r}: there is no {get.name!r}.")
    if get.kind != "Steps":
        return
    target = definition.steps[get.name]
    if get.property_file is not None:
        if get.property_file not in [file.name for file in target.property_files]:
            raise UnknownReferenceError(f"{get.text!r}: step {target.name!r} has no such property file.")
        return
    if target.type == "Condition" and get.path == ("Outcome",):
        return
    if target.type not in _DESCRIBES:
        raise UnknownReferenceError(f"{get.text!r}: a step of type {target.type} has no properties.")
    _check_path(get, model.operation_model(_DESCRIBES[target.type]).output_shape, target.arguments)


def _check_path(get: Get, shape: Shape, given: Any) -> None:
    """Follow a path through the Describe answer; where the arguments give a list by name, the name must be in it."""
    for token in get.path:
        if shape.type_name == "structure" and token in shape.members:
            shape = shape.members[token]
        elif shape.type_name == "map" and isinstance(token, str):
            shape = shape.value
        elif shape.type_name == "list":
            shape = shape.member
            if isinstance(given, list) and isinstance(token, str):
                given = next((m for m in given if isinstance(m, dict) and token in m.values()), None)
                if given is None:
                    raise UnknownReferenceError(f"Unknown property reference {get.text!r}: there is no {token!r}.")
                continue
        else:
            raise UnknownReferenceError(f"Unknown property reference {get.text!r}: there is no {token!r}.")
        given = given.get(token) if isinstance(given, dict) else None


def _check_property_files(step: Step) -> None:
    outputs = (step.arguments.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    names = [output.get("OutputName") for output in outputs if isinstance(output, dict)]
    for file in step.property_files:
        if step.type != "Processing" or file.output_name not in names:
            raise DefinitionError(
                f"Step {step.name!r}: property file {file.name!r} is of output {file.output_name!r}, "
                f"which the step does not have."
            )


def _check_arguments(step: Step, model: ServiceModel) -> None:
    if step.type == "Condition":
        conditions = step.arguments.get("Conditions")
        if not isinstance(conditions, list) or not conditions:
            raise DefinitionError(f"Step {step.name!r} has no Conditions.")
        for condition in conditions:
            try:
                check_condition(condition)
            except ConditionError as error:
                raise DefinitionError(f"Step {step.name!r}: {error}") from None
    elif step.type == "Fail":
        message = step.arguments.get("ErrorMessage", "")
        if not isinstance(message, str) and not is_reference(message):
            raise DefinitionError(f"Step {step.name!r}: ErrorMessage must be a string or a reference.")
    else:
        request = with_defaults(step, {"RoleArn": _ANY_ROLE, JOB_NAMES.get(step.type, ""): "name"})
        try:
            check_request(model.operation_model(CREATES[step.type]).input_shape, request, is_reference)
        except ApiError as error:
            raise DefinitionError(f"Step {step.name!r}: {error.message}") from None


def with_defaults(step: Step, defaults: dict[str, Any]) -> dict[str, Any]:
    """The step's arguments, with what the pipeline gives where they have nothing."""
    defaults = {k: v for k, v in defaults.items() if k and not (k == "RoleArn" and step.type == "RegisterModel")}
    return {**defaults, **step.arguments}
