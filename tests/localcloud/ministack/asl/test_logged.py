"""Logs of executions and of functions, as loggingConfiguration and LogType ask for them, and what is not served."""

import base64
import io
import json
import time
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError

from localcloud.ministack.execution_logs import is_logged, with_small_letters
from tests.localcloud.conftest import RunningCloud
from tests.localcloud.ministack.asl.conftest import Machines

ROLE = "arn:aws:iam::000000000000:role/asl"
FAILS = {"StartAt": "Say", "States": {"Say": {"Type": "Pass", "Next": "No"}, "No": {"Type": "Fail", "Error": "Mine"}}}


def lines(machines: Machines, kind: str, level: str, with_data: bool) -> list[dict[str, Any]]:
    """What an execution that fails, with the input {"secret": 1}, writes into its log group."""
    logs, group = machines.cloud.client("logs"), f"/aws/vendedlogs/states/{uuid.uuid4().hex}"
    logs.create_log_group(logGroupName=group)
    place = [{"cloudWatchLogsLogGroup": {"logGroupArn": f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:*"}}]
    machine = machines.client.create_state_machine(
        name=f"asl-{uuid.uuid4().hex[:12]}",
        definition=json.dumps(FAILS),
        roleArn=ROLE,
        type=kind,
        loggingConfiguration={"level": level, "includeExecutionData": with_data, "destinations": place},
    )["stateMachineArn"]
    if kind == "EXPRESS":
        machines.client.start_sync_execution(stateMachineArn=machine, input='{"secret": 1}')
    else:
        machines.ended(machines.client.start_execution(stateMachineArn=machine, input='{"secret": 1}')["executionArn"])
    found = logs.filter_log_events(logGroupName=group)["events"]
    assert all(event["logStreamName"].startswith("states/asl-") for event in found)
    return [json.loads(event["message"]) for event in found]


@pytest.mark.parametrize("kind", ["STANDARD", "EXPRESS"])
def test_an_execution_logs_its_events(machines: Machines, kind: str) -> None:
    first, *others = lines(machines, kind, "ALL", with_data=True)
    assert [line["type"] for line in others] == [
        "PassStateEntered", "PassStateExited", "FailStateEntered", "ExecutionFailed",
    ]  # fmt: skip
    assert (first["id"], first["previous_event_id"], first["redrive_count"]) == ("1", "0", "0")
    assert first["details"]["input"] == '{"secret": 1}'
    assert int(first["event_timestamp"]) == pytest.approx(time.time() * 1000, abs=120_000)
    assert (":express:" in first["execution_arn"]) == (kind == "EXPRESS")


def test_data_is_logged_only_when_asked_for(machines: Machines) -> None:
    found = lines(machines, "EXPRESS", "ALL", with_data=False)
    assert len(found) == 5
    assert "secret" not in json.dumps(found)
    assert found[1]["details"] == {"name": "Say"}


@pytest.mark.parametrize(
    ("level", "logged"), [("ERROR", ["FailStateEntered", "ExecutionFailed"]), ("FATAL", ["ExecutionFailed"])]
)
def test_levels_choose_the_events(machines: Machines, level: str, logged: list[str]) -> None:
    assert [line["type"] for line in lines(machines, "STANDARD", level, with_data=True)] == logged


def test_nothing_is_logged_at_off() -> None:
    assert not is_logged("ExecutionFailed", "OFF")
    assert is_logged("MapIterationAborted", "ERROR")


def test_a_templates_configuration_has_the_names_of_step_functions() -> None:
    given = {"Level": "ALL", "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": "arn:Of"}}]}
    named = {"level": "ALL", "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": "arn:Of"}}]}
    assert with_small_letters(given) == named


def test_the_tail_of_a_functions_log_is_what_cloudwatch_has(cloud: RunningCloud) -> None:
    functions = cloud.client("lambda")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    print('said', context.aws_request_id)\n")
    functions.create_function(
        FunctionName="tailed", Runtime="python3.11", Role=ROLE, Handler="app.handler", Timeout=60,
        Code={"ZipFile": code.getvalue()},
    )  # fmt: skip

    answer = functions.invoke(FunctionName="tailed", LogType="Tail")

    identity = answer["ResponseMetadata"]["RequestId"]
    told = base64.b64decode(answer["LogResult"]).decode().splitlines()
    begin, said, end, report = told
    assert begin == f"START RequestId: {identity} Version: $LATEST"
    assert (said, end) == (f"said {identity}", f"END RequestId: {identity}")
    assert report.startswith(f"REPORT RequestId: {identity}\tDuration: ")
    logged = cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/tailed")["events"]
    assert [event["message"].rstrip("\n") for event in logged] == told
    assert "LogResult" not in functions.invoke(FunctionName="tailed")


def test_an_asynchronous_invocation_and_its_retry_have_the_answers_id(cloud: RunningCloud) -> None:
    functions, logs, name = cloud.client("lambda"), cloud.client("logs"), "told-later"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    raise ValueError(context.aws_request_id)\n")
    functions.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=ROLE,
        Handler="app.handler",
        Timeout=60,
        Code={"ZipFile": code.getvalue()},
    )
    functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)

    identity = functions.invoke(FunctionName=name, InvocationType="Event")["ResponseMetadata"]["RequestId"]

    def begun() -> list[str]:
        try:
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="START")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"].split()[2] for event in found]

    while len(told := begun()) < 2:
        time.sleep(0.05)
    assert told == [identity] * 2


def test_an_integration_that_is_not_served_is_named(machines: Machines) -> None:
    for resource in ("arn:aws:states:::glue:startJobRun", "arn:aws:states:::aws-sdk:polly:listLexicons"):
        ended = machines.run({"Type": "Task", "Resource": resource, "Parameters": {}})
        assert ended["error"] == "States.Runtime"
        assert f"The integration {resource} is not served by this local cloud." in ended["cause"]


def test_versions_are_one_a_revision_and_lists_have_pages(machines: Machines) -> None:
    client, machine = machines.client, machines.create({"Type": "Pass"})
    first = client.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
    assert client.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"] == first
    for number in range(2):
        definition = json.dumps({"StartAt": "N", "States": {"N": {"Type": "Pass", "Result": number, "End": True}}})
        client.update_state_machine(stateMachineArn=machine, definition=definition, publish=True)
    route = [{"stateMachineVersionArn": first, "weight": 100}]
    alias = client.create_state_machine_alias(name="live", routingConfiguration=route)["stateMachineAliasArn"]
    assert client.create_state_machine_alias(name="live", routingConfiguration=route)["stateMachineAliasArn"] == alias

    page = client.list_state_machine_versions(stateMachineArn=machine, maxResults=2)
    rest = client.list_state_machine_versions(stateMachineArn=machine, maxResults=2, nextToken=page["nextToken"])

    assert len(page["stateMachineVersions"] + rest["stateMachineVersions"]) == 3
    assert rest["stateMachineVersions"][0]["stateMachineVersionArn"] == first
    assert "nextToken" not in rest
    started = client.start_execution(stateMachineArn=alias)["executionArn"]
    described = machines.ended(started)
    assert (described["stateMachineAliasArn"], described["stateMachineVersionArn"]) == (alias, first)
    client.delete_state_machine(stateMachineArn=machine)
    with pytest.raises(client.exceptions.ResourceNotFound):
        client.describe_state_machine_alias(stateMachineAliasArn=alias)


def test_each_operation_is_served_or_refused_by_name(machines: Machines) -> None:
    page = (Path(__file__).parents[4] / "docs" / "local-cloud-step-functions.md").read_text(encoding="utf-8")
    arn = "arn:aws:states:us-east-1:000000000000:{}:none"
    model, refused = machines.client.meta.service_model, dict[str, dict[str, str]]()
    for name in model.operation_names:
        assert name in page
        given: dict[str, Any] = {}
        for member in model.operation_model(name).input_shape.required_members:
            kind = member.removesuffix("Arn").replace("stateMachineVersion", "stateMachine")
            given[member] = arn.format(kind) if member.endswith("Arn") else "x" * 8
            if model.operation_model(name).input_shape.members[member].type_name == "list":
                given[member] = []
        try:
            getattr(machines.client, xform_name(name))(**given)
        except (ClientError, ParamValidationError) as error:
            refused[name] = getattr(error, "response", {"Error": {"Code": "", "Message": ""}})["Error"]
    assert not {"InvalidAction", "UnknownOperationException", "InternalError"} & {
        one["Code"] for one in refused.values()
    }
    assert "RedriveExecution" in refused


def test_a_state_that_is_not_tested_here_is_refused_by_name(machines: Machines) -> None:
    inner = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    state = {"Type": "Map", "ItemProcessor": inner, "End": True}
    with pytest.raises(ClientError, match="TestState of a Map state is not served by this local cloud"):
        machines.client.test_state(definition=json.dumps(state), roleArn=ROLE, input="[]")
