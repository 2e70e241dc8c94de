"""Approval deploys, in place; rejection brings the last approved version back; nothing unapproved is served."""

import time
from typing import Any

import pytest


@pytest.fixture(scope="module")
def second(bay: Any, story: dict[str, Any]) -> int:
    """The number of a version that is registered after the one in service, and not approved."""
    assert story["model_package_arn"].endswith("/1")
    bay.run("--seed", "7")
    return max(bay.versions())


def _config(bay: Any) -> str:
    return str(bay.client("sagemaker").describe_endpoint(EndpointName="loadingbay")["EndpointConfigName"])


def _wait_for_config(bay: Any, condition: Any, seconds: float = 60) -> str:
    deadline = time.monotonic() + seconds
    while not condition(_config(bay)):
        assert time.monotonic() < deadline, f"the endpoint stayed at {_config(bay)}"
        time.sleep(0.2)
    return _config(bay)


def test_an_unapproved_version_is_not_served(bay: Any, second: int) -> None:
    assert bay.versions()[second]["ModelApprovalStatus"] == "PendingManualApproval"
    assert f"-v{second}-" not in _config(bay)


def test_approval_by_the_sagemaker_api_updates_the_endpoint_in_place_and_rejection_brings_the_first_back(
    bay: Any, second: int
) -> None:
    sagemaker = bay.client("sagemaker")
    arn = bay.versions()[second]["ModelPackageArn"]
    before = sagemaker.describe_endpoint(EndpointName="loadingbay")
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="by API")
    _wait_for_config(bay, lambda name: f"-v{second}-" in name)
    after = sagemaker.describe_endpoint(EndpointName="loadingbay")
    assert after["EndpointArn"] == before["EndpointArn"]
    assert after["CreationTime"] == before["CreationTime"]

    bay.cli("reject", second, "--comment", "the first did better")
    _wait_for_config(bay, lambda name: f"-v{second}-" not in name)
    assert bay.versions()[second]["ApprovalDescription"] == "the first did better"
