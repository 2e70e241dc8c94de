"""Requests checked and answers shaped by botocore's own service model, with AWS's wording for what is wrong.

botocore's ParamValidator knows neither enums, patterns nor maximums, so the model is walked here.
"""

import base64
import binascii
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import regex  # botocore's patterns are Java's: \p{L} and the like are not in `re`
from botocore.loaders import create_loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from localcloud.api.errors import ApiError, validation_error

_NUMBERS = {"integer": int, "long": int, "float": (int, float), "double": (int, float)}
# The largest size of a value of each type: Java's int and long, IEEE 754, and the last second of the year 9999.
LARGEST = {
    "integer": 2**31 - 1,
    "long": 2**63 - 1,
    "float": (2 - 2**-23) * 2.0**127,
    "double": sys.float_info.max,
    "timestamp": 253_402_300_799,
}


class AnswerError(Exception):
    """An answer that does not fit AWS's model: a bug in an operation."""


@cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of a service, e.g. `sagemaker`; from its package data, without network."""
    return ServiceModel(create_loader().load_service_model(service, "service-2"), service)


Skip = Callable[[Any], bool]


def check_request(shape: StructureShape, value: Any, skip: Skip | None = None) -> dict[str, Any]:
    """The request without unknown members; ApiError (Serialization- or ValidationException) if AWS would refuse it.

    Values for which `skip(value)` is true are taken as they are: a pipeline's references stand for values to come.
    """
    problems: list[str] = []
    checked: dict[str, Any] = _Check(problems, skip).value(shape, value, "")
    if problems:
        raise validation_error(detected(problems))
    return checked


def check_member(shape: Shape, value: Any, name: str) -> list[str]:
    """What is wrong with one member's value, in AWS's words; empty if nothing is."""
    problems: list[str] = []
    _Check(problems, None).value(shape, value, lower_first(name))
    return problems


class _Check:
    """Walks shape and value together."""

    def __init__(self, problems: list[str], skip: Skip | None) -> None:
        self._problems = problems
        self._skip = skip

    def value(self, shape: Shape, value: Any, path: str) -> Any:
        """The checked value; what is wrong with it goes to `problems`."""
        if self._skip is not None and self._skip(value):
            return value
        problems = self._problems
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape, _typed(value, dict, shape, path), path)
        if kind == "list":
            _check_length(shape, _typed(value, list, shape, path), path, problems)
            return [self.value(shape.member, v, f"{path}.{n}.member") for n, v in enumerate(value, 1)]
        if kind == "map":
            return self._map(shape, _typed(value, dict, shape, path), path)
        if kind in _NUMBERS:
            _check_number(shape, _typed(value, _NUMBERS[kind], shape, path), path)
            _check_bounds(shape, value, value, "value", path, problems)
        elif kind == "boolean":
            _typed(value, bool, shape, path)
        elif kind == "timestamp":
            _check_number(shape, _typed(value, (int, float), shape, path), path)
            return float(value)
        elif kind == "blob":
            try:
                value = base64.b64decode(_typed(value, str, shape, path), validate=True)
            except binascii.Error:
                _wrong_type(value, shape, path)
            _check_bounds(shape, len(value), "<bytes>", "length", path, problems)
        else:
            _check_string(shape, _typed(value, str, shape, path), path, problems)
        return value

    def _structure(self, shape: StructureShape, value: dict[str, Any], path: str) -> dict[str, Any]:
        """Return the checked members of a structure; missing required ones go to `problems`."""
        problems = self._problems
        checked = {}
        prefix = f"{path}." if path else ""
        for name, member in shape.members.items():
            given = value.get(name)
            if given is not None:
                checked[name] = self.value(member, given, prefix + lower_first(name))
            elif name in shape.required_members:
                problems.append(problem(None, prefix + lower_first(name), "Member must not be null"))
        if getattr(shape, "is_tagged_union", False) and len(checked) != 1:
            problems.append(problem(value, path, f"Exactly one member must be set of [{', '.join(shape.members)}]"))
        return checked

    def _map(self, shape: MapShape, value: dict[str, Any], path: str) -> dict[str, Any]:
        """A map's checked copy; violations of its keys and values are noted in the words that AWS uses for maps."""
        problems = self._problems
        _check_length(shape, value, path, problems)
        checked = {}
        for key, item in value.items():
            for part, label, member in ((key, "keys", shape.key), (item, "value", shape.value)):
                if part is None:
                    problems.append(problem(None, f"{path}.{key}", "Member must not be null"))
                    continue
                if label == "value" and shape.value.type_name not in ("string", *_NUMBERS):
                    checked[key] = self.value(member, part, f"{path}.{key}")
                    continue
                inner: list[str] = []
                result = _Check(inner, self._skip).value(member, part, path)
                if inner:
                    rules = ", ".join(problem.split("constraint: ", 1)[1] for problem in inner)
                    problems.append(problem(value, path, f"Map {label} must satisfy constraint: [{rules}]"))
                if label == "value":
                    checked[key] = result
        return checked


def _check_length(shape: ListShape | MapShape, value: Any, path: str, problems: list[str]) -> None:
    _check_bounds(shape, len(value), value, "length", path, problems)


def _check_number(shape: Shape, value: float, path: str) -> None:
    """Raise SerializationException for a number that its type cannot hold, as infinity (1e400 in JSON) in any."""
    largest = LARGEST[shape.type_name]
    if isinstance(value, bool) or not -largest <= value <= largest:
        _wrong_type(value, shape, path)


def _check_string(shape: Shape, value: str, path: str, problems: list[str]) -> None:
    """Add to `problems` where a string breaks the shape's enum, length or pattern."""
    if "\0" in value:
        # No variable, argument or file name of a job can hold it.
        problems.append(problem(value.replace("\0", "\\0"), path, "Member must not contain the null character"))
        return
    if shape.enum and value not in shape.enum:
        problems.append(problem(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"))
    _check_bounds(shape, len(value), value, "length", path, problems)
    pattern = shape.metadata.get("pattern")
    if pattern and not shape.enum and not compiled(pattern).fullmatch(value):
        problems.append(problem(value, path, f"Member must satisfy regular expression pattern: {pattern}"))


def _check_bounds(shape: Shape, size: float, value: Any, what: str, path: str, problems: list[str]) -> None:
    """Add to `problems` where `size`, the value's length or the value itself (`what`), is out of bounds."""
    rule = broken_bound(size, bounds(shape), what)
    if rule:
        problems.append(problem(value, path, rule))


def bounds(shape: Shape) -> tuple[float | None, float | None]:
    """The least and the most of a shape's length or value."""
    return shape.metadata.get("min"), shape.metadata.get("max")


def broken_bound(size: float, allowed: tuple[float | None, float | None], what: str = "value") -> str | None:
    """The rule that a length or value breaks, in AWS's words; None if it is within what is allowed."""
    least, most = allowed
    if least is not None and size < least:
        return f"Member must have {what} greater than or equal to {least}"
    if most is not None and size > most:
        return f"Member must have {what} less than or equal to {most}"
    return None


def detected(problems: list[str]) -> str:
    """The message about all that is wrong with a request, in AWS's words."""
    plural = "s" if len(problems) > 1 else ""
    return f"{len(problems)} validation error{plural} detected: {'; '.join(problems)}"


def problem(value: Any, path: str, constraint: str) -> str:
    """One thing that is wrong with a request, in AWS's words."""
    shown = "null" if value is None else f"'{str(value)[:300]}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _typed(value: Any, wanted: Any, shape: Shape, path: str) -> Any:
    if not isinstance(value, wanted):
        _wrong_type(value, shape, path)
    return value


def _wrong_type(value: Any, shape: Shape, path: str) -> None:
    """Raise SerializationException for a value that is not of the shape's type."""
    raise ApiError("SerializationException", expected(shape.type_name, value, path))


def expected(kind: str, value: Any, path: str) -> str:
    """The message about a value that has another type than `kind`."""
    at = f" at '{path}'" if path else ""
    return f"Expected {kind}{at}, got {type(value).__name__} {str(value)[:100]!r}."


def lower_first(name: str) -> str:
    """The name with a small first letter, as AWS writes members in its messages."""
    return name[:1].lower() + name[1:]


@cache
def compiled(pattern: str) -> "regex.Pattern[str]":
    r"""A pattern of the model, as Java's matcher reads it: ASCII \w \d \s, \z for the end, the whole value."""
    translated = pattern.replace(r"\z", r"\Z").replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    # Two patterns quantify the end anchor; the bounds are in the shape's own min and max.
    translated = regex.sub(r"\$\{1,\d+\}$", "", translated)
    return regex.compile(translated, regex.ASCII if r"\p{" not in pattern else 0)


def shape_answer(shape: Shape, value: Any, strict: bool, path: str = "answer") -> Any:
    """The value in the shape's form, without unset and private members.

    `strict`: a member that AWS does not have, one of the wrong type, or a missing required one raises AnswerError.
    Without it unknown members are dropped.
    """
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            raise AnswerError(f"{path}: expected a structure, got {value!r}")
        if strict:
            unknown = [n for n in value if n not in shape.members and not n.startswith("_")]
            missing = [n for n in shape.required_members if value.get(n) is None]
            if unknown or missing:
                raise AnswerError(f"{path}: unknown members {unknown}, missing required members {missing}")
        return {
            name: shape_answer(member, value[name], strict, f"{path}.{name}")
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if kind == "list":
        return [shape_answer(shape.member, item, strict, f"{path}[{n}]") for n, item in enumerate(value)]
    if kind == "map":
        return {key: shape_answer(shape.value, item, strict, f"{path}[{key}]") for key, item in value.items()}
    if strict:
        _check_scalar(shape, value, path)
    return value


def _check_scalar(shape: Shape, value: Any, path: str) -> None:
    """AnswerError unless the value is of the shape's type and one of its enum."""
    wanted: Any = {"boolean": bool, "timestamp": (int, float), **_NUMBERS}.get(shape.type_name, str)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise AnswerError(f"{path}: expected {shape.type_name}, got {value!r}")
    if shape.type_name == "string" and shape.enum and value not in shape.enum:
        raise AnswerError(f"{path}: {value!r} is none of {shape.enum}")
