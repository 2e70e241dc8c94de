"""What a service looks for in a role when it makes a resource is in the role by then, whatever the parameters."""

import copy
from typing import Any

import pytest

from tests.workflow.application import as_list, expanded
from tests.workflow.dependencies import Template, before, granted_before, made

# Lambda refuses CreateFunction, Step Functions CreateStateMachine, without these in the execution role.
TRACING = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
NETWORK = {
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
}
LOG_DELIVERY = {
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}
QUEUE_SOURCE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


def needs(resource: dict[str, Any]) -> set[str]:
    """The actions that the resource's role needs before the resource can be made."""
    properties, needed = resource["Properties"], set()
    match resource["Type"]:
        case "AWS::Lambda::Function":
            needed |= TRACING if properties.get("TracingConfig", {}).get("Mode") == "Active" else set()
            needed |= NETWORK if properties.get("VpcConfig") else set()
            needed |= {"sqs:SendMessage"} if properties.get("DeadLetterConfig") else set()
        case "AWS::Lambda::EventSourceMapping":
            needed |= QUEUE_SOURCE
        case "AWS::StepFunctions::StateMachine":
            needed |= LOG_DELIVERY if properties.get("LoggingConfiguration") else set()
            needed |= TRACING if properties.get("TracingConfiguration", {}).get("Enabled") else set()
    return needed


def role_of(name: str, resources: dict[str, dict[str, Any]]) -> str:
    """The logical name of the role that the resource runs as."""
    properties = resources[name]["Properties"]
    if resources[name]["Type"] == "AWS::Lambda::EventSourceMapping":
        return role_of(properties["FunctionName"]["Ref"], resources)
    return (properties.get("Role") or properties["RoleArn"])["Fn::GetAtt"][0]


def too_late(template: Template) -> list[str]:
    """Every permission that is not surely there when a resource that needs it is made."""
    found = []
    for holds in (True, False):
        resources = made(template, holds)
        for name, resource in resources.items():
            needed = needs(resource)
            if needed:
                missing = needed - granted_before(name, role_of(name, resources), resources)
                found += [f"{name} is made before its role has {action}" for action in sorted(missing)]
    return found


def test_every_permission_is_there_when_the_resource_is_made():
    assert too_late(expanded()) == []


@pytest.mark.parametrize("policy", ["trace", "join-network", "dead-letters"])
def test_a_policy_that_is_attached_later_is_found(policy):
    template = copy.deepcopy(expanded())
    role = template["Resources"]["DeployModelRole"]["Properties"]
    (moved,) = [p for p in role["Policies"] if p.get("Fn::If", [0, p])[1]["PolicyName"] == policy]
    role["Policies"].remove(moved)
    document = moved.get("Fn::If", [0, moved])[1]["PolicyDocument"]
    properties = {"PolicyName": policy, "PolicyDocument": document, "Roles": [{"Ref": "DeployModelRole"}]}
    template["Resources"]["Late"] = {"Type": "AWS::IAM::Policy", "Properties": properties}
    action = as_list(document["Statement"][0]["Action"])[0]
    said = too_late(template)
    assert said
    assert all(line.startswith("DeployModel is made before its role has") for line in said)
    assert action.partition(":")[0] in said[0]


def test_a_policy_that_the_function_waits_for_is_in_time():
    template = copy.deepcopy(expanded())
    role = template["Resources"]["CheckConfidenceRole"]["Properties"]
    (moved,) = [p for p in role["Policies"] if p.get("PolicyName") == "trace"]
    role["Policies"].remove(moved)
    template["Resources"]["Early"] = {
        "Type": "AWS::IAM::Policy",
        "Properties": {**moved, "Roles": [{"Ref": "CheckConfidenceRole"}]},
    }
    template["Resources"]["CheckConfidence"]["DependsOn"] = "Early"
    assert too_late(template) == []


def test_no_resource_waits_for_itself():
    for holds in (True, False):
        resources = made(expanded(), holds)
        assert [name for name in resources if name in before(name, resources)] == []
