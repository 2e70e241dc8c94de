"""Each Lambda's role grants what its code calls: neither more nor fewer."""

import ast
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from tests.workflow.application import ROOT, actions

# What a function may do for being a Lambda with a log and a trace.
EVERY_FUNCTION = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}

# Actions that no call is named after, and why the function needs them.
IMPLIED = {
    "serialize_image": {
        "s3:GetObjectVersion": "GetObject with a version id",
        "s3:ListBucket": "S3 answers 404, and not 403, for a photo that is not there",
    },
    "classify_image": {
        "s3:GetObjectVersion": "GetObject with a version id",
        "s3:ListBucket": "S3 answers 404, and not 403, for a photo that is not there",
    },
    "check_confidence": {},
    "deploy_model": {
        "cloudwatch:PutMetricAlarm": "PutScalingPolicy makes its alarms in the caller's name",
        "cloudwatch:DeleteAlarms": "DeregisterScalableTarget deletes them",
        "sagemaker:UpdateEndpointWeightsAndCapacities": "RegisterScalableTarget brings the instances into its range",
        "sagemaker:DescribeEndpointConfig": "RegisterScalableTarget looks at the variant in the caller's name",
        "iam:PassRole": "CreateModel names the role of the container",
        "sqs:SendMessage": "Lambda sends what failed to the dead letters in the function's name",
    },
    "verify_endpoint": {
        "s3:ListBucket": "S3 answers 404, and not 403, for photos that are not there",
    },
    "watch_stream": {},
    "retrain": {"sqs:SendMessage": "Lambda sends what failed to the dead letters in the function's name"},
    "write_model_card": {
        "s3:ListBucket": "S3 answers 404, and not 403, for an evaluation that is not there",
        "sqs:SendMessage": "Lambda sends what failed to the dead letters in the function's name",
    },
}
ROLES = {
    "serialize_image": "SerializeImageRole",
    "classify_image": "ClassifyImageRole",
    "check_confidence": "CheckConfidenceRole",
    "deploy_model": "DeployModelRole",
    "verify_endpoint": "VerifyEndpointRole",
    "retrain": "RetrainRole",
    "watch_stream": "WatchStreamRole",
    "write_model_card": "WriteModelCardRole",
}
# Operations of the same name in two services, of which a function calls the other one.
OF_ANOTHER_SERVICE = {
    "deploy_model": {
        "lambda:ListTags",
        *(f"events:{verb}Endpoint" for verb in ("Create", "Describe", "Update", "Delete")),
    }
}
# The few actions that are named otherwise than the operation.
NAMED_OTHERWISE = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "monitoring:DescribeAlarms": "cloudwatch:DescribeAlarms",
    "monitoring:GetMetricStatistics": "cloudwatch:GetMetricStatistics",
    "s3:ListObjectsV2": "s3:ListBucket",
}


def called_actions(*sources: str) -> set[str]:
    """The IAM actions behind the boto3 calls in the modules of a function.

    A call is `client.some_operation(...)` or `client.get_paginator("...")`; a client that one module makes may be used
    by another, so the modules are looked at together.
    """
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    calls: list[Any] = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    services = {call.args[0].value for call in calls if call.func.attr == "client"}
    # A method that is handed on to be called elsewhere counts as well.
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {call.args[0].value for call in calls if call.func.attr == "get_paginator"}
    found = set()
    for service in services:
        model = botocore.session.get_session().get_service_model(service)
        for operation in model.operation_names:
            if xform_name(operation) in names:
                found.add(f"{model.signing_name}:{operation}")
    return {NAMED_OTHERWISE.get(action, action) for action in found}


def test_the_check_finds_calls_and_paginators():
    source = "c = boto3.client('s3')\nc.get_object(Bucket='b')\nc.get_paginator('list_objects_v2')"
    assert called_actions(source) == {"s3:GetObject", "s3:ListBucket"}


def test_a_call_in_a_second_module_is_found():
    modules = (
        "import boto3\nclient = boto3.client('s3')",
        "def read(s3):\n    return s3.get_object(Bucket='b', Key='k')",
    )
    assert called_actions(*modules) == {"s3:GetObject"}


def test_every_function_is_checked():
    assert set(ROLES) == {folder.name for folder in (ROOT / "lambdas").iterdir() if (folder / "app.py").exists()}


@pytest.mark.parametrize("function", sorted(ROLES))
def test_a_role_grants_what_the_code_calls_and_nothing_else(function):
    called = called_actions(*(module.read_text() for module in (ROOT / "lambdas" / function).rglob("*.py")))
    called -= OF_ANOTHER_SERVICE.get(function, set())
    assert actions(ROLES[function]) == called | set(IMPLIED[function]) | EVERY_FUNCTION
