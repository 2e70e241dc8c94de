"""Starting and stopping, and who may talk to the port."""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.server import claim_home, end_if_moved
from localcloud.settings import Settings, StartError

ROOT = Path(__file__).parents[2]


def start(*options: str) -> subprocess.CompletedProcess[str]:
    """Run `localcloud serve` with these options to its end."""
    return subprocess.run(
        [sys.executable, "-m", "localcloud", "serve", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=100,
    )


def ask(
    cloud: Any, path: str, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Status and JSON of an unsigned request to the cloud's port."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60)) as connection:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_port_in_use_ends_with_one_sentence(cloud: Any, tmp_path: Path) -> None:
    done = start("--home", str(tmp_path), "--port", str(cloud.port))

    assert done.returncode == 1
    assert done.stderr == (
        f"Port {cloud.port} on 127.0.0.1 cannot be used (Address already in use): "
        "stop what listens there, or give another --port.\n"
    )


def test_a_second_cloud_on_the_same_home_is_refused(cloud: Any) -> None:
    done = start("--home", str(cloud.home), "--port", "0")

    assert done.returncode == 1
    assert done.stderr == (
        f"A local cloud already runs on {cloud.home} (process {cloud.process.pid}); "
        "stop it first, or give another --home.\n"
    )


def test_a_home_that_cannot_be_made_ends_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")

    done = start("--home", str(tmp_path / "file" / "home"), "--port", "0")

    assert done.returncode == 1
    assert done.stderr == f"The home {tmp_path}/file/home cannot be written: Not a directory.\n"


def test_an_image_environment_that_is_absent_is_named(tmp_path: Path) -> None:
    done = start("--home", str(tmp_path / "home"), "--image-env", str(tmp_path / "absent"))

    assert done.returncode == 1
    assert done.stderr == f"--image-env: {tmp_path}/absent/bin is not a directory.\n"


def test_wrong_use_ends_with_code_2() -> None:
    assert start("--port", "seventy").returncode == 2


def test_the_port_is_open_on_loopback_only(cloud: Any) -> None:
    listening = Path("/proc/net/tcp").read_text(encoding="utf-8") + Path("/proc/net/tcp6").read_text(encoding="utf-8")
    ours = {str(fd.readlink()) for fd in Path(f"/proc/{cloud.process.pid}/fd").iterdir() if fd.is_symlink()}
    mine = [
        line.split()[1]
        for line in listening.splitlines()
        if line.split()[3] == "0A" and f"socket:[{line.split()[9]}]" in ours
    ]

    assert mine == [f"0100007F:{cloud.port:04X}"]


def test_web_pages_are_refused(cloud: Any) -> None:
    status, answer = ask(cloud, "/_localcloud/health", headers={"Origin": "https://example.com"})

    assert (status, "'origin'" in answer["message"]) == (403, True)


@pytest.mark.parametrize("header", ["Sec-Fetch-Site", "Sec-Fetch-Mode", "Referer"])
def test_a_picture_on_a_web_page_cannot_ask_for_anything(cloud: Any, header: str) -> None:
    assert ask(cloud, "/_localcloud/health", headers={header: "https://example.com"})[0] == 403


def test_a_link_cannot_act_by_the_query_protocol(cloud: Any) -> None:
    status, answer = ask(cloud, "/?Action=CreateQueue&QueueName=from-a-link")
    assert (status, "POST" in answer["message"]) == (403, True)
    assert not cloud.client("sqs").list_queues(QueueNamePrefix="from-a-link").get("QueueUrls")


def test_a_rebound_host_name_is_refused(cloud: Any) -> None:
    status, answer = ask(cloud, "/", headers={"Host": "evil.example.com"})

    assert (status, "evil.example.com" in answer["message"]) == (403, True)


def test_the_emulators_reset_is_switched_off(cloud: Any) -> None:
    assert ask(cloud, "/_ministack/reset", "POST")[0] == 403


def test_operations_are_listed(cloud: Any) -> None:
    answer = cloud.ask("GET", "/_localcloud/operations")

    assert answer.status_code == 200
    assert {"CreatePipeline", "CreateEndpoint", "UpdateModelPackage"} <= set(answer.json())


def test_an_operation_that_is_not_there_is_named(cloud: Any) -> None:
    with pytest.raises(Exception, match="does not implement SageMaker's operation CreateAutoMLJobV2") as error:
        cloud.client("sagemaker").create_auto_ml_job_v2(
            AutoMLJobName="a",
            AutoMLJobInputDataConfig=[
                {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/k"}}}
            ],
            OutputDataConfig={"S3OutputPath": "s3://b/k"},
            AutoMLProblemTypeConfig={"ImageClassificationJobConfig": {}},
            RoleArn="arn:aws:iam::000000000000:role/any",
        )

    assert getattr(error.value, "response")["Error"]["Code"] == "UnknownOperationException"  # noqa: B009


def test_an_operation_of_the_runtime_that_is_not_there_is_named(cloud: Any) -> None:
    with pytest.raises(ClientError, match="InvokeEndpointWithResponseStream of Amazon SageMaker Runtime") as error:
        cloud.client("sagemaker-runtime").invoke_endpoint_with_response_stream(EndpointName="a", Body=b"b")
    assert error.value.response["Error"]["Code"] == "UnknownOperationException"
    with pytest.raises(ClientError, match="PutRecord of Amazon SageMaker Feature Store Runtime"):
        cloud.client("sagemaker-featurestore-runtime").put_record(
            FeatureGroupName="a", Record=[{"FeatureName": "b", "ValueAsString": "c"}]
        )


def test_the_aws_command_is_a_client(cloud: Any) -> None:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": cloud.secret,
    }

    def aws(*words: str) -> Any:
        program = Path(sys.executable).parent / "aws"
        done = subprocess.run([program, *words], capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    aws("sagemaker", "create-model-package-group", "--model-package-group-name", "by-command")
    created = aws("sagemaker", "create-model-package", "--model-package-group-name", "by-command")
    arn = created["ModelPackageArn"]
    approve = ("--model-approval-status", "Approved", "--approval-description", "looks good")
    aws("sagemaker", "update-model-package", "--model-package-arn", arn, *approve)
    package = aws("sagemaker", "describe-model-package", "--model-package-name", arn)

    assert (package["ModelApprovalStatus"], package["ApprovalDescription"]) == ("Approved", "looks good")


@pytest.mark.parametrize("body", [b"{", b'{"MaxResults": NaN}', b'{"MaxResults": -Infinity}', b"\xff"])
def test_a_body_that_is_not_json_is_a_serialization_error(cloud: Any, body: bytes) -> None:
    answer = cloud.ask("POST", "/", body, **{"X-Amz-Target": "SageMaker.ListPipelines"})

    assert (answer.status_code, answer.json()["__type"]) == (400, "SerializationException")
    assert answer.json()["message"].startswith("The body is not JSON in UTF-8: ")


@pytest.mark.parametrize("change", ["renamed", "removed", "another's", "none"])
def test_a_cloud_ends_when_its_home_is_no_longer_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    ended: list[int] = []
    monkeypatch.setattr("localcloud.server.os._exit", ended.append)
    settings = Settings(home=tmp_path / "home", port=0)
    with claim_home(settings) as handle:
        if change == "removed":
            shutil.rmtree(settings.home)
        elif change != "none":
            settings.home.rename(tmp_path / "new")
        if change == "another's":
            settings.home.mkdir()
            settings.pid_file.touch()

        end_if_moved(settings, handle)

    assert ended == ([] if change == "none" else [1])


def test_the_home_of_another_user_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setattr("localcloud.server.os.geteuid", lambda: 4242)

    with pytest.raises(StartError, match="belongs to another user: give another --home"):
        claim_home(Settings(home=tmp_path, port=0))
    assert tmp_path.stat().st_mode & 0o777 == 0o755
