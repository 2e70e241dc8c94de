"""The order in which CloudFormation makes the resources of a template, and what their roles may do by then."""

import re
from collections.abc import Iterator
from typing import Any

Template = dict[str, Any]
NO_VALUE = {"Ref": "AWS::NoValue"}


def resolved(node: Any, holds: bool) -> Any:
    """The template's part with every condition true, or every condition false; members without a value are left out."""
    if isinstance(node, dict):
        if "Fn::If" in node:
            _, yes, no = node["Fn::If"]
            return resolved(yes if holds else no, holds)
        members = {name: resolved(value, holds) for name, value in node.items()}
        return {name: value for name, value in members.items() if value != NO_VALUE}
    if isinstance(node, list):
        return [value for item in node if (value := resolved(item, holds)) != NO_VALUE]
    return node


def made(template: Template, holds: bool) -> dict[str, dict[str, Any]]:
    """The resources that are made when every condition is true, or false."""
    found = template["Resources"].items()
    return {name: resolved(resource, holds) for name, resource in found if holds or "Condition" not in resource}


def references(node: Any) -> Iterator[str]:
    """The names that a part of a template refers to."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "Ref":
                yield value
            elif name == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else value.split(".")[0]
            elif name == "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                yield from (found.split(".")[0] for found in re.findall(r"\$\{([^!}]+)\}", text))
                yield from references(value[1:] if isinstance(value, list) else [])
            elif name == "DependsOn":
                yield from [value] if isinstance(value, str) else value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def before(name: str, resources: dict[str, dict[str, Any]]) -> set[str]:
    """The resources that surely exist before this one is made."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for other in references(resources[waiting.pop()]):
            if other in resources and other not in reached:
                reached.add(other)
                waiting.append(other)
    return reached


def granted_before(name: str, role: str, resources: dict[str, dict[str, Any]]) -> set[str]:
    """The actions that a role surely has when the resource is made: its own, and those of policies made before."""
    documents = [policy["PolicyDocument"] for policy in resources[role]["Properties"].get("Policies", [])]
    for other in before(name, resources):
        attached = resources[other]
        if attached["Type"] == "AWS::IAM::Policy" and {"Ref": role} in attached["Properties"]["Roles"]:
            documents.append(attached["Properties"]["PolicyDocument"])
    actions: set[str] = set()
    for document in documents:
        for statement in document["Statement"]:
            action = statement["Action"]
            actions |= {action} if isinstance(action, str) else set(action)
    return actions
