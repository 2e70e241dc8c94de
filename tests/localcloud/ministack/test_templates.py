"""Templates of CloudFormation are refused for what CloudFormation refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ministack.templates import check
from tests.localcloud.conftest import RunningCloud

QUEUE = {"Type": "AWS::SQS::Queue"}


def named(value: Any) -> dict[str, Any]:
    """A template with one queue, A, of this name."""
    return {"Resources": {"A": {**QUEUE, "Properties": {"QueueName": value}}}}


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ({}, "At least one Resources member must be defined"),
        ({"Resources": {}}, "At least one Resources member must be defined"),
        ({"Resources": []}, "At least one Resources member must be defined"),
        ({"Resources": {"A-b": QUEUE}}, "Resource name A-b is non alphanumeric"),
        ({"Resources": {"A": "queue"}}, "[/Resources/A] resource definition is malformed"),
        ({"Resources": {"A": {}}}, "[/Resources/A] Every Resources object must contain a Type member"),
        ({"Resources": {"A": {"Type": []}}}, "[/Resources/A] Every Resources object must contain a Type member"),
        (named({"Ref": "Z"}), "Unresolved resource dependencies [Z] in the Resources block"),
        (named({"Fn::GetAtt": ["Z", "Arn"]}), "Unresolved resource dependencies [Z] in the Resources block"),
        (named({"Fn::GetAtt": "Z.Arn"}), "Unresolved resource dependencies [Z] in the Resources block"),
        (named({"Fn::Sub": "a-${Z.Arn}-${!Y}"}), "Unresolved resource dependencies [Z] in the Resources block"),
        (named({"Fn::Sub": ["${X}", {"X": {"Ref": "Z"}}]}), "Unresolved resource dependencies [Z]"),
        ({"Resources": {"A": {**QUEUE, "DependsOn": ["Z"]}}}, "Unresolved resource dependencies [Z]"),
        (
            {"Resources": {"A": QUEUE}, "Outputs": {"O": {"Value": {"Ref": "Z"}}}},
            "Unresolved resource dependencies [Z] in the Outputs block",
        ),
        ({"Resources": {"A": {**QUEUE, "DependsOn": "A"}}}, "Circular dependency between resources: [A]"),
        (named({"Ref": "A"}), "Circular dependency between resources: [A]"),
        (
            {"Resources": {"A": {**QUEUE, "DependsOn": "B"}, "B": {**QUEUE, "DependsOn": "A"}}},
            "Circular dependency between resources: [A, B]",
        ),
        ({"Resources": {"A": {**QUEUE, "Condition": "Z"}}}, "Unresolved condition dependency Z"),
        (
            {"Resources": {"A": QUEUE}, "Conditions": {"C": {"Fn::Not": [{"Condition": "Z"}]}}},
            "Unresolved condition dependency Z in the Conditions block",
        ),
        (
            {"Resources": {"A": QUEUE}, "Conditions": {"C": {"Fn::Not": [{"Condition": "C"}]}}},
            "Circular dependency between conditions: [C]",
        ),
        (named("a\0b"), "'a\\x00b' is no text that XML can hold"),
    ],
)
def test_a_template_that_no_stack_can_be_made_of_is_refused(template: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        check(template)


@pytest.mark.parametrize(
    "template",
    [
        named({"Ref": "AWS::StackName"}),
        {**named({"Fn::Sub": "${P}-${AWS::Region}-${!Literal}"}), "Parameters": {"P": {"Type": "String"}}},
        named({"Fn::Sub": ["${Own}", {"Own": "a"}]}),
        {"Resources": {"A": QUEUE, "B": {**QUEUE, "DependsOn": "A", "Condition": "C"}}, "Conditions": {"C": True}},
        {"Resources": {"A": {"Type": "AWS::Serverless::Function"}}, "Transform": "AWS::Serverless-2016-10-31"},
        {"Resources": {"Fn::ForEach::Queues": ["Q", ["a"], {"A${Q}": QUEUE}]}},
        {"Resources": {"A": {**QUEUE, "Metadata": {"Ref": "not looked at"}}}},
    ],
)
def test_other_templates_pass(template: dict[str, Any]) -> None:
    check(template)


@pytest.mark.parametrize("name", ["cicd.yaml", "network.yaml", "template.yaml"])
def test_the_templates_that_ship_pass(name: str) -> None:
    engine = pytest.importorskip("ministack.services.cloudformation.engine")
    text = (Path(__file__).parents[3] / "workflow" / name).read_text(encoding="utf-8")
    local = re.compile(r"^( +(?:CodeUri|DefinitionUri): ).*", re.MULTILINE)

    check(engine._apply_transforms(engine._parse_template(local.sub(r"\1s3://bucket/key", text)), []))


@pytest.mark.parametrize("value", ["1_0", "\u0661", "nan", "inf", " 1 _ 0", "1e"])
def test_a_number_that_is_none_for_cloudformation_is_refused(cloud: RunningCloud, value: str) -> None:
    declared = {"P": {"Type": "Number", "MinValue": 0, "MaxValue": 100}}
    text = json.dumps({"Parameters": declared, "Resources": {"A": QUEUE}})
    given = [{"ParameterKey": "P", "ParameterValue": value}]
    with pytest.raises(ClientError, match="Parameter 'P'"):
        cloud.client("cloudformation").create_stack(StackName="numbers", TemplateBody=text, Parameters=given)


def test_creation_change_and_validation_refuse_the_same(cloud: RunningCloud) -> None:
    stacks, bad = cloud.client("cloudformation"), json.dumps(named({"Ref": "Z"}))
    stacks.create_stack(StackName="checked", TemplateBody=json.dumps({"Resources": {"A": QUEUE}}))
    stacks.get_waiter("stack_create_complete").wait(StackName="checked", WaiterConfig={"Delay": 1})

    for ask in (
        lambda: stacks.create_stack(StackName="unchecked", TemplateBody=bad),
        lambda: stacks.update_stack(StackName="checked", TemplateBody=bad),
        lambda: stacks.validate_template(TemplateBody=bad),
    ):
        with pytest.raises(ClientError, match=r"Unresolved resource dependencies \[Z\]"):
            ask()

    assert [s["StackName"] for s in stacks.describe_stacks()["Stacks"]].count("unchecked") == 0
