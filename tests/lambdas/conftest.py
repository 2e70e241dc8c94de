"""What the Lambda tests share: credentials that open nothing, S3 by moto, and the recorded events."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.lambdas.deployment_cloud import DeploymentCloud
from tests.lambdas.deployment_steps import converge, drain
from tests.lambdas.lambda_cases import BUCKET, ROOT


@pytest.fixture(autouse=True)
def _no_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test from a real account: dummy credentials, and no endpoint of the shell's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture(scope="module")
def _moto() -> Iterator[Any]:
    # No longer than a module: other folders' tests talk to a real server.
    with mock_aws():
        yield boto3.client("s3", region_name="us-east-1")  # making a client takes longer than a test


@pytest.fixture
def s3(_moto: Any) -> Iterator[Any]:
    """S3 with one empty, versioned bucket."""
    _moto.create_bucket(Bucket=BUCKET)
    _moto.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield _moto
    listed = _moto.list_object_versions(Bucket=BUCKET)
    for found in listed.get("Versions", []) + listed.get("DeleteMarkers", []):
        _moto.delete_object(Bucket=BUCKET, Key=found["Key"], VersionId=found["VersionId"])
    _moto.delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="session")
def runtime_client() -> Any:
    """A client to stub: its requests are checked by botocore, and sent nowhere."""
    credentials = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client("sagemaker-runtime", region_name="us-east-1", **credentials)


@pytest.fixture
def upload(s3: Any) -> Callable[[str, bytes], str]:
    """Puts an object and returns its version."""
    return lambda key, body: s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]


@pytest.fixture
def recorded() -> Callable[[str], dict[str, Any]]:
    return lambda name: json.loads((ROOT / "tests" / "events" / f"{name}.json").read_text())


@pytest.fixture
def cloud():
    return DeploymentCloud()


@pytest.fixture
def serving(cloud):
    cloud.decide(cloud.register(), "Approved")
    drain(cloud)
    return cloud


@pytest.fixture
def verifying(serving):
    """Version 2 is ready on the trial endpoint; the last event says so."""
    serving.decide(serving.register(), "Approved")
    converge(serving, serving.events.pop())
    serving.settle()
    return serving
