"""Every target of an EventBridge rule grants EventBridge what the rule does, in the form that target supports."""

import re
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.workflow.application import ROOT, as_list, expanded

DELIVERY = yaml_parse((ROOT / "workflow" / "cicd.yaml").read_text())["Resources"]
TARGETS = [
    pytest.param(resources, rule, target, id=f"{rule}-{target['Id']}")
    for resources in (expanded()["Resources"], DELIVERY)
    for rule, resource in resources.items()
    if resource["Type"] == "AWS::Events::Rule"
    for target in resource["Properties"]["Targets"]
]
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
BY_POLICY_OF_THE_TARGET = {"AWS::Lambda::Function", "AWS::SNS::Topic", "AWS::SQS::Queue"}


def named(value: Any) -> list[str]:
    """The logical names in a value, by Ref, Fn::GetAtt or Fn::Sub."""
    if isinstance(value, list):
        return [name for one in value for name in named(one)]
    if not isinstance(value, dict):
        return []
    if "Ref" in value:
        return [value["Ref"]]
    if "Fn::GetAtt" in value:
        return [value["Fn::GetAtt"].split(".")[0] if isinstance(value["Fn::GetAtt"], str) else value["Fn::GetAtt"][0]]
    if "Fn::Sub" in value and isinstance(value["Fn::Sub"], str):
        return re.findall(r"\$\{([A-Za-z0-9]+)", value["Fn::Sub"])
    return [name for one in value.values() for name in named(one)]


def allowed(resources: dict[str, Any], kind: str, member: str, target: str) -> list[dict[str, Any]]:
    """The statements of a resource's policies in which EventBridge is the principal."""
    return [
        statement
        for resource in resources.values()
        if resource["Type"] == kind and target in named(resource["Properties"][member])
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
        if statement.get("Principal") == {"Service": "events.amazonaws.com"}
    ]


@pytest.mark.parametrize(("resources", "rule", "target"), TARGETS)
def test_a_target_has_a_role_only_where_its_own_policy_does_not_count(resources, rule, target):
    kinds = {resources[name]["Type"] for name in named(target["Arn"]) if name in resources}
    assert ("RoleArn" in target) == (not kinds & BY_POLICY_OF_THE_TARGET)


@pytest.mark.parametrize(("resources", "rule", "target"), TARGETS)
def test_a_function_lets_the_rule_call_it(resources, rule, target):
    for function in named(target["Arn"]):
        if resources.get(function, {}).get("Type") != "AWS::Lambda::Function":
            continue
        permissions = [
            resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::Lambda::Permission"
        ]
        mine = [one for one in permissions if named(one["FunctionName"]) == [function]]
        assert [one for one in mine if named(one["SourceArn"]) == [rule]]


@pytest.mark.parametrize(("resources", "rule", "target"), TARGETS)
def test_a_topic_lets_every_rule_publish_without_a_condition(resources, rule, target):
    """EventBridge supports no condition in the policy of a topic: with one, nothing is delivered and nobody is told."""
    for topic in named(target["Arn"]):
        if resources.get(topic, {}).get("Type") != "AWS::SNS::Topic":
            continue
        statements = allowed(resources, "AWS::SNS::TopicPolicy", "Topics", topic)
        assert ["sns:Publish"] in [as_list(one["Action"]) for one in statements if "Condition" not in one]


@pytest.mark.parametrize(("resources", "rule", "target"), TARGETS)
def test_a_queue_of_dead_letters_takes_those_of_the_rule(resources, rule, target):
    for queue in named(target.get("DeadLetterConfig", {})):
        statements = allowed(resources, "AWS::SQS::QueuePolicy", "Queues", queue)
        assert rule in named([one["Condition"] for one in statements])
