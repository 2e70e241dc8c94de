"""SageMaker pipelines started by schedules and rules, in the name of their roles."""

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ministack.schedules import is_schedule, pipeline_request, schedule_problem
from tests.localcloud.pipeline_kit import definition
from tests.waiting import soon

ACCOUNT = "arn:aws:iam::000000000000"
PIPELINE = "arn:aws:sagemaker:us-east-1:000000000000:pipeline"
STEP = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": {"Get": "Parameters.Why"}}}
PARAMETERS = [{"Name": "Why", "Type": "String", "DefaultValue": "nothing was given"}]


def pipeline(cloud: Any, name: str) -> str:
    """Create a pipeline that fails with its parameter `Why`; its ARN."""
    made = cloud.client("sagemaker").create_pipeline(
        PipelineName=name, PipelineDefinition=definition(STEP, parameters=PARAMETERS), RoleArn=f"{ACCOUNT}:role/any",
        ClientRequestToken=uuid.uuid4().hex,
    )  # fmt: skip
    return str(made["PipelineArn"])


def schedule(cloud: Any, name: str, arn: str, role: str = f"{ACCOUNT}:role/any") -> None:
    """A schedule that is due at once, with a value for the pipeline's parameter."""
    cloud.client("scheduler").create_schedule(
        Name=name, ScheduleExpression="at(2026-01-01T00:00:00)", FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": arn, "RoleArn": role,
            "SageMakerPipelineParameters": {"PipelineParameterList": [{"Name": "Why", "Value": "scheduled"}]},
        },
    )  # fmt: skip


def executions(cloud: Any, name: str, seconds: float = 10) -> list[dict[str, Any]]:
    """The executions of a pipeline, once there is one, or none after a while."""
    sagemaker = cloud.client("sagemaker")

    def listed() -> list[dict[str, Any]]:
        return list(sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"])

    return soon(listed, seconds)


def test_a_schedule_starts_a_pipeline_with_its_parameters(cloud: Any) -> None:
    schedule(cloud, "starts", pipeline(cloud, "scheduled"))

    [execution] = executions(cloud, "scheduled")
    given = cloud.client("sagemaker").list_pipeline_parameters_for_execution(
        PipelineExecutionArn=execution["PipelineExecutionArn"]
    )

    assert given["PipelineParameters"] == [{"Name": "Why", "Value": "scheduled"}]


def test_a_rule_starts_a_pipeline(cloud: Any) -> None:
    arn, events = pipeline(cloud, "ruled"), cloud.client("events")
    events.put_rule(Name="starts-pipeline", EventPattern=json.dumps({"source": ["test.schedules"]}))
    target = {"Id": "pipeline", "Arn": arn, "RoleArn": f"{ACCOUNT}:role/any"}
    events.put_targets(Rule="starts-pipeline", Targets=[target])
    events.put_events(Entries=[{"Source": "test.schedules", "DetailType": "any", "Detail": "{}"}])

    assert len(executions(cloud, "ruled")) == 1


def once(cloud: Any) -> None:
    """A schedule of one time that has started its pipeline."""
    schedule(cloud, "once", pipeline(cloud, "once"))
    assert len(executions(cloud, "once")) == 1


@pytest.mark.restarted(once, "kill")
def test_a_one_time_schedule_does_not_fire_again_after_a_restart(restarted: tuple[Any, None]) -> None:
    time.sleep(2.5)

    assert len(executions(restarted[0], "once")) == 1


def test_a_schedule_of_a_pipeline_that_is_gone_says_so_in_the_log(cloud: Any) -> None:
    schedule(cloud, "of-nothing", f"{PIPELINE}/gone")

    assert soon(lambda: "could not start the pipeline gone" in cloud.log())


@pytest.mark.parametrize(("action", "started"), [("sagemaker:StartPipelineExecution", 1), ("sagemaker:List*", 0)])
def test_a_schedule_acts_in_the_name_of_its_role(guarded_cloud: Any, action: str, started: int) -> None:
    name = f"role-{uuid.uuid4().hex[:8]}"
    iam, arn = guarded_cloud.client("iam"), pipeline(guarded_cloud, name)
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    allowed = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName=name, PolicyName="any", PolicyDocument=policy)
    schedule(guarded_cloud, name, arn, f"{ACCOUNT}:role/{name}")

    assert len(executions(guarded_cloud, name, 10 if started else 3)) == started


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"Arn": f"{PIPELINE}/any"}, {"PipelineName": "any"}),
        (
            {"Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:startPipelineExecution", "Input": '{"PipelineName": "a"}'},
            {"PipelineName": "a"},
        ),
        ({"Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:startPipelineExecution", "Input": "no JSON"}, {}),
        ({"Arn": "arn:aws:sagemaker:us-east-1:000000000000:endpoint/any"}, None),
        ({"Arn": "arn:aws:lambda:us-east-1:000000000000:function:pipeline/any"}, None),
        ({"Arn": "no arn"}, None),
        ({}, None),
    ],
)
def test_targets_that_start_a_pipeline_are_known(target: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert pipeline_request(target) == expected


@pytest.mark.parametrize(
    "text",
    ["rate(1 minute)", "rate(2 minutes)", "rate(15 days)", "cron(0 12 * * ? *)", "cron(*/90 8-17 ? * MON-FRI 2026)",
     "cron(0 0 L * ? *)", "cron(0 0 ? * 6#3 *)", "cron(59 23 31 12 ? 2199)", ""],
)  # fmt: skip
def test_schedules_that_rules_may_have(text: str) -> None:
    assert is_schedule(text)


@pytest.mark.parametrize(
    "text",
    ["rate(1 minutes)", "rate(2 minute)", "rate(0 minutes)", "rate(01 minutes)", "rate(9999999999 days)",
     "cron(60 12 * * ? *)", "cron(0 24 * * ? *)", "cron(0 0 0 * ? *)", "cron(0 0 ? * 8 *)", "cron(0 0 1 1 ? 3000)"],
)  # fmt: skip
def test_schedules_that_rules_may_not_have(text: str) -> None:
    assert not is_schedule(text)


def test_a_rule_with_such_a_schedule_is_refused(cloud: Any) -> None:
    events = cloud.client("events")

    with pytest.raises(events.exceptions.ClientError, match="Parameter ScheduleExpression is not valid"):
        events.put_rule(Name="too-often", ScheduleExpression="rate(1 minutes)")


OFF = {"FlexibleTimeWindow": {"Mode": "OFF"}}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"ScheduleExpression": "rate(1 hour)"}, None),
        ({"ScheduleExpression": "rate(1 hours)"}, None),
        ({"ScheduleExpression": "at(2030-02-28T23:59:59)", "ScheduleExpressionTimezone": "Europe/Berlin"}, None),
        ({"ScheduleExpression": "cron(0 1 * * ? *)"}, None),
        ({"ScheduleExpression": "rate(0 hours)"}, "Invalid Schedule Expression rate(0 hours)."),
        ({"ScheduleExpression": "rate(10 seconds)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpression": "at(2030-02-30T00:00:00)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpression": "at(2030-02-28T00:00)"}, "Invalid Schedule Expression"),
        ({"ScheduleExpression": "cron(wrong)"}, "Invalid Schedule Expression cron(wrong)."),
        ({"ScheduleExpression": "hourly"}, "Invalid Schedule Expression hourly."),
        ({"ScheduleExpressionTimezone": "Mars/Base"}, "Invalid Schedule Expression Timezone Mars/Base."),
        ({"ScheduleExpressionTimezone": "../etc"}, "Invalid Schedule Expression Timezone"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes is required"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5}}, None),
        ({"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}}, "must not be given"),
        ({"StartDate": 2_000_000_000, "EndDate": 1_900_000_000}, "EndDate must be later"),
    ],
)
def test_a_schedule_is_taken_or_refused(given: dict[str, Any], problem: str | None) -> None:
    body = {"ScheduleExpression": "rate(1 day)", **OFF, **given}

    found = schedule_problem(body, lambda expression: expression.startswith("cron(0"))

    assert (found is None) == (problem is None)
    assert found is None or str(problem) in found


def test_the_scheduler_refuses_such_a_schedule(cloud: Any) -> None:
    for expression in ("cron(0 1 1 * 1 *)", "cron(0 1 1 13 ? *)", "rate(0 days)"):
        with pytest.raises(ClientError, match=r"ValidationException.*Invalid Schedule Expression"):
            cloud.client("scheduler").create_schedule(
                Name="never", ScheduleExpression=expression, **OFF,
                Target={"Arn": PIPELINE, "RoleArn": f"{ACCOUNT}:role/any"},
            )  # fmt: skip
