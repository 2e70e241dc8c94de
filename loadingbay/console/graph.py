"""Reads the steps of a pipeline and their order from its definition, SageMaker's pipeline definition JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.target import Target
from pipelines import aws

_REFERENCE = re.compile(r'"(?:Get|Std:[A-Za-z]+)": "Steps\.([^."]+)')


@dataclass(frozen=True)
class Node:
    """A step. `level` is how many steps must have ended before it can begin, along the longest way."""

    name: str
    kind: str
    level: int


def graph(target: Target) -> list[Node]:
    """The steps of the stage's pipeline as it is defined now; [] when there is none."""
    try:
        described = target.client("sagemaker").describe_pipeline(PipelineName=target.stage)
    except ClientError as error:
        if not aws.is_missing(error):
            raise
        return []
    return nodes(described["PipelineDefinition"])


def nodes(definition: str) -> list[Node]:
    """The steps in an order in which they can run; [] for a definition that is not one."""
    try:
        steps = json.loads(definition).get("Steps", [])
    except (ValueError, AttributeError):
        return []
    flat = list(_flat(steps, ""))
    needed = {step["Name"]: _needed(step, before) for step, before in flat}
    levels: dict[str, int] = {}

    def level(name: str, seen: frozenset[str] = frozenset()) -> int:
        if name not in levels:
            before = [one for one in needed[name] if one in needed and one not in seen]
            levels[name] = 1 + max((level(one, seen | {name}) for one in before), default=-1)
        return levels[name]

    return sorted(
        (Node(step["Name"], step.get("Type", ""), level(step["Name"])) for step, _ in flat), key=lambda node: node.level
    )


def _flat(steps: Sequence[Mapping[str, Any]], condition: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """(step, condition it is inside) of all steps."""
    for step in steps:
        yield step, condition
        if step.get("Type") == "Condition":
            inside = step.get("Arguments", {})
            yield from _flat([*inside.get("IfSteps", []), *inside.get("ElseSteps", [])], step["Name"])


def _needed(step: Mapping[str, Any], condition: str) -> set[str]:
    own = {key: value for key, value in step.get("Arguments", {}).items() if key not in {"IfSteps", "ElseSteps"}}
    return {*_REFERENCE.findall(json.dumps(own)), *step.get("DependsOn", []), *([condition] if condition else [])}
