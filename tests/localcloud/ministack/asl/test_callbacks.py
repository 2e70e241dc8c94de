"""Tasks that somebody else ends, and those that nobody ends in time."""

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from localcloud.ministack.asl.callbacks import Callbacks, Until
from localcloud.ministack.asl.errors import StateError
from tests.localcloud.conftest import RunningCloud
from tests.localcloud.ministack.asl.conftest import Machines, again
from tests.waiting import message

CAUGHT = {"Type": "Pass", "End": True}


@pytest.fixture
def queue(cloud: RunningCloud, request: pytest.FixtureRequest) -> str:
    """The URL of a queue of the test's own."""
    name = request.node.name.replace("[", "-").replace("]", "")[:80]
    return str(cloud.client("sqs").create_queue(QueueName=name)["QueueUrl"])


def definition(queue: str, **limits: Any) -> dict[str, Any]:
    """A machine that sends its task's token to a queue and waits; what fails goes on as output."""
    state = {
        "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": True, **limits,
        "Parameters": {"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"},
    }  # fmt: skip
    return {"StartAt": "Ask", "States": {"Ask": state, "Caught": CAUGHT} if "Catch" in limits else {"Ask": state}}


def token(cloud: RunningCloud, queue: str) -> str:
    """The token that came to a queue."""
    return message(cloud.client("sqs"), queue)


def code(call: Callable[..., Any], **given: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**given)
    return str(error.value.response["Error"]["Code"])


def test_the_first_answer_to_a_token_counts(cloud: RunningCloud, machines: Machines, queue: str) -> None:
    client = machines.client
    arn = machines.start(definition(queue))
    ours = token(cloud, queue)

    bad = code(client.send_task_success, taskToken=ours, output="{")
    client.send_task_success(taskToken=ours, output='{"a":1}')
    ended = machines.ended(arn)

    assert (bad, ended["output"]) == ("InvalidOutput", '{"a":1}')
    assert code(client.send_task_failure, taskToken=ours) == "TaskTimedOut"
    assert code(client.send_task_heartbeat, taskToken="of nobody") == "InvalidToken"


def test_a_failure_that_is_sent_can_be_caught(cloud: RunningCloud, machines: Machines, queue: str) -> None:
    arn = machines.start(definition(queue, Catch=[{"ErrorEquals": ["Mine"], "Next": "Caught"}]))

    machines.client.send_task_failure(taskToken=token(cloud, queue), error="Mine", cause="why")

    assert json.loads(machines.ended(arn)["output"]) == {"Error": "Mine", "Cause": "why"}


def test_nobody_waits_for_an_answer_for_ever(machines: Machines, queue: str) -> None:
    tried: list[tuple[dict[str, Any], str]] = [
        ({"TimeoutSeconds": 1}, "States.Timeout"),
        ({"HeartbeatSeconds": 1, "TimeoutSeconds": 60}, "States.HeartbeatTimeout"),
        ({"HeartbeatSecondsPath": "$.seconds"}, "States.Timeout"),
    ]
    arns = [
        machines.start(definition(queue, **limits, Catch=[{"ErrorEquals": [name], "Next": "Caught"}]), {"seconds": 1})
        for limits, name in tried
    ]

    for arn in arns:
        assert json.loads(machines.ended(arn)["output"])["Error"] == "States.Timeout"
        assert machines.events(arn)[-5]["taskTimedOutEventDetails"] == {
            "resourceType": "sqs", "resource": "sendMessage.waitForTaskToken", "error": "States.Timeout"
        }  # fmt: skip


def test_a_task_has_its_time_again_after_each_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr("localcloud.ministack.asl.callbacks.time", clock)
    waiting, lefts = Callbacks(SimpleNamespace(json_response=len)), list[float | None]()
    until = Until(None, 10)
    with waiting.waiting("token"):
        task = waiting._tasks["token"]
        for clock.now in (1004.0, 1011.0, 1018.0):
            lefts.append(until.left(task.heard))
            waiting.heartbeat({"taskToken": "token"})
            lefts.append(until.left(task.heard))

    assert lefts == [6, 10, 3, 10, 3, 10]


def test_a_task_that_sent_heartbeats_succeeds(cloud: RunningCloud, machines: Machines, queue: str) -> None:
    arn = machines.start(definition(queue, HeartbeatSeconds=60))
    ours = token(cloud, queue)

    machines.client.send_task_heartbeat(taskToken=ours)
    machines.client.send_task_success(taskToken=ours, output="1")

    assert machines.ended(arn)["output"] == "1"


def test_tasks_at_once_have_tokens_of_their_own(cloud: RunningCloud, machines: Machines, queue: str) -> None:
    branches = [definition(queue), again(definition(queue))]
    arn = machines.start({"Type": "Parallel", "Branches": branches})

    tokens = {token(cloud, queue), token(cloud, queue)}
    for number, one in enumerate(sorted(tokens)):
        machines.client.send_task_success(taskToken=one, output=str(number))

    assert sorted(json.loads(machines.ended(arn)["output"])) == [0, 1]


def test_a_worker_ends_the_task_of_an_activity(machines: Machines) -> None:
    activity = machines.client.create_activity(name="asl-worked")["activityArn"]
    arn = machines.start({"Type": "Task", "Resource": activity, "TimeoutSeconds": 20}, {"n": 1})

    task = machines.client.get_activity_task(activityArn=activity)
    machines.client.send_task_success(taskToken=task["taskToken"], output='{"done":true}')

    assert json.loads(task["input"]) == {"n": 1}
    assert json.loads(machines.ended(arn)["output"]) == {"done": True}


def test_an_activity_offers_tasks_after_a_restart() -> None:
    # What MiniStack keeps of an activity over a restart: not its list of tasks.
    arn = "arn:aws:states:us-east-1:000000000000:activity:review"
    states = SimpleNamespace(_activities={arn: {}}, _activity_tasks=dict[str, Any]())
    waiting = Callbacks(states)

    async def give(data: dict[str, Any]) -> Any:
        states._activity_tasks[arn].append("offered")
        return 200, {}, b""

    assert asyncio.run(waiting.offering(give)({"activityArn": arn}))[0] == 200
    with pytest.raises(StateError):
        waiting.do_activity(arn, {}, Until(0.01, None), lambda worker: None)
    assert states._activity_tasks == {arn: ["offered"]}


def test_an_activity_without_a_worker_times_out_and_offers_no_task(machines: Machines) -> None:
    activity = machines.client.create_activity(name="asl-idle")["activityArn"]
    arn = machines.start({"Type": "Task", "Resource": activity, "TimeoutSeconds": 1})
    assert machines.ended(arn)["error"] == "States.Timeout"
    impatient = machines.cloud.client("stepfunctions", patience=1)

    with pytest.raises(ReadTimeoutError):
        impatient.get_activity_task(activityArn=activity)
