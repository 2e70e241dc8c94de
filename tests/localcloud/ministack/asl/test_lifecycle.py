"""Executions that end before their states do, and names that are used again."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ministack.asl.lifecycle import later, time_limit
from tests.localcloud.ministack.asl.conftest import Machines, again
from tests.waiting import soon

SLEEPS = {"Type": "Wait", "Seconds": 120, "End": True}
ONE = {"StartAt": "Sleep", "States": {"Sleep": SLEEPS}}
LATER = {
    "StartAt": "Sleep",
    "States": {"Sleep": {**SLEEPS, "Seconds": 4, "Next": "Mark"}, "Mark": {"Type": "Pass", "End": True}},
}
LATER["States"]["Sleep"].pop("End")  # type: ignore[index]
TIMED_OUT = {"error": "States.Timeout"}


def refused(call: Callable[..., Any], **given: Any) -> tuple[str, str]:
    """The code and message that an operation refuses a request with."""
    with pytest.raises(ClientError) as error:
        call(**given)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_executions_end_when_their_machines_say(machines: Machines) -> None:
    distributed = {**ONE, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    each = {"Type": "Map", "ItemsPath": "$.list", "End": True}
    states = [
        SLEEPS,
        {"Type": "Parallel", "Branches": [ONE, again(ONE)], "End": True},
        {**each, "ItemProcessor": ONE},
        {**each, "ItemProcessor": distributed},
    ]
    arns = [
        machines.start({"StartAt": "It", "TimeoutSeconds": 1, "States": {"It": state}}, {"list": [1, 2]})
        for state in states
    ]

    for arn in arns:
        ended = machines.ended(arn)
        assert ended["status"] == "TIMED_OUT"
        assert (ended["stopDate"] - ended["startDate"]).total_seconds() == 1
        assert not ended.keys() & {"error", "cause", "output"}
        assert machines.events(arn)[-1]["executionTimedOutEventDetails"] == TIMED_OUT


def test_an_express_execution_ends_when_its_machine_says(machines: Machines) -> None:
    ended = machines.run({**ONE, "TimeoutSeconds": 1})

    assert ended["status"] == "TIMED_OUT"


def test_a_catcher_does_not_take_the_end_of_its_execution(machines: Machines) -> None:
    states = {
        "Both": {
            "Type": "Parallel", "Branches": [ONE], "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}],
            "Retry": [{"ErrorEquals": ["States.ALL"]}], "End": True,
        },
        "Caught": {"Type": "Pass", "End": True},
    }  # fmt: skip
    arn = machines.start({"StartAt": "Both", "TimeoutSeconds": 4, "States": states})

    assert machines.ended(arn)["status"] == "TIMED_OUT"
    kinds = [event["type"] for event in machines.events(arn)]
    assert kinds == [
        "ExecutionStarted", "ParallelStateEntered", "ParallelStateStarted", "WaitStateEntered", "ExecutionTimedOut",
    ]  # fmt: skip


def test_nothing_runs_on_after_an_execution_was_stopped(machines: Machines) -> None:
    branches = {"Both": {"Type": "Parallel", "Branches": [LATER, again(LATER)], "End": True}}
    arn = machines.start({"StartAt": "Both", "States": branches})

    machines.client.stop_execution(executionArn=arn, error="Mine", cause="why")
    time.sleep(4.2)

    ended = machines.ended(arn)
    assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Mine", "why")
    assert machines.events(arn)[-1]["executionAbortedEventDetails"] == {"error": "Mine", "cause": "why"}


def test_the_children_of_a_map_run_are_aborted_with_it(machines: Machines) -> None:
    distributed = {**ONE, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    state = {"Type": "Map", "ItemsPath": "$.list", "MaxConcurrency": 2, "ItemProcessor": distributed}
    arn = machines.start(state, {"list": [1, 2, 3]})
    client = machines.client
    run = soon(lambda: client.list_map_runs(executionArn=arn)["mapRuns"])[0]["mapRunArn"]

    client.stop_execution(executionArn=arn)

    assert soon(lambda: client.describe_map_run(mapRunArn=run)["status"] != "RUNNING")
    described = client.describe_map_run(mapRunArn=run)
    assert (described["status"], described["itemCounts"]["aborted"]) == ("ABORTED", 3)
    assert {child["status"] for child in client.list_executions(mapRunArn=run)["executions"]} == {"ABORTED"}


def test_an_execution_that_ended_stays_as_it_is(machines: Machines) -> None:
    arn = machines.start({"Type": "Pass", "Result": 1})
    before = machines.ended(arn)

    stopped = machines.client.stop_execution(executionArn=arn, error="late")

    assert stopped["stopDate"] == before["stopDate"]
    assert machines.ended(arn)["status"] == "SUCCEEDED"


def test_a_child_is_stopped_with_the_execution_that_waits_for_it(machines: Machines) -> None:
    child = machines.create(ONE)
    given = {"StateMachineArn": child, "Input": {"a": 1}, "Name": "the-child"}
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": given,
        "End": True,
    }
    arn = machines.start({"StartAt": "Call", "TimeoutSeconds": 4, "States": {"Call": state}})

    assert machines.ended(arn)["status"] == "TIMED_OUT"
    assert machines.ended(f"{child.replace(':stateMachine:', ':execution:')}:the-child")["status"] == "ABORTED"


@pytest.mark.parametrize(("sync", "output"), [(".sync", '{"b":2}'), (".sync:2", {"b": 2})])
def test_a_child_gives_text_or_json(machines: Machines, sync: str, output: Any) -> None:
    child = machines.create({"Type": "Pass", "Result": {"b": 2}})
    state = {
        "Type": "Task", "Resource": f"arn:aws:states:::states:startExecution{sync}",
        "Parameters": {"StateMachineArn": child, "Input": {"a": 1}},
    }  # fmt: skip
    arn = machines.start(state)

    found = json.loads(machines.ended(arn)["output"])

    assert (found["Status"], found["Output"]) == ("SUCCEEDED", output)


def test_a_child_that_fails_is_described_in_the_cause(machines: Machines) -> None:
    child = machines.create({"Type": "Fail", "Error": "Mine", "Cause": "why"})
    state = {
        "Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync",
        "Parameters": {"StateMachineArn": child},
    }  # fmt: skip

    ended = machines.ended(machines.start(state))

    assert ended["error"] == "States.TaskFailed"
    described = json.loads(ended["cause"])
    assert (described["Status"], described["Error"], described["Cause"]) == ("FAILED", "Mine", "why")


def test_a_name_is_taken_until_the_same_is_asked_again(machines: Machines) -> None:
    start, arn = machines.client.start_execution, machines.create(ONE)
    first = start(stateMachineArn=arn, name="once", input='{"a":1}')

    again = start(stateMachineArn=arn, name="once", input='{"a":1}')
    other = refused(start, stateMachineArn=arn, name="once", input="{}")
    machines.client.stop_execution(executionArn=first["executionArn"])
    ended = refused(start, stateMachineArn=arn, name="once", input='{"a":1}')

    assert again["executionArn"] == first["executionArn"]
    assert other == ended == ("ExecutionAlreadyExists", f"Execution Already Exists: '{first['executionArn']}'")


def test_an_express_machine_takes_a_name_again(machines: Machines) -> None:
    arn = machines.create({"Type": "Pass"}, "EXPRESS")

    first, again = (machines.client.start_sync_execution(stateMachineArn=arn, name="n", input="{}") for _ in range(2))

    assert first["name"] == again["name"] == "n"
    assert first["executionArn"] != again["executionArn"]
    assert ":express:" in first["executionArn"]
    assert first["billingDetails"]["billedDurationInMilliseconds"] >= 100


def test_operations_of_the_other_type_are_refused(machines: Machines) -> None:
    standard, express = machines.create({"Type": "Pass"}), machines.create({"Type": "Pass"}, "EXPRESS")
    started = machines.client.start_execution(stateMachineArn=express)["executionArn"]
    unsupported = "StateMachineTypeNotSupported", "This operation is not supported by this type of state machine"
    invalid = "InvalidArn", "Invalid Arn: 'Resource type not valid in this context: express'"

    assert refused(machines.client.start_sync_execution, stateMachineArn=standard) == unsupported
    assert refused(machines.client.list_executions, stateMachineArn=express) == unsupported
    for name in ("describe_execution", "stop_execution", "get_execution_history"):
        assert refused(getattr(machines.client, name), executionArn=started) == invalid


def test_a_version_runs_as_it_was_published(machines: Machines) -> None:
    arn = machines.create({"Type": "Pass", "Result": "old"})
    version = machines.client.publish_state_machine_version(stateMachineArn=arn)["stateMachineVersionArn"]
    new = {"StartAt": "Only", "States": {"Only": {"Type": "Pass", "Result": "new", "End": True}}}
    machines.client.update_state_machine(stateMachineArn=arn, definition=json.dumps(new))

    outputs = []
    for started in (version, arn):
        execution = machines.client.start_execution(stateMachineArn=started)["executionArn"]
        outputs.append(machines.ended(execution)["output"])

    assert outputs == ['"old"', '"new"']


def test_what_is_not_there_is_named(machines: Machines) -> None:
    arn = "arn:aws:states:us-east-1:000000000000:stateMachine:gone"
    execution = "arn:aws:states:us-east-1:000000000000:execution:gone:x"

    assert refused(machines.client.start_execution, stateMachineArn=arn)[1] == f"State Machine Does Not Exist: '{arn}'"
    for name in ("describe_execution", "stop_execution", "get_execution_history"):
        code, message = refused(getattr(machines.client, name), executionArn=execution)
        assert (code, message) == ("ExecutionDoesNotExist", f"Execution Does Not Exist: '{execution}'")


@pytest.mark.parametrize(
    ("kind", "definition", "seconds"),
    [
        ("STANDARD", {}, None),
        ("STANDARD", {"TimeoutSeconds": 900}, 900),
        ("EXPRESS", {}, 300),
        ("EXPRESS", {"TimeoutSeconds": 900}, 300),
        ("EXPRESS", {"TimeoutSeconds": 10}, 10),
    ],
)
def test_express_machines_have_five_minutes(kind: str, definition: dict[str, Any], seconds: float | None) -> None:
    assert time_limit({"type": kind, "definition": json.dumps(definition)}) == seconds


def test_a_time_is_moved_by_seconds() -> None:
    assert later("2026-11-26T23:59:59.500Z", 1.5) == "2026-11-27T00:00:01.000Z"


def test_the_times_of_a_description_are_numbers(machines: Machines) -> None:
    bodies: list[Any] = []
    client = machines.cloud.client("stepfunctions")
    client.meta.events.register(
        "before-parse.sfn.DescribeExecution", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    began = time.time()
    arn = machines.ended(machines.start({"Type": "Succeed"}, {"startDate": "2026-11-27T12:00:00.000Z"}))["executionArn"]

    described = client.describe_execution(executionArn=arn)

    told = json.loads(bodies[-1])
    assert began - 1 <= told["startDate"] <= told["stopDate"] <= time.time() + 1
    assert round(described["stopDate"].timestamp() * 1000) == round(told["stopDate"] * 1000)
    assert json.loads(told["input"]) == {"startDate": "2026-11-27T12:00:00.000Z"}
