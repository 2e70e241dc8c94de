"""What a JSONPath state makes of its data: InputPath, Parameters, ResultSelector, ResultPath, OutputPath, Assign.

Source: https://states-language.net/spec.html, "Input and Output Processing".
"""

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

from localcloud.ministack.asl import intrinsics, json_paths
from localcloud.ministack.asl.errors import RUNTIME, StateError

# A cause on AWS has at most 32,768 characters; the start of a big input tells enough.
_MOST_INPUT = 10_000
_REFERENCE = re.compile(r"""\.([^.\[\]]+)|\['((?:\\.|[^'\\])*)'\]|\["((?:\\.|[^"\\])*)"\]""")

Context = Mapping[str, Any]


def select(path: str, field: str, data: Any, context: Context | None) -> Any:
    """What a path of the given field finds; StateError that names path and field if it leads to nothing."""
    try:
        return json_paths.find(path, data, context)
    except json_paths.MissingPathError:
        shown = json.dumps(data, default=str)[:_MOST_INPUT]
        cause = f"The JSONPath '{path}' specified for the field '{field}' could not be found in the input '{shown}'"
        raise StateError(RUNTIME, cause) from None


def fill(template: Any, data: Any, context: Context | None = None) -> Any:
    """A payload template with its paths and intrinsic functions replaced."""
    if isinstance(template, list):
        return [fill(item, data, context) for item in template]
    if not isinstance(template, dict):
        return template
    made = {}
    for name, value in template.items():
        if not (name.endswith(".$") and isinstance(value, str)):
            made[name] = fill(value, data, context)
        elif value.startswith("States."):
            made[name[:-2]] = intrinsics.evaluate(value, data, context)
        else:
            made[name[:-2]] = select(value, name, data, context)
    return made


def input_path(state: dict[str, Any], data: Any, context: Context | None = None) -> Any:
    """The part of a state's input that it works with."""
    path = state.get("InputPath", "$")
    return {} if path is None else select(path, "InputPath", data, context)


def output_path(state: dict[str, Any], data: Any, context: Context | None = None) -> Any:
    """The part of a state's output that it hands on."""
    path = state.get("OutputPath", "$")
    return {} if path is None else select(path, "OutputPath", data, context)


def parameters(state: dict[str, Any], data: Any, context: Context | None = None) -> Any:
    """A state's input after Parameters."""
    return fill(state["Parameters"], data, context) if "Parameters" in state else data


def result_selector(state: dict[str, Any], result: Any, context: Context | None = None) -> Any:
    """A result after ResultSelector."""
    return fill(state["ResultSelector"], result, context) if "ResultSelector" in state else result


def result_path(path: str | None, data: Any, result: Any) -> Any:
    """The input of a state with a result put where a reference path says; StateError if it cannot be put there."""
    if path is None:
        return copy.deepcopy(data)
    if path == "$":
        return result
    names = [one or re.sub(r"\\(.)", r"\1", two or three) for one, two, three in _REFERENCE.findall(path[1:])]
    output = copy.deepcopy(data)
    place = output
    for number, name in enumerate(names):
        if not isinstance(place, dict):
            cause = f"Unable to apply ReferencePath {path} to input {json.dumps(data, default=str)[:_MOST_INPUT]}"
            raise StateError("States.ResultPathMatchFailure", cause)
        if number == len(names) - 1:
            place[name] = result
        place = place.setdefault(name, {})
    return output


def after_result(state: dict[str, Any], data: Any, result: Any, context: Context | None = None) -> Any:
    """What a state hands on, given its input and the result of its work."""
    selected = result_selector(state, result, context)
    return output_path(state, result_path(state.get("ResultPath", "$"), data, selected), context)


def assign(state: dict[str, Any], data: Any, context: dict[str, Any]) -> None:
    """Set variables to what a JSONPath state's Assign says; `data` is what `$` means in it."""
    if isinstance(state.get("Assign"), dict):
        # All at once: a template sees the variables as they were.
        made = fill(state["Assign"], data, context)
        context["variables"] = {**(context.get("variables") or {}), **made}
