"""Names of state machines, executions and activities, and operations on what is not there."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ministack.asl.machines import is_name
from tests.localcloud.ministack.asl.conftest import Machines

PLACE = "arn:aws:states:us-east-1:000000000000"
DEFINITION = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}})
ROLE = "arn:aws:iam::000000000000:role/asl"


@pytest.mark.parametrize("name", ["a", "a-b_c.d=(e)!@+é", "x" * 80])
def test_a_name_is_allowed(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "a\x00", "a\n", "a*", "<a>", 'a"', "x" * 81, "a\x85"])
def test_a_name_is_not_allowed(name: str) -> None:
    assert not is_name(name)


def test_requests_are_refused_as_on_aws(machines: Machines) -> None:
    client, arn = machines.client, machines.create({"Type": "Pass"})
    gone, named = f"{PLACE}:stateMachine:gone", {"definition": DEFINITION, "roleArn": ROLE}
    logs = {"level": "ALL", "destinations": []}
    wanted: list[tuple[Callable[[], Any], str]] = [
        (lambda: client.create_state_machine(name="a b", **named), "InvalidName"),
        (
            lambda: client.create_state_machine(name="asl-logs", loggingConfiguration=logs, **named),
            "InvalidLoggingConfi",
        ),
        (lambda: client.create_state_machine(name=arn.rpartition(":")[2], **named), f"Already Exists: '{arn}'"),
        (lambda: client.start_execution(stateMachineArn=arn, name="a/b"), "Invalid Name: 'a/b'"),
        (lambda: client.start_execution(stateMachineArn="x"), "Invalid Arn: 'Invalid ARN prefix: x'"),
        (lambda: client.create_activity(name="a b"), "InvalidName"),
        (lambda: client.describe_state_machine(stateMachineArn=gone), f"State Machine Does Not Exist: '{gone}'"),
        (lambda: client.update_state_machine(stateMachineArn=arn), "MissingRequiredParameter"),
        (lambda: client.list_executions(stateMachineArn=arn, statusFilter="DONE"), "at 'statusFilter' failed"),
        (lambda: client.list_executions(), "Must specify one of"),
    ]
    for call, words in wanted:
        with pytest.raises(ClientError, match=words):
            call()


def test_what_is_gone_is_deleted_and_what_is_there_is_created(machines: Machines) -> None:
    client = machines.client
    client.delete_state_machine(stateMachineArn=f"{PLACE}:stateMachine:gone")
    client.delete_activity(activityArn=f"{PLACE}:activity:gone")

    first, again = client.create_activity(name="asl-twice"), client.create_activity(name="asl-twice")

    assert first["creationDate"] == again["creationDate"]
