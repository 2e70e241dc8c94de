"""The keys that Lambda functions act as their roles with."""

import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

ROLE = "arn:aws:iam::000000000000:role/of-the-function"
CODE = """
import os, boto3

def handler(event, context):
    boto3.client("sagemaker").create_model_package_group(ModelPackageGroupName=event["group"])
    return {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
"""


@pytest.fixture(scope="module")
def called(cloud: Any) -> tuple[str, dict[str, str]]:
    """The ARN of a function and the credentials it has; it has created the group `of-a-function`."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("app.py", CODE)
    function = cloud.client("lambda").create_function(
        FunctionName="group-maker", Runtime="python3.11", Role=ROLE, Handler="app.handler",
        Code={"ZipFile": data.getvalue()}, Timeout=30,
    )  # fmt: skip
    answer = cloud.client("lambda").invoke(FunctionName="group-maker", Payload=json.dumps({"group": "of-a-function"}))
    assert "FunctionError" not in answer, answer["Payload"].read()
    return function["FunctionArn"], json.loads(answer["Payload"].read())


def test_what_a_function_does_is_done_by_its_role(cloud: Any, called: tuple[str, dict[str, str]]) -> None:
    group = cloud.client("sagemaker").describe_model_package_group(ModelPackageGroupName="of-a-function")

    by = group["CreatedBy"]["IamIdentity"]
    assert by["Arn"] == "arn:aws:sts::000000000000:assumed-role/of-the-function/group-maker"


def test_nobody_can_compute_the_key_of_a_function(called: tuple[str, dict[str, str]]) -> None:
    arn, credentials = called

    # How MiniStack makes it.
    digest = hashlib.sha256(f"{arn}:{ROLE}".encode()).hexdigest()
    assert credentials["AWS_ACCESS_KEY_ID"] != f"ASIA{digest[:16].upper()}"
    assert credentials["AWS_SECRET_ACCESS_KEY"] != hashlib.sha256(f"secret:{digest}".encode()).hexdigest()
