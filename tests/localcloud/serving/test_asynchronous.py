"""InvokeEndpointAsync: answers and failures go to S3, topics are told, and no accepted request is lost."""

import io
import json
import tarfile
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import BUCKET, ROLE, Kit
from tests.waiting import message, soon


def endpoint(kit: Kit, slow: str = "0", **output: Any) -> str:
    """An asynchronous endpoint in service; its name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in {"name": "mine", "slow": slow}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    container = {"Image": "image", "ModelDataUrl": kit.put("model.tar.gz", packed.getvalue())}
    kit.sm.create_model(ModelName=kit.prefix, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {
        "VariantName": "All",
        "ModelName": kit.prefix,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    where = {"S3OutputPath": kit.uri("out"), "S3FailurePath": kit.uri("failed"), **output}
    kit.sm.create_endpoint_config(
        EndpointConfigName=kit.prefix,
        ProductionVariants=[variant],
        AsyncInferenceConfig={"OutputConfig": where, "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2}},
    )
    kit.sm.create_endpoint(EndpointName=kit.prefix, EndpointConfigName=kit.prefix)
    waiter = kit.sm.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=kit.prefix, WaiterConfig={"Delay": 1})
    return kit.prefix


@pytest.fixture(scope="module")
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


@pytest.fixture(scope="module")
def topic(kit: Kit) -> tuple[str, str]:
    """A topic with a queue that gets its messages; (ARN, URL)."""
    sns, sqs = kit.cloud.client("sns"), kit.cloud.client("sqs")
    arn = sns.create_topic(Name=kit.prefix)["TopicArn"]
    url = sqs.create_queue(QueueName=kit.prefix)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    return arn, url


@pytest.fixture(scope="module")
def served(kit: Kit, topic: tuple[str, str]) -> Iterator[str]:
    name = endpoint(kit, NotificationConfig={"SuccessTopic": topic[0], "ErrorTopic": topic[0]})
    yield name
    kit.sm.delete_endpoint(EndpointName=name)


def invoke(kit: Kit, name: str, body: bytes, **members: Any) -> dict[str, Any]:
    runtime = kit.cloud.client("sagemaker-runtime")
    source = kit.put(f"in/{len(body)}-{body[:5].decode()}", body)
    answer: dict[str, Any] = runtime.invoke_endpoint_async(EndpointName=name, InputLocation=source, **members)
    return answer


def waited(kit: Kit, uri: str) -> bytes:
    """An object once it is there."""
    key = uri.removeprefix(f"s3://{BUCKET}/")

    def found() -> bytes | None:
        try:
            return bytes(kit.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        except kit.s3.exceptions.NoSuchKey:
            return None

    body = soon(found)
    assert body is not None, f"{uri} did not come"
    return body


def told(kit: Kit, url: str) -> dict[str, Any]:
    """The next message of the queue."""
    body: dict[str, Any] = json.loads(message(kit.cloud.client("sqs"), url))
    return body


def test_the_answer_is_written_to_s3_and_told(kit: Kit, served: str, topic: tuple[str, str]) -> None:
    accepted = invoke(kit, served, b"photo", ContentType="image/png", InferenceId="mine")
    assert accepted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert accepted["InferenceId"] == "mine"
    assert accepted["OutputLocation"].startswith(kit.uri("out/"))
    answer = json.loads(waited(kit, accepted["OutputLocation"]))
    assert (answer["model"], answer["bytes"], answer["content_type"]) == ("mine", 5, "image/png")
    message = told(kit, topic[1])
    assert (message["invocationStatus"], message["inferenceId"]) == ("Completed", "mine")
    assert message["responseParameters"] == {"outputLocation": accepted["OutputLocation"]}


def test_a_body_longer_than_a_direct_request_is_taken(kit: Kit, served: str, topic: tuple[str, str]) -> None:
    accepted = invoke(kit, served, b"x" * 7_000_000)
    assert json.loads(waited(kit, accepted["OutputLocation"]))["bytes"] == 7_000_000
    told(kit, topic[1])


def test_a_failure_is_written_to_s3_and_told(kit: Kit, served: str, topic: tuple[str, str]) -> None:
    accepted = invoke(kit, served, b"raise")
    assert b"this body raises" in waited(kit, accepted["FailureLocation"])
    message = told(kit, topic[1])
    assert message["invocationStatus"] == "Failed"
    assert "this body raises" in message["failureReason"]


def test_a_client_chooses_the_name_of_the_answer(kit: Kit, served: str, topic: tuple[str, str]) -> None:
    accepted = invoke(kit, served, b"named", S3OutputPathExtension="mine/today", Filename="answer.json")
    assert accepted["OutputLocation"] == kit.uri("out/mine/today/answer.json")
    waited(kit, accepted["OutputLocation"])
    told(kit, topic[1])


def test_an_asynchronous_endpoint_is_not_invoked_directly(kit: Kit, served: str) -> None:
    with pytest.raises(ClientError, match="use InvokeEndpointAsync"):
        kit.cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName=served, Body=b"x")
    assert kit.sm.describe_endpoint(EndpointName=served)["AsyncInferenceConfig"]["OutputConfig"]


def test_an_endpoint_that_is_not_there_is_named(kit: Kit) -> None:
    with pytest.raises(ClientError, match=r"nobody .* not found"):
        invoke(kit, "nobody", b"x")


def accepted(cloud: Any) -> Generator[None, None, list[str]]:
    """Where the answers to accepted requests are to be."""
    kit = Kit(cloud)
    name = endpoint(kit, slow="1")
    yield
    return [invoke(kit, name, b"photo" + b"!" * n)["OutputLocation"] for n in range(4)]


@pytest.mark.restarted(accepted, "kill")
def test_what_was_accepted_is_answered_after_a_kill(restarted: tuple[Any, list[str]]) -> None:
    kit, places = Kit(restarted[0]), restarted[1]
    assert [json.loads(waited(kit, place))["bytes"] for place in places] == [5, 6, 7, 8]
