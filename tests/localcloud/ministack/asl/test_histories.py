"""Histories of executions: the events, their order and what each follows, as public recordings of AWS have them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.ministack.asl.conftest import Machines

NOTHING = {"truncated": False}
FAIL = {"StartAt": "No", "States": {"No": {"Type": "Fail", "Error": "Mine", "Cause": "why"}}}
PASS = {"StartAt": "Item", "States": {"Item": {"Type": "Pass", "End": True}}}


def told(machines: Machines, definition: dict[str, Any], given: Any = None) -> list[tuple[str, int, dict[str, Any]]]:
    """Type, previous event and details of each event of an execution, after it ended; ids count from 1."""
    arn = machines.start(definition, given)
    machines.ended(arn)
    events = machines.events(arn)
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    made = []
    for event in events:
        details = [value for name, value in event.items() if name.endswith("EventDetails")]
        assert event.keys() <= {"id", "type", "timestamp", "previousEventId"} | {n for n in event if "Details" in n}
        made.append((event["type"], event["previousEventId"], details[0] if details else {}))
    return made


def test_events_follow_each_other_and_have_the_details_of_their_data(machines: Machines) -> None:
    role = "arn:aws:iam::000000000000:role/asl"
    assert told(machines, {"Type": "Pass", "Result": [1]}, {}) == [
        ("ExecutionStarted", 0, {"input": "{}", "inputDetails": NOTHING, "roleArn": role}),
        ("PassStateEntered", 0, {"name": "Only", "input": "{}", "inputDetails": NOTHING}),
        ("PassStateExited", 2, {"name": "Only", "output": "[1]", "outputDetails": NOTHING}),
        ("ExecutionSucceeded", 3, {"output": "[1]", "outputDetails": NOTHING}),
    ]


def test_iterations_tell_of_their_begin_and_end(machines: Machines) -> None:
    state = {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": PASS}
    events = told(machines, state, ["a", "b"])[2:]
    first, second = {"name": "Only", "index": 0}, {"name": "Only", "index": 1}
    assert [(kind, after) for kind, after, _ in events] == [
        ("MapStateStarted", 2), ("MapIterationStarted", 3), ("PassStateEntered", 4), ("PassStateExited", 5),
        ("MapIterationSucceeded", 6), ("MapIterationStarted", 6), ("PassStateEntered", 8), ("PassStateExited", 9),
        ("MapIterationSucceeded", 10), ("MapStateSucceeded", 10), ("MapStateExited", 10), ("ExecutionSucceeded", 13),
    ]  # fmt: skip
    assert [details for kind, _, details in events if kind.startswith("MapIteration")] == [first, first, second, second]
    assert events[0][2] == {"length": 2}


def test_a_caught_failure_of_an_iteration_fails_it_and_the_map(machines: Machines) -> None:
    caught = [{"ErrorEquals": ["States.ALL"], "Next": "End"}]
    states = {
        "Each": {"Type": "Map", "ItemProcessor": FAIL, "Catch": caught, "Next": "End"},
        "End": {"Type": "Succeed"},
    }
    events = told(machines, {"StartAt": "Each", "States": states}, [1])[3:7]
    assert [(kind, after) for kind, after, _ in events] == [
        ("MapIterationStarted", 3), ("FailStateEntered", 4), ("MapIterationFailed", 5), ("MapStateFailed", 5),
    ]  # fmt: skip


def test_a_map_that_is_tried_again_starts_again_and_fails_once(machines: Machines) -> None:
    retry = [{"ErrorEquals": ["Mine"], "MaxAttempts": 1, "IntervalSeconds": 1}]
    kinds = [kind for kind, *_ in told(machines, {"Type": "Map", "ItemProcessor": FAIL, "Retry": retry}, [1])]
    tried = ["MapStateStarted", "MapIterationStarted", "FailStateEntered", "MapIterationFailed"]
    assert kinds == ["ExecutionStarted", "MapStateEntered", *tried, *tried, "MapStateFailed", "ExecutionFailed"]


def test_what_runs_beside_a_failed_iteration_is_aborted(machines: Machines) -> None:
    rules = [{"Variable": "$", "NumericEquals": 1, "Next": "Soon"}]
    states = {
        "Which": {"Type": "Choice", "Choices": rules, "Default": "Long"},
        "Soon": {"Type": "Wait", "Seconds": 1, "Next": "No"},
        "Long": {"Type": "Wait", "Seconds": 60, "End": True},
        "No": FAIL["States"]["No"],  # type: ignore[index]
    }
    events = told(machines, {"Type": "Map", "ItemProcessor": {"StartAt": "Which", "States": states}}, [0, 1])[-6:]
    failed = events[1][1]
    assert [(kind, after) for kind, after, _ in events[1:5]] == [
        ("MapIterationAborted", failed), ("WaitStateAborted", failed), ("MapIterationFailed", failed),
        ("MapStateFailed", failed),
    ]  # fmt: skip
    assert (events[1][2]["index"], events[3][2]["index"], events[0][0]) == (0, 1, "FailStateEntered")


def test_branches_follow_the_start_of_their_parallel(machines: Machines) -> None:
    branches = [PASS, {"StartAt": "Other", "States": {"Other": {"Type": "Pass", "End": True}}}]
    events = told(machines, {"Type": "Parallel", "Branches": branches})
    assert [after for kind, after, _ in events if kind == "PassStateEntered"] == [3, 3]
    assert [kind for kind, *_ in events][-3:] == ["ParallelStateSucceeded", "ParallelStateExited", "ExecutionSucceeded"]


def test_a_task_of_a_service_is_scheduled_started_and_succeeds(machines: Machines) -> None:
    queue = machines.cloud.client("sqs").create_queue(QueueName="asl-told")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": queue, "MessageBody": "x"},
    }
    events = told(machines, task)[2:5]
    assert [(kind, after) for kind, after, _ in events] == [
        ("TaskScheduled", 2),
        ("TaskStarted", 3),
        ("TaskSucceeded", 4),
    ]
    assert events[1][2] == {"resourceType": "sqs", "resource": "sendMessage"}
    assert events[0][2]["region"] == "us-east-1"


def test_what_is_waited_for_is_submitted_with_its_answer(machines: Machines) -> None:
    child = machines.create({"Type": "Pass"})
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child},
    }
    events = told(machines, task)[2:6]
    assert [kind for kind, *_ in events] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]
    assert json.loads(events[2][2]["output"]).keys() >= {"ExecutionArn", "StartDate"}
    assert events[2][2]["resource"] == "startExecution.sync:2"

    task["Parameters"] = {"StateMachineArn": child + "-gone"}
    assert [kind for kind, *_ in told(machines, task)][3:5] == ["TaskStarted", "TaskSubmitFailed"]


def test_an_activity_starts_when_a_worker_takes_it(machines: Machines) -> None:
    activity = machines.client.create_activity(name="asl-told")["activityArn"]
    arn = machines.start({"Type": "Task", "Resource": activity})
    token = machines.client.get_activity_task(activityArn=activity, workerName="me")["taskToken"]
    machines.client.send_task_success(taskToken=token, output="1")
    machines.ended(arn)
    events = machines.events(arn)[2:5]
    assert [event["type"] for event in events] == ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]
    assert events[1]["activityStartedEventDetails"] == {"workerName": "me"}


def test_a_map_run_is_told_of(machines: Machines) -> None:
    each = {**PASS, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}}
    events = told(machines, {"Type": "Map", "ItemProcessor": each}, [1, 2])
    assert [kind for kind, *_ in events] == [
        "ExecutionStarted", "MapStateEntered", "MapStateStarted", "MapRunStarted", "MapRunSucceeded",
        "MapStateSucceeded", "MapStateExited", "ExecutionSucceeded",
    ]  # fmt: skip
    assert ":mapRun:" in events[3][2]["mapRunArn"]


def test_variables_that_a_state_set_are_told(machines: Machines) -> None:
    state = {"Type": "Pass", "Assign": {"kept.$": "$.a"}}
    (left,) = [details for kind, _, details in told(machines, state, {"a": [1]}) if kind == "PassStateExited"]
    assert left["assignedVariables"] == {"kept": "[1]"}


def test_a_history_without_data_has_none(machines: Machines) -> None:
    arn = machines.start({"Type": "Pass", "Result": {"secret": 1}}, {"secret": 2})
    machines.ended(arn)
    shown = machines.client.get_execution_history(executionArn=arn, includeExecutionData=False)["events"]
    assert "secret" not in json.dumps(shown, default=str)
    assert shown[1]["stateEnteredEventDetails"] == {"name": "Only"}


def test_a_machine_is_deleted_when_its_executions_came_to_their_next_state(machines: Machines, soon: Any) -> None:
    states = {"Sleep": {"Type": "Wait", "Seconds": 2, "Next": "Mark"}, "Mark": {"Type": "Pass", "End": True}}
    arn = machines.start({"StartAt": "Sleep", "States": states})
    machine = machines.client.describe_execution(executionArn=arn)["stateMachineArn"]

    machines.client.delete_state_machine(stateMachineArn=machine)

    assert machines.client.describe_state_machine(stateMachineArn=machine)["status"] == "DELETING"
    for refused in (machines.client.start_execution, machines.client.publish_state_machine_version):
        with pytest.raises(ClientError, match="StateMachineDeleting"):
            refused(stateMachineArn=machine)

    def gone() -> bool:
        try:
            machines.client.describe_state_machine(stateMachineArn=machine)
        except ClientError as error:
            return bool(error.response["Error"]["Code"] == "StateMachineDoesNotExist")
        return False

    assert soon(gone)
