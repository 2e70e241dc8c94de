"""Requests about pipelines: parameters, tokens, definitions, lists, and what is refused."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import ROLE, Kit, definition
from tests.waiting import soon


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"Nonsense": "1"}, "has no parameter 'Nonsense'. It has: Epochs, Mode"),
        ({"Epochs": "many"}, "'Epochs' is of type Integer; 'many' is not"),
        ({"Epochs": "1.5"}, "'Epochs' is of type Integer; '1.5' is not"),
        ({"Mode": "slow"}, "'Mode' must be one of fast, exact; 'slow' is not"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_by_name(kit: Kit, given: dict[str, str], words: str) -> None:
    kit.pipeline(
        kit.processing("A", "pass"),
        parameters=[
            {"Name": "Epochs", "Type": "Integer", "DefaultValue": 1},
            {"Name": "Mode", "Type": "String", "DefaultValue": "fast", "EnumValues": ["fast", "exact"]},
        ],
    )
    with pytest.raises(ClientError, match=words) as error:
        kit.start(parameters=given)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_the_same_token_starts_one_execution(kit: Kit) -> None:
    kit.pipeline(kit.processing("A", "pass"))
    token = uuid.uuid4().hex
    assert kit.start(ClientRequestToken=token) == kit.start(ClientRequestToken=token)


def test_an_execution_tells_its_parameters_and_keeps_its_definition(kit: Kit) -> None:
    parameters = [{"Name": "Rate", "Type": "Float", "DefaultValue": 0.5}]
    kit.pipeline(kit.processing("A", "pass"), parameters=parameters)
    arn = kit.start(parameters={"Rate": "0.25"}, PipelineExecutionDisplayName="quarter")
    kit.pipeline(kit.processing("B", "pass"))
    kit.wait(arn)
    answer = kit.sm.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    assert answer["PipelineParameters"] == [{"Name": "Rate", "Value": "0.25"}]
    text = kit.sm.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)["PipelineDefinition"]
    assert [step["Name"] for step in json.loads(text)["Steps"]] == ["A"]
    (summary,) = kit.sm.list_pipeline_executions(PipelineName=kit.prefix)["PipelineExecutionSummaries"]
    assert summary["PipelineExecutionDisplayName"] == "quarter"


def test_a_second_create_says_that_the_pipeline_exists(kit: Kit) -> None:
    kit.pipeline(kit.processing("A", "pass"))
    with pytest.raises(ClientError, match="already exists") as error:
        kit.sm.create_pipeline(
            PipelineName=kit.prefix, PipelineDefinition=definition(kit.processing("A", "pass")), RoleArn=ROLE
        )
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_definition_that_cannot_run_is_refused_when_it_is_created(kit: Kit) -> None:
    step = {"Name": "L", "Type": "EMR", "Arguments": {}}
    with pytest.raises(ClientError, match=r"Unable to parse pipeline definition\. Step 'L' is of type 'EMR'") as error:
        kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinition=definition(step), RoleArn=ROLE)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_notebook_job_is_refused_when_the_pipeline_is_created(kit: Kit) -> None:
    request = kit.training_request("")
    request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["amazon_sagemaker_scheduler"]
    step = {"Name": "Nightly", "Type": "Training", "Arguments": request}
    with pytest.raises(ClientError, match=r"Step 'Nightly': The local cloud does not support a notebook job"):
        kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinition=definition(step), RoleArn=ROLE)


@pytest.mark.parametrize("kind", ["Processing", "Training"])
def test_instances_may_be_parameters(kit: Kit, kind: str) -> None:
    parameters: list[dict[str, Any]] = [
        {"Name": "Kind", "Type": "String", "DefaultValue": "ml.m5.large"},
        {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
    ]
    instances: dict[str, Any] = {
        "InstanceType": {"Get": "Parameters.Kind"},
        "InstanceCount": {"Get": "Parameters.Count"},
    }
    if kind == "Processing":
        step = kit.processing("A", "pass")
        step["Arguments"]["ProcessingResources"]["ClusterConfig"] |= instances
    else:
        request = kit.training_request("")
        request["ResourceConfig"] |= instances
        step = {"Name": "A", "Type": "Training", "Arguments": request}
    assert kit.pipeline(step, parameters=parameters)


def test_a_definition_may_lie_in_s3(kit: Kit) -> None:
    kit.put("pipeline.json", definition(kit.processing("A", "pass")))
    place = {"Bucket": "kit-bucket", "ObjectKey": f"{kit.prefix}/pipeline.json"}
    kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinitionS3Location=place, RoleArn=ROLE)
    assert kit.wait(kit.start())["PipelineExecutionStatus"] == "Succeeded"


def test_a_pipeline_is_deleted_with_its_executions_unless_one_runs(kit: Kit) -> None:
    kit.pipeline(kit.processing("Slow", "import time; time.sleep(60)"))
    arn = kit.start()
    with pytest.raises(ClientError, match="while executions run"):
        kit.sm.delete_pipeline(PipelineName=kit.prefix)
    kit.sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    kit.wait(arn)
    kit.sm.delete_pipeline(PipelineName=kit.prefix)
    with pytest.raises(ClientError, match="does not exist") as error:
        kit.sm.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert error.value.response["Error"]["Code"] == "ResourceNotFound"


def test_lists_come_in_pages(kit: Kit) -> None:
    kit.pipeline(*(kit.processing(name, "pass") for name in "ABC"))
    arn = kit.start()
    kit.wait(arn)
    pages = kit.sm.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=arn, PaginationConfig={"PageSize": 1}
    )
    assert sorted(p["PipelineExecutionSteps"][0]["StepName"] for p in pages) == ["A", "B", "C"]


def test_events_tell_of_executions_steps_and_jobs(kit: Kit) -> None:
    sqs, events = kit.cloud.client("sqs"), kit.cloud.client("events")
    queue = sqs.create_queue(QueueName=kit.prefix)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=kit.prefix, EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    events.put_targets(Rule=kit.prefix, Targets=[{"Id": "1", "Arn": arn}])
    kit.pipeline(kit.processing("A", "pass"))
    execution = kit.start()
    kit.wait(execution)
    seen: list[tuple[str, str]] = []

    def ended() -> bool:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(message["Body"])
            detail = event["detail"]
            if detail.get("pipelineExecutionArn", execution) == execution:
                status = detail.get("currentPipelineExecutionStatus") or detail.get("currentStepStatus")
                seen.append((event["detail-type"], status or detail["ProcessingJobStatus"]))
        return any("Pipeline Execution Status" in k and s == "Succeeded" for k, s in seen)

    assert soon(ended)
    events.remove_targets(Rule=kit.prefix, Ids=["1"])
    events.delete_rule(Name=kit.prefix)
    prefix = "SageMaker Model Building Pipeline Execution"
    assert {
        (f"{prefix} Status Change", "Executing"),
        (f"{prefix} Step Status Change", "Executing"),
        ("SageMaker Processing Job State Change", "InProgress"),
        ("SageMaker Processing Job State Change", "Completed"),
        (f"{prefix} Step Status Change", "Succeeded"),
        (f"{prefix} Status Change", "Succeeded"),
    } <= set(seen)
