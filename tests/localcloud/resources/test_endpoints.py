"""Endpoints from creation to deletion, over HTTP, with a tiny model server behind them."""

import contextlib
import io
import json
import os
import signal
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError

BUCKET = "models-of-endpoint-tests"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/loadingbay:1"


@pytest.fixture(scope="module", autouse=True)
def bucket(cloud: Any) -> None:
    cloud.client("s3").create_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def sagemaker(cloud: Any) -> Any:
    return cloud.client("sagemaker")


@pytest.fixture(scope="module")
def runtime(cloud: Any) -> Any:
    return cloud.client("sagemaker-runtime")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.node.name.replace("_", "-")[:50].strip("-")


def artifact(**files: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return data.getvalue()


def configure(
    cloud: Any,
    name: str,
    /,
    capture: dict[str, Any] | None = None,
    count: int = 1,
    isolated: bool = False,
    **files: str,
) -> str:
    """A model with these files, and a configuration of one variant that serves it; both under `name`."""
    cloud.client("s3").put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=artifact(**files))
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz",
            "Environment": {"OWN": "variable"},
        },
        ExecutionRoleArn="arn:aws:iam::000000000000:role/any",
        EnableNetworkIsolation=isolated,
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": count,
            }
        ],
        **({"DataCaptureConfig": capture} if capture else {}),
    )
    return name


def wait_for(sagemaker: Any, name: str, *statuses: str, seconds: float = 20) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        endpoint: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
        if endpoint["EndpointStatus"] in statuses:
            return endpoint
        time.sleep(0.05)
    raise AssertionError(f"{name} is {endpoint['EndpointStatus']}, not {statuses}: {endpoint.get('FailureReason')}")


def serve(cloud: Any, name: str, /, **options: Any) -> Any:
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=configure(cloud, name, **options))
    return wait_for(sagemaker, name, "InService", "Failed")


def invoke(runtime: Any, name: str, body: bytes = b"photo", **members: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(runtime.invoke_endpoint(EndpointName=name, Body=body, **members)["Body"].read())
    return answer


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
    lines = log_lines(cloud, name, "model server ready")
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
    assert not list(cloud.home.rglob("climbed"))


def log_lines(cloud: Any, name: str, last: str) -> list[str]:
    """The lines of an endpoint's log, once `last` is among them."""
    deadline = time.monotonic() + 5
    lines: list[str] = []
    while last not in lines and time.monotonic() < deadline:
        with contextlib.suppress(ClientError):  # the group is made with its first line
            found = cloud.client("logs").filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
            lines = [event["message"] for event in found["events"]]
    return lines


def test_the_log_of_a_server_is_in_cloudwatch(cloud: Any, name: str) -> None:
    serve(cloud, name)

    assert "model server ready" in log_lines(cloud, name, "model server ready")
    streams = cloud.client("logs").describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
    assert streams["logStreams"][0]["logStreamName"].startswith("AllTraffic/i-")


def test_an_update_moves_requests_to_the_new_model_without_a_failure(
    cloud: Any, sagemaker: Any, runtime: Any, name: str
) -> None:
    serve(cloud, name, name="old")
    sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=configure(cloud, f"{name}-2", name="new", delay="0.5")
    )

    seen = []
    while sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "Updating":
        seen.append(invoke(runtime, name)["model"])

    assert seen[0] == "old"
    assert invoke(runtime, name)["model"] == "new"
    assert sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"] == f"{name}-2"


def test_an_update_that_fails_leaves_the_old_model_serving(cloud: Any, sagemaker: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, name="old")
    sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=configure(cloud, f"{name}-2", fail="ImportError: x")
    )

    endpoint = wait_for(sagemaker, name, "InService")

    assert endpoint["EndpointConfigName"] == name
    assert endpoint["FailureReason"].endswith("ImportError: x")
    assert invoke(runtime, name)["model"] == "old"


def test_an_endpoint_in_progress_is_not_updated_again(cloud: Any, sagemaker: Any, name: str) -> None:
    serve(cloud, name)
    configure(cloud, f"{name}-2", delay="1")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-2")

    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name)


def test_a_killed_server_is_replaced_and_requests_wait_for_it(
    cloud: Any, runtime: Any, name: str, outside: Callable[[str], int]
) -> None:
    serve(cloud, name, name="steady")
    server = invoke(runtime, name)["server"]

    os.kill(outside(server), signal.SIGKILL)
    after = [invoke(runtime, name) for _ in range(5)]

    assert {answer["model"] for answer in after} == {"steady"}
    assert server not in {answer["server"] for answer in after}


def test_a_request_that_ends_the_server_fails_alone(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, name="steady")

    with pytest.raises(ClientError, match="The container closed the connection before it answered"):
        invoke(runtime, name, b"die")

    assert invoke(runtime, name)["model"] == "steady"


def test_a_state_machine_can_invoke_an_endpoint(cloud: Any, name: str) -> None:
    serve(cloud, name, name="by a state")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemakerruntime:invokeEndpoint",
        "Parameters": {"EndpointName": name, "Body.$": "$.body", "ContentType": "application/json"},
        "Catch": [{"ErrorEquals": ["SageMakerRuntime.ModelErrorException"], "Next": "Refused"}],
        "End": True,
    }
    definition = {"StartAt": "Invoke", "States": {"Invoke": task, "Refused": {"Type": "Pass", "End": True}}}
    states = cloud.client("stepfunctions")
    machine = states.create_state_machine(
        name=name, definition=json.dumps(definition), roleArn="arn:aws:iam::000000000000:role/any"
    )["stateMachineArn"]

    outputs = []
    for body in ("photo", "raise"):
        execution = states.start_execution(stateMachineArn=machine, input=json.dumps({"body": body}))["executionArn"]
        while (answer := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            time.sleep(0.02)
        assert answer["status"] == "SUCCEEDED", answer
        outputs.append(json.loads(answer["output"]))

    assert json.loads(outputs[0]["Body"])["model"] == "by a state"
    assert outputs[1]["Error"] == "SageMakerRuntime.ModelErrorException"


def test_requests_are_shared_among_instances(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, count=2, slow="0.2")
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        servers = list(pool.map(lambda _: invoke(runtime, name)["server"], range(4)))

    assert len(set(servers)) == 2


def test_variants_share_requests_by_weight_and_can_be_named(
    cloud: Any, sagemaker: Any, runtime: Any, name: str
) -> None:
    configure(cloud, f"{name}-a", name="a")
    configure(cloud, f"{name}-b", name="b")
    variant = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {**variant, "VariantName": "A", "ModelName": f"{name}-a", "InitialVariantWeight": 0},
            {**variant, "VariantName": "B", "ModelName": f"{name}-b", "InitialVariantWeight": 3},
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    wait_for(sagemaker, name, "InService")

    by_weight = {invoke(runtime, name)["model"] for _ in range(20)}
    named = invoke(runtime, name, TargetVariant="A")["model"]
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "A", "DesiredWeight": 1},
            {"VariantName": "B", "DesiredWeight": 0},
        ],
    )
    wait_for(sagemaker, name, "InService")

    assert (by_weight, named) == ({"b"}, "a")
    assert {invoke(runtime, name)["model"] for _ in range(20)} == {"a"}
    with pytest.raises(ClientError, match=r"Variant C of endpoint .* not found"):
        invoke(runtime, name, TargetVariant="C")


def test_the_number_of_servers_can_be_changed(cloud: Any, sagemaker: Any, runtime: Any, name: str) -> None:
    serve(cloud, name)

    for count in (2, 1):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
        )
        endpoint = wait_for(sagemaker, name, "InService")
        assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == count
    assert invoke(runtime, name)["bytes"] == 5


def test_an_error_of_the_model_is_a_model_error_with_what_it_said(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name)

    with pytest.raises(ClientError) as error:
        invoke(runtime, name, b"raise")

    response = error.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 500
    assert json.loads(response["OriginalMessage"]) == {"error": "ValueError: this body raises"}
    assert response["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{name}")


def test_an_absent_endpoint_is_a_validation_error(runtime: Any) -> None:
    with pytest.raises(ClientError) as error:
        invoke(runtime, "absent")

    assert error.value.response["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint absent of account 000000000000 not found.",
    }


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"InferenceId": " starts with a space"}, "at 'inferenceId' failed to satisfy constraint"),
        ({"TargetModel": "other.tar.gz"}, "does not implement TargetModel"),
        ({"EnableExplanations": "`true`"}, "does not implement EnableExplanations"),
    ],
)
def test_members_that_are_wrong_or_not_implemented_are_refused_by_name(
    cloud: Any, members: dict[str, Any], sentence: str
) -> None:
    runtime = cloud.client("sagemaker-runtime")
    if "InferenceId" in members:
        # An HTTP client drops leading spaces of a header; a control character within is what reaches the server.
        members = {"InferenceId": "x" * 65}
    with pytest.raises(ClientError) as error:
        invoke(runtime, "absent", **members)

    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert sentence in error.value.response["Error"]["Message"]


def test_a_body_over_the_limit_gets_413(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name)

    assert invoke(runtime, name, bytes(6_291_456))["bytes"] == 6_291_456
    with pytest.raises(ClientError) as error:
        invoke(runtime, name, bytes(6_291_457))

    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def capture_config(name: str, percentage: int = 100) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": percentage,
        "DestinationS3Uri": f"s3://{BUCKET}/captures-{name}",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }


def captured(cloud: Any, name: str) -> dict[str, list[dict[str, Any]]]:
    s3 = cloud.client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"captures-{name}/").get("Contents", [])
    read: Callable[[str], bytes] = lambda key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()  # noqa: E731
    return {o["Key"]: [json.loads(line) for line in read(o["Key"]).splitlines()] for o in listed}


def test_requests_and_answers_are_captured_in_the_documented_format(cloud: Any, runtime: Any, name: str) -> None:
    serve(cloud, name, capture=capture_config(name))

    invoke(runtime, name, b"\x89PNG", ContentType="image/png", InferenceId="the-photo")
    deadline = time.monotonic() + 10
    while not (objects := captured(cloud, name)) and time.monotonic() < deadline:
        time.sleep(0.1)

    [(key, [line])] = objects.items()
    assert key.startswith(f"captures-{name}/{name}/AllTraffic/{time.strftime('%Y/%m/%d', time.gmtime())}")
    assert key.endswith(".jsonl")
    assert line["captureData"]["endpointInput"] == {
        "observedContentType": "image/png",
        "mode": "INPUT",
        "data": "iVBORw==",
        "encoding": "BASE64",
    }
    assert json.loads(line["captureData"]["endpointOutput"]["data"])["bytes"] == 4
    assert line["captureData"]["endpointOutput"]["encoding"] == "JSON"
    assert line["eventMetadata"]["inferenceId"] == "the-photo"


def test_a_deleted_endpoint_is_gone_with_its_servers(
    cloud: Any, sagemaker: Any, runtime: Any, name: str, gone: Any, outside: Callable[[str], int]
) -> None:
    serve(cloud, name)
    pid = outside(invoke(runtime, name)["server"])

    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 10})

    assert gone(pid)
    with pytest.raises(ClientError, match="not found"):
        invoke(runtime, name)


def test_the_waiter_of_boto3_says_why_an_endpoint_failed(cloud: Any, sagemaker: Any, name: str) -> None:
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=configure(cloud, name, fail="no weights"))

    with pytest.raises(WaiterError, match="terminal failure state"):
        sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 10}
        )


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
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5).get("Messages")
        assert received, statuses
        statuses += [json.loads(message["Body"])["detail"]["EndpointStatus"] for message in received]
    assert statuses == ["CREATING", "IN_SERVICE"]


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


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        (["AllTraffic", "AllTraffic"], "ValidationException", "names a variant twice"),
        (["Other"], "ValidationException", "Could not find variant"),
    ],
)
def test_weights_of_unknown_or_repeated_variants_are_refused(
    cloud: Any, sagemaker: Any, wanted: list[str], code: str, words: str
) -> None:
    name = f"weights-{len(wanted)}"
    serve(cloud, name)

    with pytest.raises(ClientError, match=words) as error:
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": v, "DesiredWeight": 1} for v in wanted]
        )
    assert error.value.response["Error"]["Code"] == code


def test_too_many_instances_exceed_a_limit(cloud: Any, sagemaker: Any, name: str) -> None:
    serve(cloud, name)

    with pytest.raises(ClientError, match="asks for 123 instances") as error:
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 123}],
        )
    assert error.value.response["Error"]["Code"] == "ResourceLimitExceeded"
