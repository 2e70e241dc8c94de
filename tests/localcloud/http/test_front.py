"""Who may talk to a running local cloud, by which protocol, and with how much."""

import http.client
import json
import socket
import stat
import uuid
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "sagemaker": ("list_models", {}),
    "sagemaker-runtime": ("invoke_endpoint", {"EndpointName": "absent", "Body": b"{}"}),
    "s3": ("list_buckets", {}),
    "sts": ("get_caller_identity", {}),
    "sqs": ("list_queues", {}),
    "lambda": ("list_functions", {}),
    "cloudformation": ("list_stacks", {}),
    "stepfunctions": ("list_state_machines", {}),
    "cloudwatch": ("list_metrics", {}),
}


def client(cloud: Any, service: str, key: str = "000000000000", secret: str = "", **config: Any) -> Any:
    """A client of the cloud that signs with these credentials and does not retry."""
    return boto3.client(
        service,
        endpoint_url=cloud.url,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret or cloud.secret,
        config=Config(retries={"max_attempts": 0}, inject_host_prefix=False, **config),
    )


def refused(service: Any, name: str) -> str:
    """The error code of a call that must be refused with status 403."""
    call, request = CALLS[name]
    with pytest.raises(ClientError) as error:
        getattr(service, call)(**request)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize("service", CALLS)
def test_another_secret_is_refused_in_each_protocol(cloud: Any, service: str) -> None:
    assert "Signature" in refused(client(cloud, service, secret="local"), service)


@pytest.mark.parametrize("service", CALLS)
def test_an_unsigned_request_is_refused_in_each_protocol(cloud: Any, service: str) -> None:
    code = refused(client(cloud, service, signature_version=UNSIGNED), service)

    assert code in {"MissingAuthenticationTokenException", "MissingAuthenticationToken", "AccessDenied", "403"}


@pytest.mark.parametrize("service", sorted(CALLS.keys() - {"sagemaker-runtime"}))
def test_an_answer_of_each_protocol_has_one_date_and_no_cors(cloud: Any, service: str) -> None:
    call, request = CALLS[service]
    headers = getattr(client(cloud, service), call)(**request)["ResponseMetadata"]["HTTPHeaders"]

    assert headers["date"].count("GMT") == 1
    assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize("key", ["test", "111111111111", "AKIAUNKNOWN000000000"])
def test_an_unknown_access_key_is_refused(cloud: Any, key: str) -> None:
    assert refused(client(cloud, "sagemaker", key), "sagemaker") == "UnrecognizedClientException"
    assert refused(client(cloud, "s3", key), "s3") == "InvalidAccessKeyId"


def test_temporary_credentials_of_a_role_are_good(cloud: Any) -> None:
    name = f"role-{uuid.uuid4().hex[:8]}"
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    role = cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    given = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], "us-east-1")

    assert "Models" in session.client("sagemaker", endpoint_url=cloud.url).list_models()
    without = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], region_name="us-east-1")
    with pytest.raises(ClientError, match="security token"):
        without.client("sagemaker", endpoint_url=cloud.url).list_models()


@pytest.mark.parametrize("version", [None, "s3v4"])
def test_presigned_urls_give_and_take_objects(cloud: Any, version: str | None) -> None:
    s3 = client(cloud, "s3", s3={"addressing_style": "path"}, signature_version=version)
    bucket = f"presigned-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    place = {"Bucket": bucket, "Key": "a key"}

    put = httpx.put(s3.generate_presigned_url("put_object", place), content=b"body", trust_env=False)
    url = s3.generate_presigned_url("get_object", place)

    assert put.status_code == 200
    assert httpx.get(url, trust_env=False).content == b"body"
    assert httpx.get(url.replace("a%20key", "another"), trust_env=False).status_code == 403


def test_an_object_in_parts_is_taken(cloud: Any, tmp_path: Path) -> None:
    bucket = f"parts-{uuid.uuid4().hex[:8]}"
    cloud.client("s3").create_bucket(Bucket=bucket)
    file = tmp_path / "file"
    file.write_bytes(bytes(20 * 1024 * 1024))

    cloud.client("s3").upload_file(str(file), bucket, "key")

    assert cloud.client("s3").head_object(Bucket=bucket, Key="key")["ContentLength"] == 20 * 1024 * 1024


def test_a_link_with_an_encoded_action_cannot_act(cloud: Any) -> None:
    for query in ("?%41ction=CreateQueue&QueueName=encoded", "?Action=CreateQueue&QueueName=encoded"):
        assert httpx.get(f"{cloud.url}/{query}", trust_env=False).status_code == 403
        assert cloud.ask("GET", f"/{query}").status_code == 403

    assert not cloud.client("sqs").list_queues(QueueNamePrefix="encoded").get("QueueUrls")


def test_an_unsigned_body_is_not_read(cloud: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", "300000000")
    connection.endheaders()

    assert connection.getresponse().status == 403
    connection.close()


def test_a_web_socket_is_refused(cloud: Any) -> None:
    with socket.create_connection(("127.0.0.1", cloud.port), 60) as connection:
        connection.sendall(
            b"GET /_aws/execute-api/0123abcd/stage HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )

        assert connection.recv(1000).startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("page", ["/_ministack/health", "/_ministack/sqs/messages", "/_localstack/health"])
def test_the_emulators_pages_are_closed_to_the_owner_too(cloud: Any, page: str) -> None:
    assert cloud.ask("GET", page).status_code == 403


def test_a_body_above_the_limit_is_refused_in_a_sentence(cloud: Any) -> None:
    with pytest.raises(ClientError, match="the local cloud takes up to 8388608 here") as error:
        cloud.client("sagemaker").add_tags(ResourceArn="arn:" + "x" * 9_000_000, Tags=[])

    assert error.value.response["Error"]["Code"] == "RequestEntityTooLarge"


@pytest.mark.parametrize("page", ["cfn-response", "cfn-signal"])
def test_an_answer_to_a_stack_is_not_signed_and_so_must_be_small(cloud: Any, page: str) -> None:
    answer = httpx.put(f"{cloud.url}/_ministack/{page}/{'a' * 20}", content=b"x" * 65_537, trust_env=False)

    assert (answer.status_code, "65537 bytes" in answer.text) == (413, True)


@pytest.mark.parametrize(
    "query", ["X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=", "AWSAccessKeyId=a&Signature=b&Expires="]
)
def test_an_expiry_of_thousands_of_digits_is_refused(cloud: Any, query: str) -> None:
    answer = httpx.get(f"{cloud.url}/bucket/key?{query}{'1' * 5000}", trust_env=False)

    assert (answer.status_code, "Expires=1111" in answer.text) == (403, True)


def test_json_that_is_nested_too_deep_is_refused(cloud: Any) -> None:
    body = b'{"Tags":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    answer = cloud.ask("POST", "/", body, **{"X-Amz-Target": "SageMaker.AddTags"})

    assert (answer.status_code, answer.json()["__type"]) == (400, "SerializationException")


def test_a_document_in_a_string_that_is_nested_too_deep_is_refused(cloud: Any) -> None:
    with pytest.raises(ClientError, match="nested too deeply") as error:
        cloud.client("sqs").create_queue(QueueName="nested", Attributes={"RedrivePolicy": "[" * 5000})

    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_null_character_in_a_variable_is_refused(cloud: Any) -> None:
    request = {
        "ProcessingJobName": "null-character",
        "RoleArn": "arn:aws:iam::000000000000:role/any",
        "AppSpecification": {"ImageUri": "image"},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        },
        "Environment": {"NAME": "a\0b"},
    }

    with pytest.raises(ClientError, match="must not contain the null character") as error:
        cloud.client("sagemaker").create_processing_job(**request)

    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_null_character_in_a_variable_of_a_function_is_refused(cloud: Any) -> None:
    with pytest.raises(ClientError, match="must not contain the null character") as error:
        cloud.client("lambda").create_function(
            FunctionName="null-character",
            Runtime="python3.11",
            Role="arn:aws:iam::000000000000:role/any",
            Handler="app.handler",
            Timeout=60,
            Code={"ZipFile": b"no archive"},
            Environment={"Variables": {"NAME": "a\0b"}},
        )

    assert error.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_all_state_is_its_owners_alone(cloud: Any) -> None:
    open_to_others = [
        str(path)
        for path in [cloud.home, *cloud.home.rglob("*")]
        if path.name != "stderr" and not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]

    assert open_to_others == []
