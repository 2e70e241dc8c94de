"""Finds and resolves the references of a definition: {"Get": ...}, {"Std:Join": ...}, {"Std:JsonGet": ...}."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

FUNCTIONS = ("Get", "Std:Join", "Std:JsonGet")
_TOKEN = re.compile(r"\.?([A-Za-z0-9_\-:@ ]+)|\[(\d{1,9})\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")

Token = str | int


class UnknownReferenceError(ValueError):
    """A reference is malformed, or what it names is not there."""


@dataclass(frozen=True)
class Get:
    """A parsed `Get`: kind is Parameters, Execution, PipelineExperimentConfig or Steps; `path` follows the name."""

    text: str
    kind: str
    name: str
    path: tuple[Token, ...] = ()

    @property
    def property_file(self) -> str | None:
        """The name of the property file that this points at, if it does."""
        if self.kind == "Steps" and len(self.path) == 2 and self.path[0] == "PropertyFiles":
            return str(self.path[1])
        return None


class Scope(Protocol):
    """Where values come from while a step's arguments are resolved. Each method raises UnknownReferenceError."""

    def parameter(self, name: str) -> Any:
        """The value of a pipeline parameter."""

    def execution(self, name: str) -> Any:
        """An execution variable such as PipelineExecutionId."""

    def experiment(self, name: str) -> Any:
        """ExperimentName or TrialName of the execution."""

    def properties(self, step: str) -> Any:
        """What the Describe call of the step's job answers."""

    def property_file(self, step: str, name: str) -> Any:
        """The parsed JSON of a property file."""

    def json_object(self, uri: str) -> Any:
        """The parsed JSON of an S3 object."""


def is_reference(value: Any) -> bool:
    """Whether a JSON value is a reference rather than data."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in FUNCTIONS


def tokens(path: str) -> tuple[Token, ...]:
    """The steps of a path such as A.B['x'].C[0]; UnknownReferenceError when it cannot be read."""
    found: list[Token] = []
    position = 1 if path.startswith("$") else 0
    while position < len(path):
        match = _TOKEN.match(path, position)
        if match is None:
            raise UnknownReferenceError(f"The path {path!r} cannot be read at character {position + 1}.")
        name, index, single, double = match.groups()
        found.append(int(index) if index is not None else next(t for t in (name, single, double) if t is not None))
        position = match.end()
    return tuple(found)


def parse_get(text: Any) -> Get:
    """The parsed form of the string in a `Get`."""
    if not isinstance(text, str):
        raise UnknownReferenceError(f"Get needs a string, not {text!r}.")
    kind, _, rest = text.partition(".")
    name, _, path = rest.partition(".")
    if kind in ("Parameters", "Execution", "PipelineExperimentConfig") and name and not path:
        return Get(text, kind, name)
    if kind == "Steps" and name and path:
        return Get(text, kind, name, tokens(path))
    raise UnknownReferenceError(f"Unknown property reference {text!r}.")


def find(value: Any) -> Iterator[Get]:
    """Every `Get` inside a value, those within functions too."""
    if isinstance(value, list):
        for item in value:
            yield from find(item)
    elif isinstance(value, dict):
        if is_reference(value) and "Get" in value:
            yield parse_get(value["Get"])
        else:
            for item in value.values():
                yield from find(item)


def resolve(value: Any, scope: Scope) -> Any:
    """A copy of `value` with every reference replaced by what it stands for."""
    if isinstance(value, list):
        return [resolve(item, scope) for item in value]
    if not isinstance(value, dict):
        return value
    if not is_reference(value):
        return {key: resolve(item, scope) for key, item in value.items()}
    function, argument = next(iter(value.items()))
    if function == "Get":
        return _get(parse_get(argument), scope)
    return _join(argument, scope) if function == "Std:Join" else _json_get(argument, scope)


def _get(get: Get, scope: Scope) -> Any:
    """Return what a Get stands for in the scope; UnknownReferenceError if nothing does."""
    if get.kind == "Parameters":
        return scope.parameter(get.name)
    if get.kind == "Execution":
        return scope.execution(get.name)
    if get.kind == "PipelineExperimentConfig":
        return scope.experiment(get.name)
    if get.property_file is not None:
        return scope.property_file(get.name, get.property_file)
    return walk(scope.properties(get.name), get.path, get.text)


def check_functions(value: Any) -> None:
    """UnknownReferenceError for a function inside a value whose own arguments are malformed."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if is_reference(value):
        function, argument = next(iter(value.items()))
        if function == "Std:Join":
            _check_join(argument)
        elif function == "Std:JsonGet":
            _check_json_get(argument)
    for item in items:
        check_functions(item)


def _check_join(argument: Any) -> None:
    if not isinstance(argument, dict) or not isinstance(argument.get("Values"), list):
        raise UnknownReferenceError("Std:Join needs On, a string, and Values, a list.")
    if not isinstance(argument.get("On", ""), str):
        raise UnknownReferenceError(f"Std:Join: On is {argument['On']!r}; it must be a string.")


def _check_json_get(argument: Any) -> None:
    """UnknownReferenceError unless the argument of Std:JsonGet is well-formed."""
    if not isinstance(argument, dict) or not isinstance(argument.get("Path"), str):
        raise UnknownReferenceError("Std:JsonGet needs a PropertyFile or S3Uri, and a Path.")
    tokens(argument["Path"])
    file = argument.get("PropertyFile")
    if file is None and argument.get("S3Uri") is None:
        raise UnknownReferenceError("Std:JsonGet needs a PropertyFile or S3Uri.")
    if file is not None and not (
        is_reference(file) and "Get" in file and parse_get(file["Get"]).property_file is not None
    ):
        raise UnknownReferenceError(
            f"Std:JsonGet: PropertyFile is {file!r}; it must be {{'Get': 'Steps.<step>.PropertyFiles.<name>'}}."
        )


def _join(argument: Any, scope: Scope) -> str:
    _check_join(argument)
    return str(argument.get("On", "")).join(as_text(resolve(value, scope)) for value in argument["Values"])


def _json_get(argument: Any, scope: Scope) -> Any:
    """Return what Std:JsonGet finds in a property file or S3 object; UnknownReferenceError if nothing."""
    _check_json_get(argument)
    if argument.get("PropertyFile") is not None:
        document, where = resolve(argument["PropertyFile"], scope), argument["PropertyFile"]["Get"]
    else:
        where = as_text(resolve(argument["S3Uri"], scope))
        document = scope.json_object(where)
    return walk(document, tokens(argument["Path"]), f"{argument['Path']!r} in {where}")


def walk(document: Any, path: Sequence[Token], name: str) -> Any:
    """The value at `path`. A name in brackets on a list picks the member so named: Outputs['train'] by OutputName."""
    for token in path:
        try:
            document = _member(document, token)
        except (LookupError, StopIteration):
            raise UnknownReferenceError(f"{name}: there is no {token!r}.") from None
    return document


def _member(document: Any, token: Token) -> Any:
    """Return the member or element that one step of a path names; KeyError, IndexError or StopIteration if none."""
    if isinstance(document, list) and isinstance(token, str):
        return next(m for m in document if isinstance(m, dict) and token in (m[k] for k in m if k.endswith("Name")))
    if isinstance(document, list) and isinstance(token, int):
        return document[token]
    if isinstance(document, dict):
        return document[token]
    raise KeyError(token)


def as_text(value: Any) -> str:
    """A value as Std:Join writes it: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
