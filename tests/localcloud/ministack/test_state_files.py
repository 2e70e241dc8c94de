"""Room that is taken for a state file before a request changes anything, and what a full disk leaves of a change."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from localcloud.ministack.state_files import Room, StateFiles
from localcloud.settings import DiskError

ROLE = "arn:aws:iam::000000000000:role/any"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:room"
TOPIC = "arn:aws:sns:us-east-1:000000000000:room"


def _archive(text: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        packed.writestr("app.py", f"def handler(event, context): return {text!r}")
    return data.getvalue()


def test_room_is_on_the_disk_until_it_is_released(tmp_path: Path) -> None:
    room = Room(tmp_path / "iam.0.room", 100_000)

    assert room.path.stat().st_blocks * 512 >= 100_000
    room.release()
    assert list(tmp_path.iterdir()) == []


def test_room_that_is_not_there_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="Nothing was changed"):
        Room(tmp_path / "iam.0.room", 2**62)

    assert list(tmp_path.iterdir()) == []


def test_a_state_taken_earlier_does_not_replace_a_later_one(tmp_path: Path) -> None:
    states = iter("abaabc")
    app = SimpleNamespace(
        __name__="app",
        SERVICE_REGISTRY={},
        _state_map={},
        _build_persistence_save_dict=lambda: {"iam": lambda: next(states)},
    )
    kept = SimpleNamespace(
        __name__="kept", STATE_DIR=str(tmp_path), _state_format_version=lambda _: 1, _json_default=str
    )
    files = StateFiles(app, kept)

    def written() -> str:
        return str(json.loads((tmp_path / "iam.json").read_text("utf-8"))["payload"])

    files.write("iam")
    earlier, later = files.take("iam"), files.take("iam")  # b, and a again
    files.put("iam", later)
    files.put("iam", earlier)
    assert written() == "a"

    earlier = files.take("iam")
    files.write("iam")
    files.put("iam", earlier)
    assert written() == "b"


@pytest.fixture
def full(own_cloud: Callable[[], Any]) -> Iterator[Any]:
    """A cloud with some resources, on a disk that takes nothing more."""
    cloud = own_cloud()
    cloud.client("sqs").create_queue(QueueName="room")
    cloud.client("sns").create_topic(Name="room")
    cloud.client("sns").subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE)
    events = cloud.client("events")
    events.put_rule(Name="room", EventPattern='{"source": ["room"]}')
    events.put_targets(Rule="room", Targets=[{"Id": "queue", "Arn": QUEUE}])
    cloud.client("lambda").create_function(
        FunctionName="room",
        Runtime="python3.11",
        Handler="app.handler",
        Timeout=60,
        Role=ROLE,
        Code={"ZipFile": _archive("old")},
    )
    cloud.client("lambda").get_waiter("function_active_v2").wait(FunctionName="room", WaiterConfig={"Delay": 0.1})
    cloud.client("logs").create_log_group(logGroupName="room")
    cloud.client("cloudwatch").put_metric_data(Namespace="room", MetricData=[{"MetricName": "m", "Value": 1}])
    process = psutil.Process(cloud.process.pid)
    # The kernel refuses to let a file grow beyond this, as it refuses on a full disk.
    process.rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))
    yield cloud
    process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a role": lambda client: client("iam").create_role(RoleName="lost", AssumeRolePolicyDocument="{}"),
    "a queue": lambda client: client("sqs").create_queue(QueueName="lost"),
    "a topic": lambda client: client("sns").create_topic(Name="lost"),
    "a topic's end": lambda client: client("sns").delete_topic(TopicArn=TOPIC),
    "a rule": lambda client: client("events").put_rule(Name="lost", EventPattern="{}"),
    "a rule's targets": lambda client: client("events").remove_targets(Rule="room", Ids=["queue"]),
    "a schedule": lambda client: client("scheduler").create_schedule(
        Name="lost", ScheduleExpression="rate(1 day)", FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": QUEUE, "RoleArn": ROLE},
    ),
    "a function": lambda client: client("lambda").create_function(
        FunctionName="lost", Runtime="python3.11", Handler="app.handler", Role=ROLE, Code={"ZipFile": _archive("x")}
    ),
    "a function's code": lambda client: client("lambda").update_function_code(
        FunctionName="room", ZipFile=_archive("new")
    ),
    "a retention": lambda client: client("logs").put_retention_policy(logGroupName="room", retentionInDays=1),
    "an alarm": lambda client: client("cloudwatch").put_metric_alarm(
        AlarmName="lost", MetricName="m", Namespace="room", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold",
    ),
    "a point": lambda client: client("cloudwatch").put_metric_data(
        Namespace="room", MetricData=[{"MetricName": "lost", "Value": 1}]
    ),
    "a state machine": lambda client: client("stepfunctions").create_state_machine(
        name="lost", roleArn=ROLE, definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
    ),
    "a stack": lambda client: client("cloudformation").create_stack(
        StackName="lost", TemplateBody='{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    ),
    "an event": lambda client: client("events").put_events(
        Entries=[{"Source": "room", "DetailType": "lost", "Detail": "{}"}]
    ),
    "a notification": lambda client: client("sns").publish(TopicArn=TOPIC, Message="lost"),
}  # fmt: skip


def _state(client: Callable[[str], Any]) -> str:
    """What the services tell of what `CHANGES` change, as text."""
    lists = {
        "roles": client("iam").list_roles()["Roles"],
        "queues": client("sqs").list_queues().get("QueueUrls"),
        "topics": client("sns").list_topics()["Topics"],
        "rules": client("events").list_rules()["Rules"],
        "targets": client("events").list_targets_by_rule(Rule="room")["Targets"],
        "schedules": client("scheduler").list_schedules()["Schedules"],
        "functions": client("lambda").list_functions()["Functions"],
        "code": client("lambda").invoke(FunctionName="room")["Payload"].read().decode(),
        "groups": client("logs").describe_log_groups(logGroupNamePrefix="room")["logGroups"],
        "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
        "metrics": client("cloudwatch").list_metrics(Namespace="room")["Metrics"],
        "machines": client("stepfunctions").list_state_machines()["stateMachines"],
        "stacks": client("cloudformation").describe_stacks()["Stacks"],
        "messages": client("sqs").receive_message(QueueUrl=client("sqs").get_queue_url(QueueName="room")["QueueUrl"]),
    }
    lists["messages"] = lists["messages"].get("Messages")
    return json.dumps(lists, default=str, indent=1)


def test_what_a_full_disk_refuses_is_not_there_afterwards(full: Any) -> None:
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = full.client(service)
        return made[service]

    before = _state(client)
    statuses = {}
    for name, change in CHANGES.items():
        with pytest.raises(ClientError) as error:
            change(client)
        statuses[name] = error.value.response["ResponseMetadata"]["HTTPStatusCode"]

    assert statuses == dict.fromkeys(CHANGES, 507)
    assert _state(client) == before
