"""Clients and a bucket of models for the tests of endpoints."""

from typing import Any

import pytest

from tests.localcloud.resources.served import BUCKET


@pytest.fixture(scope="session", autouse=True)
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
