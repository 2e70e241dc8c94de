"""Names the members of a pipeline definition that SageMaker does not have: a misspelt one must not be ignored. Pure.

What the arguments of a step may hold is read from botocore's model of the operation that the step calls. Whatever
stands in the place of a value that is known at run time only (`Get`, `Std:Join`, `Std:JsonGet`) is looked into as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import Any

from botocore.model import Shape

from localcloud.engine.references import FUNCTIONS as REFERENCES
from localcloud.engine.references import is_reference
from localcloud.engine.step_types import STEP_TYPES, request_shape

DEFINITION = ("Version", "Metadata", "Parameters", "PipelineExperimentConfig", "MlflowConfig", "Steps")
EXPERIMENT = ("ExperimentName", "TrialName")
MLFLOW = ("MlflowResourceArn", "MlflowExperimentName")
PARAMETER = ("Name", "Type", "Description", "DefaultValue", "EnumValues")
STEP = ("Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description")
PROPERTY_FILE = ("PropertyFileName", "OutputName", "FilePath")
CACHE = ("Enabled", "ExpireAfter")
RETRY = ("ExceptionType", "IntervalSeconds", "BackoffRate", "MaxAttempts", "ExpireAfterMin")
OUTPUT_PARAMETER = ("OutputName", "OutputType")
ARGUMENTS = {"Condition": ("Conditions", "IfSteps", "ElseSteps"), "Fail": ("ErrorMessage",)}
FUNCTIONS = {"Std:Join": ("On", "Values"), "Std:JsonGet": ("PropertyFile", "S3Uri", "Path")}
CONDITIONS = {"In": ("Type", "QueryValue", "Values"), "Not": ("Type", "Condition"), "Or": ("Type", "Conditions")}
COMPARISON = ("Type", "LeftValue", "RightValue")


def unknown(document: dict[str, Any]) -> list[str]:
    """One phrase for each unknown member, such as `'DependOn' in step 'After' (did you mean 'DependsOn'?)`.

    `document` is a definition read from JSON. Values of a wrong type are skipped: the parser refuses them.
    """
    found = list(_of(document, DEFINITION, "the definition"))
    found += _of(document.get("PipelineExperimentConfig"), EXPERIMENT, "PipelineExperimentConfig")
    found += _functions(document.get("PipelineExperimentConfig"), "PipelineExperimentConfig")
    found += _of(document.get("MlflowConfig"), MLFLOW, "MlflowConfig")
    for parameter in _objects(document.get("Parameters")):
        found += _of(parameter, PARAMETER, f"parameter {parameter.get('Name')!r}")
    found += _steps(document.get("Steps"))
    return found


def _steps(items: Any) -> Iterator[str]:
    """Yield a sentence for each member of the steps, nested ones included, that SageMaker does not have."""
    for step in _objects(items):
        kind, where = str(step.get("Type")), f"step {step.get('Name')!r}"
        if kind not in STEP_TYPES:
            continue
        yield from _of(step, (*STEP, *STEP_TYPES[kind].members), where)
        yield from _of(step.get("CacheConfig"), CACHE, f"CacheConfig of {where}")
        for policy in _objects(step.get("RetryPolicies")):
            yield from _of(policy, RETRY, f"RetryPolicies of {where}")
        for file in _objects(step.get("PropertyFiles")):
            yield from _of(file, PROPERTY_FILE, f"PropertyFiles of {where}")
        for output in _objects(step.get("OutputParameters")):
            yield from _of(output, OUTPUT_PARAMETER, f"OutputParameters of {where}")
        arguments = step.get("Arguments")
        if kind in ARGUMENTS:
            yield from _of(arguments, ARGUMENTS[kind], f"Arguments of {where}")
        shape = request_shape(kind)
        if shape is not None:
            yield from _shaped(arguments, shape, f"Arguments of {where}")
        elif kind == "Condition" and isinstance(arguments, dict):
            yield from _conditions(arguments.get("Conditions"), where)
            for branch in ("IfSteps", "ElseSteps"):
                yield from _steps(arguments.get(branch))
        else:
            yield from _functions(arguments, f"Arguments of {where}")


def _shaped(value: Any, shape: Shape, where: str) -> Iterator[str]:
    """Yield a phrase for each member of the value that botocore's shape does not have; `where` is its place."""
    if is_reference(value):
        yield from _functions(value, where)
    elif shape.type_name == "structure" and isinstance(value, dict):
        yield from _of(value, shape.members, where)
        for name, member in shape.members.items():
            yield from _shaped(value.get(name), member, f"{name} in {where}")
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            yield from _shaped(item, shape.member, where)
    elif shape.type_name == "map" and isinstance(value, dict):
        for item in value.values():
            yield from _shaped(item, shape.value, where)


def _conditions(items: Any, where: str) -> Iterator[str]:
    """Yield a phrase for each unknown member of conditions, nested ones included."""
    for condition in _objects(items):
        kind = str(condition.get("Type"))
        yield from _of(condition, CONDITIONS.get(kind, COMPARISON), f"a condition of {where}")
        inner = [condition.get("Condition")] if kind == "Not" else condition.get("Conditions") if kind == "Or" else []
        yield from _conditions(inner, where)
        for name in ("LeftValue", "RightValue", "QueryValue", "Values"):
            yield from _functions(condition.get(name), f"a condition of {where}")


def _functions(value: Any, where: str) -> Iterator[str]:
    """Yield a phrase for each unknown member of the functions (`Std:Join` and others) inside a value."""
    if isinstance(value, list):
        for item in value:
            yield from _functions(item, where)
    elif isinstance(value, dict):
        reference = next((name for name in REFERENCES if name in value), None)
        if reference is not None and len(value) > 1:
            yield from _of(value, (reference,), f"a reference ({reference}) in {where}")
        if is_reference(value):
            ((name, argument),) = value.items()
            yield from _of(argument, FUNCTIONS.get(name, ()), f"{name} in {where}")
        for item in value.values():
            yield from _functions(item, where)


def _of(value: Any, known: Collection[str], where: str) -> Iterator[str]:
    for name in value if isinstance(value, dict) else ():
        if name not in known:
            near = get_close_matches(name, known, 1)
            yield f"{name!r} in {where}" + (f" (did you mean {near[0]!r}?)" if near else "")


def _objects(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
