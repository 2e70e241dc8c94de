"""Redriven executions go on where they ended, with what had succeeded; others are refused by reason."""

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ministack.asl import redrives
from tests.localcloud.ministack.asl.conftest import Machines

BUCKET = "asl-redrives"


@pytest.fixture
def missing(machines: Machines) -> str:
    """The key of an object that is not there yet."""
    machines.cloud.client("s3").create_bucket(Bucket=BUCKET)
    return uuid.uuid4().hex


def reads(key: str, **members: Any) -> dict[str, Any]:
    """A task that fails until an object is there."""
    where = {"Bucket": BUCKET, "Key": key}
    return {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:getObject", "Parameters": where, **members}


def mend(machines: Machines, key: str) -> None:
    machines.cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"there")


def redriven(machines: Machines, arn: str) -> dict[str, Any]:
    """The execution after it was redriven and has ended again."""
    machines.client.redrive_execution(executionArn=arn)
    return machines.ended(arn)


def refused(machines: Machines, arn: str) -> str:
    """Why an execution is not redriven."""
    with pytest.raises(ClientError) as error:
        machines.client.redrive_execution(executionArn=arn)
    assert error.value.response["Error"]["Code"] == "ExecutionNotRedrivable"
    return str(error.value.response["Error"]["Message"])


def test_a_failed_task_is_scheduled_again_with_its_input_and_variables(machines: Machines, missing: str) -> None:
    states = {
        "First": {"Type": "Pass", "Assign": {"kept.$": "$.b"}, "Result": {"b": 2}, "Next": "Read"},
        "Read": reads(missing, ResultSelector={"body.$": "$.Body"}, ResultPath="$.read", Next="Last"),
        "Last": {
            "Type": "Pass", "End": True,
            "Parameters": {
                "kept.$": "$kept", "b.$": "$.b", "read.$": "$.read.body", "count.$": "$$.Execution.RedriveCount",
            },
        },
    }  # fmt: skip
    arn = machines.start({"StartAt": "First", "States": states}, {"a": 1})
    failed = machines.ended(arn)
    assert (failed["status"], failed["redriveStatus"], failed["redriveCount"]) == ("FAILED", "REDRIVABLE", 0)
    before = machines.events(arn)
    mend(machines, missing)

    ended = redriven(machines, arn)

    assert json.loads(ended["output"]) == {"kept": 2, "b": 2, "read": "there", "count": 1}
    assert (ended["status"], ended["redriveCount"], ended["redriveStatus"]) == ("SUCCEEDED", 1, "NOT_REDRIVABLE")
    assert ended["redriveStatusReason"] == "Execution is SUCCEEDED and cannot be redriven"
    assert ended["redriveDate"] > failed["stopDate"]
    assert "error" not in ended
    events = machines.events(arn)
    assert events[: len(before)] == before
    after = events[len(before) :]
    assert [event["type"] for event in after[:5]] == [
        "ExecutionRedriven", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited",
    ]  # fmt: skip
    assert after[0]["executionRedrivenEventDetails"] == {"redriveCount": 1}


def test_only_iterations_and_branches_that_did_not_succeed_run_again(machines: Machines, missing: str) -> None:
    def marks(name: str, then: dict[str, Any]) -> dict[str, Any]:
        return {"StartAt": name, "States": {name: {"Type": "Pass", "Next": f"{name} on"}, f"{name} on": then}}

    rules = [{"Variable": "$", "NumericEquals": 1, "Next": "Read"}]
    each = {
        "StartAt": "Which",
        "States": {
            "Which": {"Type": "Choice", "Choices": rules, "Default": "Good"},
            "Good": {"Type": "Pass", "End": True},
            "Read": reads(missing, ResultSelector={"body.$": "$.Body"}, End=True),
        },
    }
    items = {"Type": "Map", "ItemsPath": "$", "MaxConcurrency": 1, "ItemProcessor": each, "End": True}
    branches = [marks("Quick", {"Type": "Pass", "End": True}), marks("Slow", items)]
    arn = machines.start({"Type": "Parallel", "Branches": branches}, [0, 1, 2])
    assert machines.ended(arn)["status"] == "FAILED"
    mend(machines, missing)

    ended = redriven(machines, arn)

    assert json.loads(ended["output"]) == [[0, 1, 2], [0, {"body": "there"}, 2]]
    entered = [e["stateEnteredEventDetails"]["name"] for e in machines.events(arn) if "stateEnteredEventDetails" in e]
    assert sorted(entered) == sorted(
        ["Only", "Quick", "Quick on", "Slow", "Slow on", "Which", "Good", "Which", "Read", "Which", "Good"]
    )


def test_retries_begin_anew(machines: Machines, missing: str) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "IntervalSeconds": 1}]
    arn = machines.start({**reads(missing, Retry=retry)})
    machines.ended(arn)

    assert redriven(machines, arn)["status"] == "FAILED"
    assert [event["type"] for event in machines.events(arn)].count("TaskFailed") == 4


def test_a_fail_state_is_entered_again_and_fails_again(machines: Machines) -> None:
    arn = machines.start({"Type": "Fail", "Error": "Mine", "Cause": "why"})
    machines.ended(arn)

    ended = redriven(machines, arn)

    assert (ended["status"], ended["error"], ended["redriveCount"]) == ("FAILED", "Mine", 1)
    kinds = [event["type"] for event in machines.events(arn)]
    assert kinds[-3:] == ["ExecutionRedriven", "FailStateEntered", "ExecutionFailed"]


def test_the_time_of_the_machine_begins_anew(machines: Machines, missing: str) -> None:
    states = {"Sleep": {"Type": "Wait", "Seconds": 1, "Next": "Read"}, "Read": reads(missing, End=True)}
    arn = machines.start({"StartAt": "Sleep", "TimeoutSeconds": 60, "States": states})
    machines.client.stop_execution(executionArn=arn)
    assert machines.ended(arn)["redriveStatus"] == "REDRIVABLE"
    mend(machines, missing)

    assert redriven(machines, arn)["status"] == "SUCCEEDED"


def test_the_definition_stays_the_one_that_it_began_with(machines: Machines, missing: str) -> None:
    arn = machines.start(reads(missing, ResultSelector={"old.$": "$.Body"}))
    machine = machines.ended(arn)["stateMachineArn"]
    new = json.dumps({"StartAt": "New", "States": {"New": {"Type": "Pass", "End": True}}})
    machines.client.update_state_machine(stateMachineArn=machine, definition=new)
    mend(machines, missing)

    assert json.loads(redriven(machines, arn)["output"]) == {"old": "there"}
    described = machines.client.describe_state_machine_for_execution(executionArn=arn)
    assert "Only" in described["definition"]
    assert machines.client.describe_state_machine(stateMachineArn=machine)["definition"] == new


def test_only_unsuccessful_executions_of_standard_machines_are_redriven(machines: Machines) -> None:
    succeeded = machines.start({"Type": "Pass"})
    machines.ended(succeeded)
    assert "Execution is SUCCEEDED and cannot be redriven" in refused(machines, succeeded)
    running = machines.start({"Type": "Wait", "Seconds": 60})
    assert "Execution is RUNNING and cannot be redriven" in refused(machines, running)
    machines.client.stop_execution(executionArn=running)
    for arn, code in ((running + "-gone", "ExecutionDoesNotExist"), ("arn:aws:s3:::bucket", "InvalidArn")):
        with pytest.raises(ClientError, match=code):
            machines.client.redrive_execution(executionArn=arn)
    express = machines.run({"Type": "Fail"})["executionArn"]
    with pytest.raises(ClientError, match="InvalidArn"):
        machines.client.redrive_execution(executionArn=express)


def test_the_same_token_redrives_once(machines: Machines) -> None:
    arn = machines.start({"Type": "Fail"})
    machines.ended(arn)
    first = machines.client.redrive_execution(executionArn=arn, clientToken="once")["redriveDate"]
    machines.ended(arn)

    assert machines.client.redrive_execution(executionArn=arn, clientToken="once")["redriveDate"] == first
    assert machines.ended(arn)["redriveCount"] == 1


def test_a_map_run_is_redriven_with_its_execution(machines: Machines, missing: str) -> None:
    rules = [{"Variable": "$", "NumericEquals": 1, "Next": "Read"}]
    each = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
        "StartAt": "Which",
        "States": {
            "Which": {"Type": "Choice", "Choices": rules, "Default": "Name"},
            "Read": reads(missing, ResultPath=None, Next="Name"),
            "Name": {"Type": "Pass", "Parameters": {"name.$": "$$.Execution.Name"}, "End": True},
        },
    }
    arn = machines.start({"Type": "Map", "ItemProcessor": each}, [0, 1, 2])
    assert machines.ended(arn)["error"] == "States.ExceedToleratedFailureThreshold"
    (run,) = machines.client.list_map_runs(executionArn=arn)["mapRuns"]
    before = machines.client.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    assert "redriven with the execution of its Map Run" in refused(
        machines, next(one["executionArn"] for one in before if one["status"] == "FAILED")
    )
    mend(machines, missing)

    ended = redriven(machines, arn)

    assert ended["status"] == "SUCCEEDED"
    after = machines.client.list_executions(mapRunArn=run["mapRunArn"])["executions"]
    assert sorted(one["name"] for one in after) == sorted(one["name"] for one in before)
    assert {one["status"] for one in after} == {"SUCCEEDED"}
    assert {one["name"] for one in json.loads(ended["output"])} == {one["name"] for one in before}
    (again,) = machines.client.list_map_runs(executionArn=arn)["mapRuns"]
    described = machines.client.describe_map_run(mapRunArn=again["mapRunArn"])
    assert (described["status"], described["redriveCount"]) == ("SUCCEEDED", 1)
    assert (described["itemCounts"]["succeeded"], described["itemCounts"]["failed"]) == (3, 0)
    kinds = [event["type"] for event in machines.events(arn)]
    assert kinds[-5:] == [
        "MapRunRedriven", "MapRunSucceeded", "MapStateSucceeded", "MapStateExited", "ExecutionSucceeded",
    ]  # fmt: skip


def test_old_executions_and_full_histories_are_not_redrivable() -> None:
    machine = {"status": "ACTIVE"}
    ended = {"status": "FAILED", "stopDate": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()), "events": []}
    assert redrives.refusal(ended, machine) is None
    old = {**ended, "stopDate": "2026-01-01T00:00:00.000Z"}
    assert redrives.refusal(old, machine) == "Execution redrivable period exceeded"
    full = {**ended, "events": [{}] * redrives.MOST_EVENTS}
    assert redrives.refusal(full, machine) == "Execution history event limit exceeded"
    assert redrives.refusal(ended, {"status": "DELETING"}) == "State machine is in DELETING status"


@pytest.mark.parametrize(("error", "left"), [("States.DataLimitExceeded", {""}), ("Mine", {"", "\x1fBoth\x1f0"})])
def test_a_state_whose_own_result_was_too_large_begins_anew(error: str, left: set[str]) -> None:
    scope = {"scope": "\x1fBoth\x1f0"}
    events = [
        {"id": 2, "type": "ParallelStateEntered", "stateEnteredEventDetails": {"name": "Both", "input": "1"}},
        {"id": 3, "type": "PassStateEntered", "stateEnteredEventDetails": {"name": "In", "input": "2"}, **scope},
        {"id": 4, "type": "PassStateExited", "stateExitedEventDetails": {"name": "In", "output": "3"}, **scope},
        {"id": 5, "type": "ExecutionFailed", "executionFailedEventDetails": {"error": error}},
    ]
    assert redrives.to_go_on({"events": events}, {"States": {"Both": {}}}).keys() == left


def test_a_history_of_an_earlier_version_goes_on_with_its_last_state() -> None:
    # Without scopes of branches and without the state that follows.
    events = [
        {"id": 2, "type": "ParallelStateEntered", "stateEnteredEventDetails": {"name": "Both", "input": "1"}},
        {"id": 3, "type": "PassStateEntered", "stateEnteredEventDetails": {"name": "Inner", "input": "2"}},
    ]
    found = redrives.to_go_on({"events": events}, {"States": {"Both": {}}})
    assert {scope: (point.name, point.value) for scope, point in found.items()} == {"": ("Both", "1")}
