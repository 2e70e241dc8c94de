"""The application as data, for the tests: template, expanded template, state machine, roles."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from tests.workflow.dependencies import resolved

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "workflow" / "template.yaml"
MACHINE = ROOT / "workflow" / "inference.asl.json"
BULK_MACHINE = ROOT / "workflow" / "bulk.asl.json"


@cache
def template() -> dict[str, Any]:
    return yaml_parse(TEMPLATE.read_text())


@cache
def expanded() -> dict[str, Any]:
    """The template as CloudFormation sees it, after SAM."""
    packaged = yaml_parse(TEMPLATE.read_text())
    for resource in packaged["Resources"].values():
        properties = resource["Properties"]
        for local in {"CodeUri", "DefinitionUri"} & set(properties):
            properties[local] = {"Bucket": "artifacts", "Key": str(properties[local])}
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    return translator.translate(packaged, parameter_values={})


@cache
def machine() -> dict[str, Any]:
    return json.loads(MACHINE.read_text())


@cache
def bulk_machine() -> dict[str, Any]:
    return json.loads(BULK_MACHINE.read_text())


def resources(kind: str) -> dict[str, dict[str, Any]]:
    found = expanded()["Resources"].items()
    return {name: resource["Properties"] for name, resource in found if resource["Type"] == kind}


def statements(role: str) -> Iterator[dict[str, Any]]:
    """Every statement that a role has with the parameters' defaults, in its own policies and in those attached."""
    policies = resolved(resources("AWS::IAM::Role")[role].get("Policies", []), holds=False)
    documents = [policy["PolicyDocument"] for policy in policies]
    for resource in expanded()["Resources"].values():
        # With the defaults no condition holds: there is no key, no VPC.
        if resource["Type"] != "AWS::IAM::Policy" or "Condition" in resource:
            continue
        policy = resource["Properties"]
        if {"Ref": role} in policy["Roles"]:
            documents.append(policy["PolicyDocument"])
    for document in documents:
        yield from document["Statement"]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(role: str) -> set[str]:
    return {action for statement in statements(role) for action in as_list(statement["Action"])}
