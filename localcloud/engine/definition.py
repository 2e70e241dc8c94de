"""Parses a pipeline definition (schema version 2020-12-01) into dataclasses; DefinitionError names what is invalid."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from localcloud.api import strict_json
from localcloud.engine.caching import CacheConfig, parse_cache_config
from localcloud.engine.retries import RetryPolicy, parse_retry_policies
from localcloud.engine.step_types import STEP_TYPES

SCHEMA_VERSION = "2020-12-01"
MAX_CHARACTERS = 1_048_576
MAX_STEPS = 500
MAX_PARAMETERS = 200
MAX_STEP_NAME = 64
_LONG = 2**63
_HALF = re.compile("[\ud800-\udfff]")
PARAMETER_TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (int, float),
    "Boolean": (bool,),
}
OUTPUT_TYPES = PARAMETER_TYPES


# What AWS takes for a definition without the member; null stands for none.
DEFAULT_EXPERIMENT = {
    "ExperimentName": {"Get": "Execution.PipelineName"},
    "TrialName": {"Get": "Execution.PipelineExecutionId"},
}
_TARGETS = {"Lambda": "FunctionArn", "Callback": "SqsQueueUrl"}


class DefinitionError(ValueError):
    """The definition cannot be run; the text says where and why."""


@dataclass(frozen=True)
class Parameter:
    """One pipeline parameter; `default` is None when a value must be given at the start."""

    name: str
    type: str
    default: Any = None
    enum: tuple[Any, ...] = ()


@dataclass(frozen=True)
class PropertyFile:
    """A JSON file in one of a step's outputs that later steps may read with Std:JsonGet."""

    name: str
    output_name: str
    path: str


@dataclass(frozen=True)
class OutputParameter:
    """A value that a Lambda or Callback step leaves to later steps."""

    name: str
    type: str


@dataclass(frozen=True)
class Step:
    """One step. `parent` and `branch` are set for steps inside a Condition: its name, and True for IfSteps.

    `target` is the function's ARN of a Lambda step, and the queue's URL of a Callback step; either may be a reference.
    `check` are the members of a check step that say what it compares with; values may be references.
    """

    name: str
    type: str
    arguments: dict[str, Any]
    display_name: str | None = None
    description: str | None = None
    depends_on: tuple[str, ...] = ()
    retry_policies: tuple[RetryPolicy, ...] = ()
    cache: CacheConfig | None = None
    property_files: tuple[PropertyFile, ...] = ()
    target: Any = None
    check: dict[str, Any] | None = None
    outputs: tuple[OutputParameter, ...] = ()
    parent: str | None = None
    branch: bool | None = None


@dataclass(frozen=True)
class Definition:
    """Parameters by name, and all steps by name (those inside conditions too) in document order.

    `experiment` is the member PipelineExperimentConfig, None where the executions are no trials of an experiment.
    """

    parameters: dict[str, Parameter] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    experiment: dict[str, Any] | None = None


def parse(text: str) -> Definition:
    """The definition in `text`; unknown members are passed over.

    Raises:
        DefinitionError: it is not JSON, too large, of another schema version, or malformed.
    """
    return parse_document(load(text))


def load(text: str) -> dict[str, Any]:
    """The JSON object in `text`; DefinitionError if it is none, or too large."""
    if len(text) > MAX_CHARACTERS:
        raise DefinitionError(f"The definition has {len(text):,} characters; the limit is {MAX_CHARACTERS:,}.")
    try:
        document = strict_json.loads(text, _members)
    except DefinitionError:
        raise
    except ValueError as error:
        raise DefinitionError(f"The definition is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise DefinitionError("The definition must be a JSON object.")
    for place, text in _strings(document):
        held = "a null character" if "\0" in text else "half of a surrogate pair" if _HALF.search(text) else ""
        if held:
            raise DefinitionError(f"{place} holds {held}, which no variable, argument or file name can hold.")
    return document


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object with these members; DefinitionError if one is there twice: no reader could say which one counts."""
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DefinitionError(f"The member {twice!a:.100} is there twice in one object.")
    return members


def _strings(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """All strings with their places, such as `Steps[0].Arguments.Environment.A`."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _strings(item, f"{place}[{number}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield place or "The definition", name
            yield from _strings(item, f"{place}.{name}".lstrip("."))


def parse_document(document: dict[str, Any]) -> Definition:
    """The definition in a JSON object; DefinitionError where it is malformed."""
    if document.get("Version") != SCHEMA_VERSION:
        raise DefinitionError(f"Version is {document.get('Version')!r}; it must be {SCHEMA_VERSION!r}.")
    parameters = _parameters(_given(document, "Parameters"))
    steps: dict[str, Step] = {}
    for step in _steps(document.get("Steps"), "Steps", None, None):
        if step.name in steps:
            raise DefinitionError(f"Step names must be unique: {step.name!r} occurs more than once.")
        steps[step.name] = step
    if not steps:
        raise DefinitionError("The definition has no steps.")
    if len(steps) > MAX_STEPS:
        raise DefinitionError(f"The definition has {len(steps)} steps; the limit is {MAX_STEPS}.")
    experiment = document.get("PipelineExperimentConfig", DEFAULT_EXPERIMENT)
    if experiment is not None:
        _object(experiment, "PipelineExperimentConfig")
    return Definition(parameters, steps, experiment)


def _parameters(items: Any) -> dict[str, Parameter]:
    """The definition's parameters by name; DefinitionError if one is doubled, of no known type or one too many."""
    parameters: dict[str, Parameter] = {}
    for item in _list(items, "Parameters"):
        entry = _object(item, "Parameters")
        name, kind = _name(entry.get("Name"), "Parameters"), entry.get("Type")
        where = f"Parameter {name!r}"
        if name in parameters:
            raise DefinitionError(f"Parameter names must be unique: {name!r} occurs more than once.")
        if not isinstance(kind, str) or kind not in PARAMETER_TYPES:
            raise DefinitionError(f"{where}: Type is {kind!r}; it must be one of {', '.join(PARAMETER_TYPES)}.")
        default, enum = entry.get("DefaultValue"), tuple(_list(_given(entry, "EnumValues"), where))
        for value in (*enum, *([] if default is None else [default])):
            if not is_of_type(value, kind):
                raise DefinitionError(f"{where}: {value!r} is not of type {kind}.")
        if default is not None and enum and default not in enum:
            raise DefinitionError(f"{where}: the default {default!r} is not one of {list(enum)}.")
        parameters[name] = Parameter(name, kind, default, enum)
    if len(parameters) > MAX_PARAMETERS:
        raise DefinitionError(f"The definition has {len(parameters)} parameters; the limit is {MAX_PARAMETERS}.")
    return parameters


def is_of_type(value: Any, kind: str) -> bool:
    """Whether a JSON value is of a parameter type: a boolean is never a number, and a number fits into 64 bits."""
    if not isinstance(value, PARAMETER_TYPES[kind]) or (kind == "Boolean") != isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -_LONG <= value < _LONG
    return not isinstance(value, float) or math.isfinite(value)


def _steps(items: Any, where: str, parent: str | None, branch: bool | None) -> Iterator[Step]:
    """Parse steps, and those inside Condition steps; `where` names the place in errors (DefinitionError)."""
    for item in _list(items, where):
        entry = _object(item, where)
        step = _step(entry, where, parent, branch)
        yield step
        if step.type == "Condition":
            for key, taken in (("IfSteps", True), ("ElseSteps", False)):
                yield from _steps(_given(step.arguments, key), f"Step {step.name!r} {key}", step.name, taken)


def _step(entry: dict[str, Any], where: str, parent: str | None, branch: bool | None) -> Step:
    """Parse one step, in a branch of the Condition step `parent` if it is in one. DefinitionError if malformed."""
    name = _name(entry.get("Name"), where)
    if len(name) > MAX_STEP_NAME:
        raise DefinitionError(f"Step name {name!r} has {len(name)} characters; the limit is {MAX_STEP_NAME}.")
    place, kind = f"Step {name!r}", entry.get("Type")
    if not isinstance(kind, str) or kind not in STEP_TYPES:
        raise DefinitionError(
            f"{place} is of type {kind!r}, which the local cloud does not run. It runs: {', '.join(STEP_TYPES)}."
        )
    try:
        return Step(
            name=name,
            type=kind,
            arguments=_object(entry.get("Arguments"), f"{place} Arguments"),
            display_name=_text(entry.get("DisplayName"), f"{place} DisplayName"),
            description=_text(entry.get("Description"), f"{place} Description"),
            depends_on=tuple(_dependency(d, place) for d in _list(_given(entry, "DependsOn"), place)),
            retry_policies=parse_retry_policies(_given(entry, "RetryPolicies")),
            cache=parse_cache_config(entry.get("CacheConfig")),
            property_files=tuple(_property_file(p, place) for p in _list(_given(entry, "PropertyFiles"), place)),
            target=entry.get(_TARGETS[kind]) if kind in _TARGETS else None,
            check={name: entry[name] for name in STEP_TYPES[kind].checks if name in entry}
            if STEP_TYPES[kind].checks
            else None,
            outputs=tuple(_output(o, place) for o in _list(_given(entry, "OutputParameters"), place)),
            parent=parent,
            branch=branch,
        )
    except DefinitionError:
        raise
    except ValueError as error:
        raise DefinitionError(f"{place}: {error}") from None


def _dependency(item: Any, place: str) -> str:
    """Return the name of a step in DependsOn; DefinitionError, which names `place`, if a Trigger stands with it."""
    if isinstance(item, dict) and "Trigger" in item:
        raise DefinitionError(
            f"{place} DependsOn: the local cloud does not support a Trigger, here {item['Trigger']!r} of step "
            f"{item.get('Step')!r}. Give the step's name alone: this step then runs after that one has completed."
        )
    return _name(item, f"{place} DependsOn")


def _property_file(item: Any, place: str) -> PropertyFile:
    """Parse an element of PropertyFiles; DefinitionError, which names `place`, when a member is missing."""
    entry = _object(item, f"{place} PropertyFiles")
    values = [entry.get(key) for key in ("PropertyFileName", "OutputName", "FilePath")]
    if not all(isinstance(v, str) and v for v in values):
        raise DefinitionError(f"{place}: a property file needs PropertyFileName, OutputName and FilePath.")
    return PropertyFile(*values)  # type: ignore[arg-type]  # checked above, which mypy cannot follow


def _output(item: Any, place: str) -> OutputParameter:
    """Parse an element of OutputParameters; DefinitionError, which names `place`, when it is malformed."""
    entry = _object(item, f"{place} OutputParameters")
    name, kind = entry.get("OutputName"), entry.get("OutputType", "String")
    if not isinstance(name, str) or not name or not isinstance(kind, str) or kind not in OUTPUT_TYPES:
        raise DefinitionError(
            f"{place}: an output parameter needs OutputName, and as OutputType one of {', '.join(OUTPUT_TYPES)}."
        )
    return OutputParameter(name, kind)


def _given(entry: dict[str, Any], member: str) -> Any:
    """A member that is a list where it is given; an empty one where it is missing or null."""
    value = entry.get(member)
    return [] if value is None else value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise DefinitionError(f"{where} must be a list.")
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DefinitionError(f"{where} must be an object.")
    return value


def _text(value: Any, where: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise DefinitionError(f"{where} must be a string.")
    return value


def _name(value: Any, where: str) -> str:
    """Return the value if it can name a step or parameter; DefinitionError, which names the place `where`, if not."""
    if not isinstance(value, str) or not value or len(value) > 256:
        raise DefinitionError(f"{where}: a name of 1 to 256 characters is missing.")
    if not all(c.isascii() and (c.isalnum() or c in "-_") for c in value):
        raise DefinitionError(f"{where}: the name {value!r} may hold only letters, digits, '-' and '_'.")
    return value
