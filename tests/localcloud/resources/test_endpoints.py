"""Endpoints from creation to deletion, over HTTP, with a tiny model server behind them."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.localcloud.resources.served import BUCKET, IMAGE, artifact, configure, invoke, log_lines, serve, serve_model
from tests.waiting import soon


def test_an_endpoint_serves_its_artifact(cloud: Any, sagemaker: Any, runtime: Any, name: str) -> None:
    endpoint = serve(cloud, name, name="first model")

    answer = runtime.invoke_endpoint(
        EndpointName=name, Body=b"12345", ContentType="image/png", Accept="application/json", CustomAttributes="mine"
    )

    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["ContentType"] == "application/json"
    assert answer["CustomAttributes"] == "from the model"
    body = json.loads(answer["Body"].read())
    assert (body["model"], body["bytes"]) == ("first model", 5)
    assert (body["content_type"], body["accept"], body["attributes"]) == ("image/png", "application/json", "mine")


def test_a_model_server_has_a_clean_environment(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name)

    environment = invoke(runtime, name, b"environment")["environment"]

    assert "SECRET_OF_THE_SHELL" not in environment
    assert environment["OWN"] == "variable"
    assert environment["AWS_ENDPOINT_URL"] == cloud.url
    _, layer, image = environment["PATH"].split(":")[:3]
    assert layer.endswith("/layer/bin")
    assert image.endswith(".venv-image/bin")
    paths = [environment[variable] for variable in ("HOME", "TMPDIR", "SM_MODEL_DIR")]
    assert all(path.isascii() for path in paths), paths


def test_a_model_server_neither_sees_the_cloud_nor_its_files(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name)

    answer = invoke(runtime, name, b"environment")

    if answer["environment"]["SM_MODEL_DIR"] != "/opt/ml/model":
        pytest.skip("this machine allows no namespaces")
    assert answer["processes"] <= 4
    assert not invoke(runtime, name, f"exists {cloud.home}/sagemaker.sqlite".encode())["exists"]


def test_a_model_under_network_isolation_answers_and_reaches_nothing(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, isolated=True, name="alone")

    answer = invoke(runtime, name, f"connect {cloud.port}".encode())

    assert answer["model"] == "alone"
    assert soon(lambda: "model server ready" in log_lines(cloud, name))
    lines = log_lines(cloud, name)
    # A machine that has no network namespaces says so in the log.
    assert answer["connected"] == any("no network of its own" in line for line in lines)


def test_a_fault_of_the_machine_is_not_told_as_one_of_the_model(cloud: Any, name: str) -> None:
    endpoint = serve(cloud, name, fail="OSError: [Errno 28] No space left on device")

    assert endpoint["EndpointStatus"] == "Failed"
    assert endpoint["FailureReason"].startswith("Request to service failed. ")
    assert endpoint["FailureReason"].endswith("No space left on device")


def test_a_server_that_does_not_start_fails_the_endpoint(cloud: Any, name: str) -> None:
    endpoint = serve(cloud, name, fail="ValueError: the model file is broken")

    assert endpoint["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert endpoint["FailureReason"].endswith("ValueError: the model file is broken")


def test_an_archive_that_climbs_out_fails_the_endpoint_by_name(cloud: Any, sagemaker: Any, name: str) -> None:
    endpoint = serve(cloud, name, **{"../climbed": "out"})

    assert endpoint["EndpointStatus"] == "Failed"
    assert "'../climbed' would be written outside of the model directory" in endpoint["FailureReason"]
    # Folders vanish meanwhile, which rglob takes for an error.
    assert not any("climbed" in files for _, _, files in os.walk(cloud.home))


def test_the_log_of_a_server_is_in_cloudwatch(cloud: Any, name: str) -> None:
    serve(cloud, name)

    assert soon(lambda: "model server ready" in log_lines(cloud, name))
    streams = cloud.client("logs").describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
    assert streams["logStreams"][0]["logStreamName"].startswith("AllTraffic/i-")


def test_a_deleted_endpoint_is_gone_with_its_servers(
    cloud: Any, sagemaker: Any, runtime: Any, name: str, gone: Any, outside: Callable[[str], int]
) -> None:
    serve(cloud, name)
    pid = outside(invoke(runtime, name)["server"])

    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1})

    assert gone(pid)
    with pytest.raises(ClientError, match="not found"):
        invoke(runtime, name)


def test_the_waiter_of_boto3_says_why_an_endpoint_failed(cloud: Any, sagemaker: Any, name: str) -> None:
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=configure(cloud, name, fail="no weights"))

    with pytest.raises(WaiterError, match="terminal failure state"):
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})


def test_endpoint_states_are_told_on_the_bus(cloud: Any, sagemaker: Any, name: str) -> None:
    events, sqs = cloud.client("events"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"detail-type": ["SageMaker Endpoint State Change"], "detail": {"EndpointName": [name]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])

    serve(cloud, name)

    statuses: list[str] = []
    while len(statuses) < 2:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages")
        assert received, statuses
        statuses += [json.loads(message["Body"])["detail"]["EndpointStatus"] for message in received]
    assert statuses == ["CREATING", "IN_SERVICE"]


def test_models_and_configurations_are_told_on_the_bus_with_their_tags(cloud: Any, sagemaker: Any, name: str) -> None:
    events, sqs = cloud.client("events"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"detail-type": ["SageMaker Model State Change", "SageMaker Endpoint Config State Change"]}
    events.put_rule(Name=name, EventPattern=json.dumps({**pattern, "detail": {"Tags": {"of": [name]}}}))
    events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])
    tags = [{"Key": "of", "Value": name}]
    variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}

    sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": IMAGE}, Tags=tags)
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], Tags=tags)
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)

    told: list[str] = []
    while len(told) < 4:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages")
        assert received, told
        details = [json.loads(message["Body"])["detail"] for message in received]
        told += [next(member for member in detail if member.endswith("Arn")) for detail in details]
    assert sorted(told) == ["EndpointConfigArn"] * 2 + ["ModelArn"] * 2


def test_a_deployment_option_that_is_not_there_is_refused_by_name(cloud: Any, sagemaker: Any, name: str) -> None:
    configure(cloud, name)

    with pytest.raises(ClientError, match="does not implement RollingUpdatePolicy"):
        sagemaker.create_endpoint(
            EndpointName=name,
            EndpointConfigName=name,
            DeploymentConfig={
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                    "WaitIntervalInSeconds": 0,
                }
            },
        )


def test_an_endpoint_serves_files_that_lie_in_s3_as_they_are(cloud: Any, runtime: Any, name: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(artifact(name="loose"))) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            if file is not None:
                cloud.client("s3").put_object(Bucket=BUCKET, Key=f"{name}/{member.name}", Body=file.read())
    place = {"S3Uri": f"s3://{BUCKET}/{name}/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    primary = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": place}}

    assert serve_model(cloud, name, PrimaryContainer=primary)["EndpointStatus"] == "InService"
    answer = json.loads(runtime.invoke_endpoint(EndpointName=name, Body=b"")["Body"].read())
    assert answer["model"] == "loose"


def test_a_model_without_files_below_its_prefix_is_refused(sagemaker: Any, name: str) -> None:
    place = {"S3Uri": f"s3://{BUCKET}/{name}/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    primary = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": place}}
    with pytest.raises(ClientError, match="Could not find model data"):
        sagemaker.create_model(
            ModelName=name, PrimaryContainer=primary, ExecutionRoleArn="arn:aws:iam::000000000000:role/any"
        )


def test_a_configuration_that_is_absent_is_named(sagemaker: Any, name: str) -> None:
    with pytest.raises(ClientError, match=r'Could not find endpoint configuration ".*:endpoint-config/absent"'):
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="absent")


def test_a_model_whose_artifact_is_absent_is_refused(sagemaker: Any, name: str) -> None:
    with pytest.raises(ClientError, match=f"Could not find model data at s3://{BUCKET}/absent.tar.gz"):
        sagemaker.create_model(
            ModelName=name, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/absent.tar.gz"}
        )


def test_a_name_that_differs_in_case_is_taken(cloud: Any, sagemaker: Any, name: str) -> None:
    config = configure(cloud, name)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)

    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        sagemaker.create_endpoint(EndpointName=name.upper(), EndpointConfigName=config)
