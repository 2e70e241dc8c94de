"""Templates of CloudFormation, checked before a stack is touched, as CloudFormation does.

Unpatched, MiniStack takes names that lead nowhere for empty texts, and some shapes end in an error of Python's.
Sources: CloudFormation User Guide, "Template sections" and "Troubleshooting" for the sentences.
"""

import functools
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from types import ModuleType
from typing import Any

from localcloud.ministack.private_names import find_names

_ALPHANUMERIC = re.compile("[A-Za-z0-9]+")
_SUBSTITUTED = re.compile(r"\$\{([^!][^}]*)\}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # XML 1.0, which the answers are
# Of a resource these are not values that references may stand in.
_NOT_VALUES = ("Type", "Metadata", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy")


def check(template: dict[str, Any]) -> None:
    """ValueError, in CloudFormation's words, for a template that no stack can be made of.

    One that macros have yet to change (a Transform, Fn::ForEach) is not looked at.
    """
    resources = template.get("Resources")
    if template.get("Transform") or (
        isinstance(resources, dict) and any(name.startswith("Fn::") for name in resources)
    ):
        return
    if not isinstance(resources, dict) or not resources:
        raise ValueError("Template format error: At least one Resources member must be defined.")
    for text in _texts(template):
        if _NO_TEXT.search(text):
            raise ValueError(f"Template format error: {text!a:.100} is no text that XML can hold.")
    for name, resource in resources.items():
        _check_resource(name, resource)
    conditions = _section(template, "Conditions")
    _check_conditions(conditions, resources)
    known = {*resources, *_section(template, "Parameters")}
    needs = {name: {*_needed(resource), *_depends_on(resource)} for name, resource in resources.items()}
    _check_known({one for needed in needs.values() for one in needed}, known, "Resources")
    outputs = _section(template, "Outputs")
    _check_known({name for output in outputs.values() for name in _references(output)}, known, "Outputs")
    circle = _circle({name: needed & resources.keys() for name, needed in needs.items()})
    if circle:
        raise ValueError(f"Circular dependency between resources: [{', '.join(circle)}]")


def _check_resource(name: Any, resource: Any) -> None:
    if not isinstance(name, str) or not _ALPHANUMERIC.fullmatch(name):
        raise ValueError(f"Template format error: Resource name {name} is non alphanumeric.")
    if not isinstance(resource, dict):
        message = f"Template format error: [/Resources/{name}] resource definition is malformed"
        raise ValueError(message)  # noqa: TRY004 - what MiniStack takes for a refusal
    if not isinstance(resource.get("Type"), str):
        message = f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        raise ValueError(message)  # noqa: TRY004 - as above


def _check_conditions(conditions: dict[str, Any], resources: dict[str, Any]) -> None:
    """ValueError for a condition that is not there, or that needs itself."""
    for name, resource in resources.items():
        wanted = resource.get("Condition")
        if wanted is not None and (not isinstance(wanted, str) or wanted not in conditions):
            raise ValueError(
                f"Template format error: Unresolved condition dependency {wanted} in the Resources block of the "
                f"template, at {name}"
            )
    needs = {name: {*_conditions_in(value)} for name, value in conditions.items()}
    for name, needed in needs.items():
        missing = sorted(needed - conditions.keys())
        if missing:
            raise ValueError(
                f"Template format error: Unresolved condition dependency {missing[0]} in the Conditions block of the "
                f"template, at {name}"
            )
    circle = _circle(needs)
    if circle:
        raise ValueError(f"Template error: Circular dependency between conditions: [{', '.join(circle)}]")


def _check_known(names: set[str], known: set[str], block: str) -> None:
    missing = sorted(name for name in names - known if not name.startswith("AWS::"))
    if missing:
        raise ValueError(
            f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] in the {block} block of "
            "the template"
        )


def _circle(needs: dict[str, set[str]]) -> list[str]:
    """The names that need each other in a circle, or nothing."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return sorted(set(error.args[1]))
    return []


def _section(template: dict[str, Any], name: str) -> dict[str, Any]:
    section = template.get(name)
    return section if isinstance(section, dict) else {}


def _needed(resource: dict[str, Any]) -> Iterator[str]:
    for name, value in resource.items():
        if name not in _NOT_VALUES:
            yield from _references(value)


def _depends_on(resource: dict[str, Any]) -> list[str]:
    given = resource.get("DependsOn", [])
    return [name for name in (given if isinstance(given, list) else [given]) if isinstance(name, str)]


def _references(value: Any) -> Iterator[str]:
    """The logical ids that Ref, Fn::GetAtt and Fn::Sub inside of a value name."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == "Fn::Sub" and len(value) == 1:
                yield from _substituted(inner)
            elif name == "Ref" and len(value) == 1 and isinstance(inner, str):
                yield inner.partition(".")[0]
            elif name == "Fn::GetAtt" and len(value) == 1:
                first = inner[0] if isinstance(inner, list) and inner else inner
                if isinstance(first, str):
                    yield first.partition(".")[0]
            else:
                yield from _references(inner)


def _substituted(inner: Any) -> Iterator[str]:
    """The logical ids of an Fn::Sub: of its text but for its own variables, and of what these are set to."""
    text, own = inner if isinstance(inner, list) and len(inner) == 2 else (inner, {})
    if isinstance(text, str):
        for name in _SUBSTITUTED.findall(text):
            if not isinstance(own, dict) or name not in own:
                yield name.strip().partition(".")[0]
    yield from _references(list(own.values()) if isinstance(own, dict) else own)


def _conditions_in(value: Any) -> Iterator[str]:
    """The conditions that a condition names."""
    if isinstance(value, list):
        for item in value:
            yield from _conditions_in(item)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name == "Condition" and isinstance(inner, str):
                yield inner
            else:
                yield from _conditions_in(inner)


def _texts(value: Any) -> Iterator[str]:
    """All texts in a template."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]


def install(modules: list[ModuleType]) -> None:
    """Patch the modules that create, change, compare and validate: the check comes before all that evaluates."""
    for module in modules:
        for name in ("_evaluate_conditions", "validate_template_support"):
            find_names(module, name)
            setattr(module, name, _checked(getattr(module, name)))


def install_numbers(engine: ModuleType) -> None:
    """Patch the module that reads parameters: Python's numbers are more than CloudFormation's."""
    find_names(engine, "_check_parameter_constraints")
    unpatched = engine._check_parameter_constraints

    @functools.wraps(unpatched)
    def constrained(name: str, declared: dict[str, Any], kind: str, value: str) -> None:
        if kind in {"Number", "List<Number>"}:
            for one in value.split(","):
                if not _NUMBER.fullmatch(one.strip()):
                    raise ValueError(f"Parameter '{name}' must be a number")
        unpatched(name, declared, kind, value)

    engine._check_parameter_constraints = constrained  # type: ignore[attr-defined] # the module's own


def _checked(function: Any) -> Any:
    """A function of a template that first checks it."""

    @functools.wraps(function)
    def checked(template: dict[str, Any], *rest: Any, **named: Any) -> Any:
        check(template)
        return function(template, *rest, **named)

    return checked
