"""Refuses, when a pipeline is created, what could not run: unknown members and references, circles, bad arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.model import Shape

from localcloud.api import ApiError
from localcloud.api.shapes import check_request
from localcloud.engine.baselines import problem
from localcloud.engine.conditions import ConditionError, kind_of
from localcloud.engine.conditions import check as check_condition
from localcloud.engine.definition import Definition, DefinitionError, Step, load, parse_document
from localcloud.engine.graph import dependencies, own_arguments
from localcloud.engine.members import unknown
from localcloud.engine.references import Get, UnknownReferenceError, check_functions, find, is_reference, parse_get
from localcloud.engine.specimens import UnknownFormError, without_references
from localcloud.engine.step_types import STEP_TYPES, listed_shape, properties_shape, request_shape

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
EXPERIMENT_MEMBERS = ("ExperimentName", "TrialName")
# A value of the right form for members that a step's arguments leave to the pipeline.
_ANY_ROLE = "arn:aws:iam::000000000000:role/any"

# The kinds of values, as conditions compare them, by the types of parameters and of botocore's shapes.
_KINDS = {
    **dict.fromkeys(("String", "string"), "string"),
    **dict.fromkeys(("Integer", "Float", "integer", "long", "float", "double"), "number"),
    **dict.fromkeys(("Boolean", "boolean"), "boolean"),
}

Refuse = Callable[[str, dict[str, Any]], object]


def read(text: str, refuse: Refuse) -> Definition:
    """The definition in `text`, if it can run.

    `refuse(step type, request)` raises ApiError for a request that the local cloud would refuse when the step runs; in
    the request each reference is replaced by a value that its member could have.

    Raises:
        DefinitionError: it cannot run; the text names the step and the member.
    """
    document = load(text)
    misspelt = unknown(document)
    if misspelt:
        raise DefinitionError(f"Unknown member{'s' if len(misspelt) > 1 else ''}: {'; '.join(misspelt)}.")
    definition = parse_document(document)
    _check_experiment(definition)
    for step in definition.steps.values():
        try:
            check_functions(own_arguments(step))
            for get in find(own_arguments(step)):
                _check_get(definition, step, get)
        except UnknownReferenceError as error:
            raise DefinitionError(f"Step {step.name!r}: {error}") from None
        _check_property_files(step)
    dependencies(definition)
    for step in definition.steps.values():
        try:
            _check_arguments(definition, step, refuse)
        except ConditionError as error:
            raise DefinitionError(f"Step {step.name!r}: {error}") from None
        except ApiError as error:
            raise DefinitionError(f"Step {step.name!r}: {error.message}") from None
    return definition


def _check_experiment(definition: Definition) -> None:
    """DefinitionError if a name of PipelineExperimentConfig is no text, or not known when an execution starts."""
    known: Any = {"Parameters": definition.parameters, "Execution": EXECUTION_VARIABLES}
    for member, value in (definition.experiment or {}).items():
        if not isinstance(value, str) and not (is_reference(value) and "Std:JsonGet" not in value):
            raise DefinitionError(
                f"PipelineExperimentConfig: {member} must be a string, Get or Std:Join, not {value!r:.100}."
            )
        try:
            check_functions(value)
            unknown_here = [get.text for get in find(value) if get.name not in known.get(get.kind, ())]
        except UnknownReferenceError as error:
            raise DefinitionError(f"PipelineExperimentConfig: {error}") from None
        if unknown_here:
            raise DefinitionError(f"PipelineExperimentConfig: Unknown property reference {unknown_here[0]!r}.")


def _check_get(definition: Definition, step: Step, get: Get) -> None:
    """UnknownReferenceError if a Get names something that the definition or the step that it names does not have."""
    known: Any = {
        "Parameters": definition.parameters,
        "Execution": EXECUTION_VARIABLES,
        "PipelineExperimentConfig": EXPERIMENT_MEMBERS,
        "Steps": definition.steps,
    }
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
    if target.type in ("Lambda", "Callback"):
        names = [output.name for output in target.outputs]
        if len(get.path) != 2 or get.path[0] != "OutputParameters" or get.path[1] not in names:
            raise UnknownReferenceError(
                f"{get.text!r}: the OutputParameters of step {target.name!r} are: {', '.join(names) or 'none'}."
            )
        return
    known_here = STEP_TYPES[target.type].properties
    if known_here:
        if len(get.path) != 1 or get.path[0] not in known_here:
            raise UnknownReferenceError(
                f"{get.text!r}: the properties of step {target.name!r} are: {', '.join(known_here)}."
            )
        return
    shape = properties_shape(target.type)
    if shape is None:
        raise UnknownReferenceError(f"{get.text!r}: a step of type {target.type} has no properties.")
    listed = listed_shape(target.type)
    if listed is not None and get.path[:1] and get.path[0] in listed.members:
        shape = listed
    _check_path(get, shape, target.arguments)


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
    """DefinitionError for a property file of an output that the step does not have."""
    config = step.arguments.get("ProcessingOutputConfig")
    outputs = config.get("Outputs") if isinstance(config, dict) else None
    listed = outputs if isinstance(outputs, list) else []
    names = [output.get("OutputName") for output in listed if isinstance(output, dict)]
    for file in step.property_files:
        if file.output_name not in names:
            raise DefinitionError(
                f"Step {step.name!r}: property file {file.name!r} is of output {file.output_name!r}, "
                f"which the step does not have."
            )


def _kind(definition: Definition, value: Any) -> str | None:
    """The kind of value that a side of a condition has in every run; None if that is not known before."""
    if not is_reference(value):
        return kind_of(value)
    ((function, argument),) = value.items()
    if function != "Get":
        return "string" if function == "Std:Join" else None
    get = parse_get(argument)
    if get.kind == "Parameters":
        return _KINDS[definition.parameters[get.name].type]
    if get.kind != "Steps":
        return "string"
    target = definition.steps[get.name]
    if target.outputs:
        return next(_KINDS[output.type] for output in target.outputs if output.name == get.path[1])
    shape = properties_shape(target.type)
    for token in get.path:
        if shape is None or shape.type_name in ("list", "map"):
            shape = None if shape is None else shape.member if shape.type_name == "list" else shape.value
        else:
            shape = shape.members.get(token) if shape.type_name == "structure" else None
    return None if shape is None else _KINDS.get(shape.type_name)


def _check_arguments(definition: Definition, step: Step, refuse: Refuse) -> None:
    """DefinitionError if a step's arguments could not be those of a request, whatever its references give."""
    if step.type == "Condition":
        conditions = step.arguments.get("Conditions")
        if not isinstance(conditions, list) or not conditions:
            raise DefinitionError(f"Step {step.name!r} has no Conditions.")
        for condition in conditions:
            check_condition(condition, lambda value: _kind(definition, value))
    elif step.type == "Fail":
        message = step.arguments.get("ErrorMessage", "")
        if not isinstance(message, str) and not is_reference(message):
            raise DefinitionError(f"Step {step.name!r}: ErrorMessage must be a string or a reference.")
    elif step.type in ("Lambda", "Callback"):
        member = "FunctionArn" if step.type == "Lambda" else "SqsQueueUrl"
        if not (isinstance(step.target, str) and step.target) and not is_reference(step.target):
            raise DefinitionError(f"Step {step.name!r} needs {member}.")
    else:
        wrong = None if step.check is None else problem(step.name, step.type, step.check)
        if wrong:
            raise DefinitionError(wrong)
        request = with_defaults(step, _ANY_ROLE, "name")
        shape = request_shape(step.type)
        check_request(shape, request, is_reference)
        try:
            specimen = without_references(request, shape)
        except UnknownFormError:
            return
        refuse(step.type, specimen)


def with_defaults(step: Step, role: str, name: str) -> dict[str, Any]:
    """The step's arguments, with the pipeline's role and a name of what is made where they have none."""
    kind = STEP_TYPES[step.type]
    defaults: dict[str, Any] = {"RoleArn": role} if kind.job else {}
    if kind.name_member:
        defaults[kind.name_member] = name
    elif step.type == "RegisterModel" and "ModelPackageGroupName" not in step.arguments:
        # The SDKs leave the name of a package outside of a group to the execution.
        defaults["ModelPackageName"] = name
    return {**defaults, **step.arguments}
