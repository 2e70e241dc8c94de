"""One command removes a stage with all it has made, and nothing of another stage."""

import json
from typing import Any

import pytest

from tests.waiting import soon

SPARE = "loadingbay-spare"  # begins like the other stage's name: what is told apart by a prefix would be lost


def _of_stage(bay: Any) -> dict[str, Any]:
    """What the other stage has, to compare."""
    s3, bucket = bay.client("s3"), bay.outputs()["BucketName"]
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix="code/")
    return {
        "endpoint": bay.client("sagemaker").describe_endpoint(EndpointName="loadingbay")["EndpointStatus"],
        "versions": set(bay.versions()),
        "pipeline": bay.client("sagemaker").describe_pipeline(PipelineName="loadingbay")["PipelineStatus"],
        "code": sum(len(page.get("Versions", [])) for page in pages),
        "stack": bay.client("cloudformation").describe_stacks(StackName="loadingbay")["Stacks"][0]["StackStatus"],
        "artifacts": bool(
            bay.client("s3").list_objects_v2(Bucket="loadingbay-artifacts-000000000000-us-east-1")["KeyCount"]
        ),
    }


def _everything(bay: Any) -> str:
    """The names of all that the account has."""
    sagemaker, logs = bay.client("sagemaker"), bay.client("logs")
    return json.dumps(
        [
            sagemaker.list_endpoints()["Endpoints"],
            sagemaker.list_endpoint_configs()["EndpointConfigs"],
            sagemaker.list_models()["Models"],
            sagemaker.list_pipelines()["PipelineSummaries"],
            sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"],
            sagemaker.list_model_cards()["ModelCardSummaries"],
            list(logs.get_paginator("describe_log_groups").paginate()),
            bay.client("s3").list_buckets()["Buckets"],
            bay.client("lambda").list_functions()["Functions"],
            bay.client("iam").list_roles()["Roles"],
            bay.client("events").list_rules()["Rules"],
            bay.client("sqs").list_queues().get("QueueUrls", []),
            bay.client("ecr").describe_repositories()["repositories"],
            bay.client("stepfunctions").list_state_machines()["stateMachines"],
        ],
        default=str,
    )


@pytest.fixture(scope="module")
def spare(bay: Any, story: dict[str, Any]) -> str:
    """A second stage in the same account, with an endpoint, a pipeline that runs, and objects in several versions."""
    assert story["endpoint_name"] == "loadingbay"
    outputs = json.loads(bay.cli("--stage", SPARE, "deploy", "--json").stdout)
    sagemaker, s3 = bay.client("sagemaker"), bay.client("s3")
    first = bay.versions()[1]
    container = first["InferenceSpecification"]["Containers"][0]
    source, key = container["ModelDataUrl"].removeprefix("s3://").split("/", 1)
    for content in (b"old", b"new"):
        s3.put_object(Bucket=outputs["BucketName"], Key="incoming/twice", Body=content)
    s3.delete_object(Bucket=outputs["BucketName"], Key="incoming/twice")
    s3.copy_object(Bucket=outputs["BucketName"], Key="model.tar.gz", CopySource={"Bucket": source, "Key": key})
    model = f"s3://{outputs['BucketName']}/model.tar.gz"
    name = f"{SPARE}-v1-0123456789"
    sagemaker.create_model(
        ModelName=name, ExecutionRoleArn=outputs["PipelineRoleArn"],
        PrimaryContainer={"Image": container["Image"], "ModelDataUrl": model},
    )  # fmt: skip
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=SPARE, EndpointConfigName=name)
    sagemaker.create_model_package(
        ModelPackageGroupName=SPARE,
        InferenceSpecification={
            **first["InferenceSpecification"],
            "Containers": [{**container, "ModelDataUrl": model}],
        },
        ModelApprovalStatus="PendingManualApproval",
    )
    definition = sagemaker.describe_pipeline(PipelineName="loadingbay")["PipelineDefinition"]
    sagemaker.create_pipeline(
        PipelineName=SPARE, PipelineDefinition=definition, RoleArn=outputs["PipelineRoleArn"],
        ClientRequestToken="p" * 32,
    )  # fmt: skip
    given = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=story["pipeline_execution_arn"])
    sagemaker.start_pipeline_execution(
        PipelineName=SPARE, PipelineParameters=given["PipelineParameters"], ClientRequestToken="s" * 32
    )
    return SPARE


def test_a_list_of_what_would_go_changes_nothing_and_asks_for_nothing(bay: Any, spare: str) -> None:
    listed = json.loads(bay.cli("--stage", spare, "destroy", "--dry-run", "--json").stdout)
    kinds = {item["kind"] for item in listed["items"]}
    assert not listed["removed"]
    assert {"rule", "endpoint", "model", "pipeline", "model versions", "objects of bucket", "stack"} <= kinds
    buckets = [item["name"] for item in listed["items"] if item["kind"] == "bucket"]
    assert buckets == [f"{spare}-000000000000-us-east-1"], "the bucket for packages is the other stage's, too"
    assert bay.client("sagemaker").describe_endpoint(EndpointName=spare)["EndpointStatus"] in {"Creating", "InService"}


def test_without_a_terminal_it_asks_for_yes_and_removes_nothing(bay: Any, spare: str) -> None:
    done = bay.cli("--stage", spare, "destroy", check=False)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert bay.client("cloudformation").describe_stacks(StackName=spare)["Stacks"]


def test_everything_of_the_stage_goes_and_nothing_of_the_other(bay: Any, spare: str) -> None:
    before = _of_stage(bay)
    sagemaker = bay.client("sagemaker")
    assert soon(lambda: sagemaker.describe_endpoint(EndpointName=spare)["EndpointStatus"] != "Creating", bay.timeout)
    bay.cli("--stage", spare, "destroy", "--yes")
    assert spare not in _everything(bay)
    assert _of_stage(bay) == before
    again = bay.cli("--stage", spare, "destroy", "--yes")
    assert f"There is nothing of the stage {spare}" in again.stdout
