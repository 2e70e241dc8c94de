"""InvokeEndpoint: answers, errors of the model, refusals, and data capture."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.resources.served import BUCKET, invoke, serve
from tests.waiting import soon


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
        ({"SessionId": "NEW_SESSION"}, "does not implement SessionId"),
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
    """A DataCaptureConfig that captures this percentage into the test bucket."""
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
    [(key, [line])] = soon(lambda: captured(cloud, name)).items()
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
