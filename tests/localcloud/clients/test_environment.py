"""What `localcloud env` gives: unmodified clients talk to the local cloud, also where they write out AWS's address."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from localcloud.clients.environment import Address, files, variables

ADDRESS = Address("http://127.0.0.1:1", "000000000000", "eu-central-1", "start-1")
COMMAND = [sys.executable, "-m", "localcloud"]


def test_the_callers_python_path_is_kept_once() -> None:
    first = variables(ADDRESS, Path("/home/x"), "/mine:/other")["PYTHONPATH"]

    assert first.split(":")[1:] == ["/mine", "/other"]
    assert variables(ADDRESS, Path("/home/x"), first)["PYTHONPATH"] == first


def test_no_variable_holds_the_secret() -> None:
    assert not [name for name in variables(ADDRESS, Path("/home/x")) if "SECRET" in name]


def test_the_sdks_defaults_name_bucket_and_role() -> None:
    defaults = json.loads(files(ADDRESS)["sagemaker.yaml"])["SageMaker"]

    assert defaults["Pipeline"]["RoleArn"] == "arn:aws:iam::000000000000:role/localcloud"
    modules = defaults["PythonSDK"]["Modules"]
    assert modules == {"Session": {"DefaultS3Bucket": "sagemaker-eu-central-1-000000000000"}, "TelemetryOptOut": True}


@pytest.fixture(scope="module")
def shell(cloud: Any) -> dict[str, str]:
    """The environment of a shell that has evaluated `localcloud env`."""
    given = {**os.environ, "AWS_PROFILE": "absent", "AWS_ACCESS_KEY_ID": "of another account"}
    said = subprocess.run(
        [*COMMAND, "env", "--home", cloud.home], env=given, capture_output=True, text=True, check=True
    ).stdout
    shown = subprocess.run(
        ["bash", "-c", f"{said}\nenv -0"], env=given, capture_output=True, text=True, check=True
    ).stdout
    return dict(line.split("=", 1) for line in shown.split("\0") if line)


def run(shell: dict[str, str], program: str) -> Any:
    done = subprocess.run([sys.executable, "-c", program], env=shell, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_files_are_the_owners_alone_whatever_the_umask_is(shell: dict[str, str], cloud: Any) -> None:
    written = [path for path in (cloud.home / "clients").iterdir() if path.is_file()]

    assert written
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o600}


def test_a_program_acts_as_the_role(shell: dict[str, str]) -> None:
    program = "import boto3, json; print(json.dumps(boto3.client('sts').get_caller_identity()['Arn']))"

    assert run(shell, program).startswith("arn:aws:sts::000000000000:assumed-role/localcloud/")


def test_an_address_of_aws_in_the_code_is_redirected(shell: dict[str, str]) -> None:
    url = "https://sts.us-east-1.amazonaws.com"
    program = f"import boto3, json; c = boto3.client('sts', endpoint_url={url!r}); "

    assert run(shell, f"{program}print(json.dumps(c.get_caller_identity()['Account']))") == "000000000000"


def test_another_address_in_the_code_is_left_alone(shell: dict[str, str]) -> None:
    program = (
        "import boto3, json; from botocore.config import Config; "
        "c = boto3.client('sts', endpoint_url='http://127.0.0.1:9', config=Config(retries={'max_attempts': 0}))\n"
        "try: c.get_caller_identity()\n"
        "except Exception as error: print(json.dumps(type(error).__name__))"
    )

    assert run(shell, program) == "EndpointConnectionError"


def test_the_default_bucket_is_there(shell: dict[str, str]) -> None:
    program = "import boto3, json; print(json.dumps([b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']]))"

    assert "sagemaker-us-east-1-000000000000" in run(shell, program)


def test_the_aws_command_works(shell: dict[str, str]) -> None:
    aws = Path(sys.executable).parent / "aws"
    done = subprocess.run([aws, "sagemaker", "list-models"], env=shell, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_cloud_the_command_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "env", "--home", tmp_path], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"No local cloud runs on {tmp_path}: `localcloud up` starts one.\n"
