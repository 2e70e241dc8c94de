"""Checks the parameters that an execution is started with, and gives them their types. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.api.strict_json import finite
from localcloud.engine.definition import Definition, Parameter, is_of_type


class ParameterError(ValueError):
    """A parameter is unknown, missing, of another type, or not one of the values allowed."""


def bind(definition: Definition, given: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The typed value of every parameter, from the request's list of Name and Value and the defaults."""
    values: dict[str, Any] = {}
    for item in given:
        name = item["Name"]
        if name not in definition.parameters:
            known = ", ".join(definition.parameters) or "none"
            raise ParameterError(f"The pipeline has no parameter {name!r}. It has: {known}.")
        if name in values:
            raise ParameterError(f"Parameter {name!r} is given more than once.")
        values[name] = _bound(definition.parameters[name], item["Value"])
    for parameter in definition.parameters.values():
        if parameter.name not in values and parameter.default is None:
            raise ParameterError(f"Parameter {parameter.name!r} has no default, so it must be given a value.")
        values.setdefault(parameter.name, parameter.default)
    return values


def typed(kind: str, text: str) -> Any:
    """The value of a parameter type that a text stands for; ParameterError if it is none."""
    if kind == "String":
        return text
    if kind == "Boolean":
        # The SDKs send Python's words.
        text = text.lower()
    try:
        value = json.loads(text, parse_constant=lambda _: None, parse_float=finite)
    except (ValueError, RecursionError):
        value = None
    if not is_of_type(value, kind):
        raise ParameterError(f"{text!r} is not of type {kind}.")
    return value


def _bound(parameter: Parameter, text: str) -> Any:
    """Return the typed value of a parameter; ParameterError for another type, or a value that is not allowed."""
    try:
        value = typed(parameter.type, text)
    except ParameterError:
        raise ParameterError(f"Parameter {parameter.name!r} is of type {parameter.type}; {text!r} is not.") from None
    if parameter.enum and value not in parameter.enum:
        allowed = ", ".join(map(str, parameter.enum))
        raise ParameterError(f"Parameter {parameter.name!r} must be one of {allowed}; {text!r} is not.")
    return value
