"""What a killed local cloud acknowledged: messages, executions, log lines, events, versions of objects."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Generator
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from localcloud.ministack.executions import LONGEST_INPUT, invalid_input
from tests.localcloud.restarts import LAST
from tests.waiting import Gate, soon
from tests.waiting import ended as wait_until_ended

ROLE = "arn:aws:iam::000000000000:role/any"
GROUP = {"logGroupName": "/durable"}
STREAM = {**GROUP, "logStreamName": "stream"}


def machine(cloud: Any, name: str, **state: Any) -> str:
    """The ARN of a state machine with one state."""
    definition = {"StartAt": "Only", "States": {"Only": {"End": True, **state}}}
    made = cloud.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=ROLE
    )
    return str(made["stateMachineArn"])


def messages(cloud: Any) -> Generator[str, None, str]:
    """Messages of which one was deleted and one received; its receipt handle."""
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName="messages")["QueueUrl"]
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=f"{number}")
    yield LAST
    sqs.send_message(QueueUrl=url, MessageBody="3")
    deleted, received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=2, VisibilityTimeout=600)["Messages"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=deleted["ReceiptHandle"])
    return str(received["ReceiptHandle"])


@pytest.mark.restarted(messages, "kill")
def test_messages_are_as_they_were_acknowledged_after_a_kill(restarted: tuple[Any, str]) -> None:
    sqs = restarted[0].client("sqs")
    url = sqs.get_queue_url(QueueName="messages")["QueueUrl"]
    waiting = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]

    assert [message["Body"] for message in waiting] == ["2", "3"]
    # What was received stays hidden, and its handle works.
    sqs.delete_message(QueueUrl=url, ReceiptHandle=restarted[1])


def executions(cloud: Any) -> Generator[str, None, tuple[str, ...]]:
    """The ARNs of an execution that waits, one that has ended, one whose time runs out, and the first one's machine."""
    states = cloud.client("stepfunctions")
    waits, passes = machine(cloud, "waits", Type="Wait", Seconds=600), machine(cloud, "passes", Type="Pass")
    state = {"Type": "Wait", "Seconds": 600, "End": True}
    short = {"StartAt": "Only", "TimeoutSeconds": 2, "States": {"Only": state}}
    timed = states.create_state_machine(
        name="timed", definition=json.dumps(short), roleArn="arn:aws:iam::000000000000:role/any"
    )["stateMachineArn"]
    ended = states.start_execution(stateMachineArn=passes, input='{"a": 1}')["executionArn"]
    wait_until_ended(states, ended)
    yield LAST
    running, late = (states.start_execution(stateMachineArn=arn)["executionArn"] for arn in (waits, timed))
    return running, ended, late, waits


@pytest.mark.restarted(executions, "kill")
def test_executions_are_there_after_a_kill_and_interrupted_ones_failed(restarted: tuple[Any, tuple[str, ...]]) -> None:
    states, (running, ended, late, waits) = restarted[0].client("stepfunctions"), restarted[1]
    failed, succeeded, over = (states.describe_execution(executionArn=arn) for arn in (running, ended, late))

    assert (failed["status"], failed["error"]) == ("FAILED", "States.ServiceRestart")
    assert "Start it again" in failed["cause"]
    assert (over["status"], (over["stopDate"] - over["startDate"]).total_seconds()) == ("TIMED_OUT", 2)
    assert (succeeded["status"], json.loads(succeeded["output"])) == ("SUCCEEDED", {"a": 1})
    assert states.get_execution_history(executionArn=ended)["events"][-1]["type"] == "ExecutionSucceeded"
    assert [one["executionArn"] for one in states.list_executions(stateMachineArn=waits)["executions"]] == [running]


def printing(cloud: Any) -> str:
    """The ARN of a new function, `says`, that prints what it is given as `n`."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    print('said', event['n'])\n")
    function: str = cloud.client("lambda").create_function(
        FunctionName="says",
        Runtime="python3.11",
        Role=ROLE,
        Handler="app.handler",
        Timeout=60,
        Code={"ZipFile": code.getvalue()},
    )["FunctionArn"]
    return function


def printed(cloud: Any) -> Generator[None, None, None]:
    """Executions that ended, whose function printed."""
    states = cloud.client("stepfunctions")
    says = machine(cloud, "says", Type="Task", Resource=printing(cloud))
    yield
    started = [
        states.start_execution(stateMachineArn=says, input=json.dumps({"n": number}))["executionArn"]
        for number in range(3)
    ]
    for arn in started:
        while states.describe_execution(executionArn=arn)["status"] == "RUNNING":
            time.sleep(0.005)


@pytest.mark.restarted(printed, "kill")
def test_what_an_execution_wrote_is_there_once_its_end_is_known(restarted: tuple[Any, None]) -> None:
    found = restarted[0].client("logs").filter_log_events(logGroupName="/aws/lambda/says", filterPattern="said")

    assert sorted(event["message"] for event in found["events"]) == ["said 0", "said 1", "said 2"]


def log_lines(cloud: Any) -> Generator[str, None, None]:
    """Three lines of a stream."""
    logs = cloud.client("logs")
    logs.create_log_group(**GROUP)
    logs.create_log_stream(**STREAM)
    yield LAST
    now = int(time.time() * 1000)
    logs.put_log_events(**STREAM, logEvents=[{"timestamp": now + n, "message": f"line {n}"} for n in range(3)])


@pytest.mark.restarted(log_lines, "kill")
def test_log_lines_are_there_after_a_kill(restarted: tuple[Any, None]) -> None:
    logs = restarted[0].client("logs")
    page = logs.get_log_events(**STREAM, startFromHead=True, limit=2)
    rest = logs.get_log_events(**STREAM, startFromHead=True, nextToken=page["nextForwardToken"])
    end = logs.get_log_events(**STREAM, startFromHead=True, nextToken=rest["nextForwardToken"])

    assert [event["message"] for event in page["events"] + rest["events"]] == ["line 0", "line 1", "line 2"]
    assert (end["events"], end["nextForwardToken"]) == ([], rest["nextForwardToken"])
    last = logs.get_log_events(**STREAM, limit=1)["events"]
    assert [event["message"] for event in last] == ["line 2"]
    assert logs.describe_log_groups(logGroupNamePrefix="/durable")["logGroups"][0]["storedBytes"] == 18


def event(cloud: Any) -> Generator[str, None, None]:
    """An event that a function works on."""
    code, gate = io.BytesIO(), Gate()
    with zipfile.ZipFile(code, "w") as archive:
        text = f"import boto3\n{gate.source}\ndef handler(event, context):\n    pass_gate()\n"
        archive.writestr("app.py", text + "    boto3.client('s3').put_object(Bucket='done', Key=event['key'])\n")
    cloud.client("s3").create_bucket(Bucket="done")
    cloud.client("lambda").create_function(
        FunctionName="works", Runtime="python3.11", Role=ROLE, Handler="app.handler", Code={"ZipFile": code.getvalue()},
        Timeout=300,
    )  # fmt: skip
    yield LAST
    cloud.client("lambda").invoke(FunctionName="works", InvocationType="Event", Payload=b'{"key": "worked-on"}')
    yield LAST
    gate.open()  # not before the kill, else this shows nothing


@pytest.mark.restarted(event, "kill")
def test_an_event_that_a_function_was_given_is_worked_on_after_a_kill(restarted: tuple[Any, None]) -> None:
    s3 = restarted[0].client("s3")
    assert soon(lambda: s3.list_objects_v2(Bucket="done").get("Contents"))

    assert [one["Key"] for one in s3.list_objects_v2(Bucket="done").get("Contents", [])] == ["worked-on"]


def test_versions_keep_their_bytes_whatever_is_put_over_them(cloud: Any) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="versions-kept")
    s3.put_bucket_versioning(Bucket="versions-kept", VersioningConfiguration={"Status": "Enabled"})
    bodies = {}
    for number in range(4):
        body = f"body {number}".encode()
        bodies[s3.put_object(Bucket="versions-kept", Key="a/b", Body=body)["VersionId"]] = body
    marker = s3.delete_object(Bucket="versions-kept", Key="a/b")["VersionId"]
    s3.delete_object(Bucket="versions-kept", Key="a/b", VersionId=marker)

    found = {
        version: s3.get_object(Bucket="versions-kept", Key="a/b", VersionId=version)["Body"].read()
        for version in bodies
    }

    assert found == bodies
    assert s3.get_object(Bucket="versions-kept", Key="a/b")["Body"].read() == b"body 3"


def test_a_filter_gives_more_than_one_page_of_lines(cloud: Any) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="/many")
    logs.create_log_stream(logGroupName="/many", logStreamName="stream")
    events = [{"timestamp": 1_700_000_000_000 + n, "message": f"{n}"} for n in range(10_050)]
    for start in range(0, len(events), 5_000):
        logs.put_log_events(logGroupName="/many", logStreamName="stream", logEvents=events[start : start + 5_000])

    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName="/many"))

    assert [e["message"] for page in pages for e in page["events"]] == [e["message"] for e in events]
    assert len(pages) == 2


def test_lines_of_a_function_are_in_one_stream_of_its_group(cloud: Any) -> None:
    printing(cloud)
    for number in range(2):
        cloud.client("lambda").invoke(FunctionName="says", Payload=json.dumps({"n": number}))

    logs = cloud.client("logs")
    found = logs.filter_log_events(logGroupName="/aws/lambda/says")["events"]

    assert [e["message"] for e in found if e["message"].startswith("said")] == ["said 0", "said 1"]
    assert len(logs.describe_log_streams(logGroupName="/aws/lambda/says")["logStreams"]) == 1


@pytest.mark.parametrize("start", ["start_execution", "start_sync_execution"])
@pytest.mark.parametrize(
    "given", ["not json", "", "NaN", "1e400", '"\ud800"', "[" * 100_000, '"' + "a" * LONGEST_INPUT + '"']
)
def test_an_input_that_is_not_json_or_too_long_is_refused(cloud: Any, start: str, given: str) -> None:
    arn = machine(cloud, f"checks-{start.replace('_', '-')}", Type="Pass")

    with pytest.raises(ClientError) as error:
        getattr(cloud.client("stepfunctions"), start)(stateMachineArn=arn, input=given)

    refusals = ("InvalidExecutionInput", "SerializationException", "ValidationException")
    assert error.value.response["Error"]["Code"] in refusals


@pytest.mark.parametrize("given", ["1e400", "-1e400", '{"a": 1e999}', "9" * 400, "9" * 5000])
def test_a_number_that_becomes_infinity_is_refused(given: str) -> None:
    assert "outside of what 64 bits can hold" in str(invalid_input(given))


def test_text_that_utf_8_cannot_hold_is_refused() -> None:
    assert "half of a surrogate pair" in str(invalid_input('{"key": "\ud800"}'))


@pytest.mark.parametrize(
    "given",
    [
        "{}",
        "null",
        '"a"',
        "[1]",
        "1e308",
        "1e-400",
        "9" * 300,
        '"\\ud83d\\ude00"',
        '"' + "a" * (LONGEST_INPUT - 2) + '"',
    ],
)
def test_any_json_within_the_limit_is_an_input(given: str) -> None:
    assert invalid_input(given) is None


def test_a_start_that_is_sent_again_is_answered_as_the_first_time(cloud: Any) -> None:
    states = cloud.client("stepfunctions")
    arn = machine(cloud, "once", Type="Wait", Seconds=60)
    first = states.start_execution(stateMachineArn=arn, name="one", input='{"a": 1}')

    again = states.start_execution(stateMachineArn=arn, name="one", input='{"a": 1}')
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(stateMachineArn=arn, name="one", input='{"a": 2}')
    states.stop_execution(executionArn=first["executionArn"])
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(stateMachineArn=arn, name="one", input='{"a": 1}')

    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])


def test_an_aborted_execution_stays_aborted_when_its_task_fails(cloud: Any) -> None:
    states = cloud.client("stepfunctions")
    arn = machine(cloud, "aborted", Type="Wait", Seconds=4)
    execution = states.start_execution(stateMachineArn=arn)["executionArn"]
    states.stop_execution(executionArn=execution)
    time.sleep(4.3)

    assert states.describe_execution(executionArn=execution)["status"] == "ABORTED"


def test_on_a_full_disk_nothing_is_acknowledged_and_reads_answer(own_cloud: Callable[[], Any]) -> None:
    cloud = own_cloud()
    sqs, states, logs, s3 = (cloud.client(name) for name in ("sqs", "stepfunctions", "logs", "s3"))
    url = sqs.create_queue(QueueName="full")["QueueUrl"]
    arn = machine(cloud, "full", Type="Pass")
    logs.create_log_group(**GROUP)
    logs.create_log_stream(**STREAM)
    s3.create_bucket(Bucket="full")
    s3.put_object(Bucket="full", Key="key", Body=b"before")
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "of-a-stack"}}
    cloud.client("cloudformation").create_stack(
        StackName="full", TemplateBody=json.dumps({"Resources": {"Bucket": bucket}})
    )
    waits = machine(cloud, "waits", Type="Wait", Seconds=60)
    waiting = states.start_execution(stateMachineArn=waits)["executionArn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("app.py", "def handler(event, context): ...")
    function = {"FunctionName": "lost", "Runtime": "python3.11", "Handler": "app.handler", "Role": ROLE}
    cloud.client("cloudformation").get_waiter("stack_create_complete").wait(StackName="full", WaiterConfig={"Delay": 1})
    process = psutil.Process(cloud.process.pid)
    # The kernel refuses to let a file grow beyond this, as it refuses on a full disk.
    process.rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))

    event = {"timestamp": int(time.time() * 1000), "message": "line"}
    for write in (
        lambda: sqs.send_message(QueueUrl=url, MessageBody="lost"),
        lambda: states.start_execution(stateMachineArn=arn, name="lost"),
        lambda: logs.put_log_events(**STREAM, logEvents=[event]),
        lambda: s3.put_object(Bucket="full", Key="key", Body=b"after"),
        lambda: cloud.client("iam").create_role(RoleName="lost", AssumeRolePolicyDocument="{}"),
        lambda: cloud.client("lambda").create_function(**function, Code={"ZipFile": archive.getvalue()}),
        lambda: states.stop_execution(executionArn=waiting),
    ):
        with pytest.raises(ClientError) as error:
            write()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
    assert cloud.client("cloudformation").describe_stacks(StackName="full")["Stacks"]
    assert s3.get_object(Bucket="full", Key="key")["Body"].read() == b"before"
    assert states.list_executions(stateMachineArn=arn)["executions"] == []
    assert states.list_executions(stateMachineArn=waits)["executions"]
    assert logs.get_log_events(**STREAM)["events"] == []

    process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.send_message(QueueUrl=url, MessageBody="kept")
    assert states.start_execution(stateMachineArn=arn, name="lost")["executionArn"]
    assert [message["Body"] for message in sqs.receive_message(QueueUrl=url)["Messages"]] == ["kept"]
