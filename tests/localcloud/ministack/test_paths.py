"""Paths of state machines that lead to nothing fail the execution with a sentence that names them."""

import json
import time
from typing import Any

import pytest
from ministack.services.stepfunctions import _parse_jsonpath_tokens

from localcloud.ministack.paths import is_missing


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("$", False),
        ("$.a", False),
        ("$.a.b[1]", False),
        ("$.none", False),
        ("$['a']", False),
        ("$.a.b[*].x", False),
        ("$$.Execution.Id", False),
        ("States.UUID()", False),
        ("$.c", True),
        ("$.a.b[2]", True),
        ("$.none.x", True),
        ("$.a.b.c", True),
    ],
)
def test_null_is_there_and_a_missing_member_is_not(path: str, missing: bool) -> None:
    assert is_missing(_parse_jsonpath_tokens, path, {"a": {"b": [1, 2]}, "none": None}) is missing


def run(cloud: Any, name: str, state: dict[str, Any]) -> dict[str, Any]:
    """The execution of a machine of one state, when it has ended; its input is {"a": null}."""
    machines = cloud.client("stepfunctions")
    machine = machines.create_state_machine(
        name=name,
        roleArn="arn:aws:iam::000000000000:role/paths",
        definition=json.dumps({"StartAt": "Only", "States": {"Only": {"End": True, **state}}}),
    )["stateMachineArn"]
    arn = machines.start_execution(stateMachineArn=machine, input='{"a": null}')["executionArn"]
    deadline = time.monotonic() + 30
    while (found := machines.describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return dict(found)


READER = {"Resource": "arn:aws:states:::s3:listObjectsV2", "Parameters": {"Bucket": "b", "Prefix.$": "$.gone"}}
CHILD = {
    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
    "StartAt": "Say",
    "States": {"Say": {"Type": "Pass", "End": True}},
}


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ({"Type": "Pass", "Parameters": {"b": {"x.$": "$.gone"}}}, "x.$"),
        ({"Type": "Pass", "InputPath": "$.gone"}, "InputPath"),
        ({"Type": "Pass", "OutputPath": "$.gone"}, "OutputPath"),
        ({"Type": "Map", "ItemReader": READER, "ItemProcessor": CHILD}, "Prefix.$"),
    ],
)
def test_a_missing_path_fails_the_execution_by_name(cloud: Any, state: dict[str, Any], field: str) -> None:
    done = run(cloud, f"path-{field.strip('.$').lower()}", state)

    assert (done["status"], done["error"]) == ("FAILED", "States.Runtime")
    assert f"The JSONPath '$.gone' specified for the field '{field}' could not be found in the input" in done["cause"]


def test_a_null_is_passed_on(cloud: Any) -> None:
    done = run(cloud, "path-null", {"Type": "Pass", "Parameters": {"x.$": "$.a"}, "OutputPath": "$.x"})

    assert (done["status"], done["output"]) == ("SUCCEEDED", "null")
