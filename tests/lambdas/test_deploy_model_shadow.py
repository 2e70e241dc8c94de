"""DeployModel with a shadow: how a version comes to get copies of the requests, and how that ends."""

import pytest

from lambdas.deploy_model.environment import read_settings
from lambdas.deploy_model.state import shadow_number, version_number
from tests.fakes.fake_sagemaker import NAME
from tests.lambdas.deployment_cloud import DeploymentCloud
from tests.lambdas.deployment_steps import ENVIRONMENT, HOURLY, converge, drain

SETTINGS = read_settings(ENVIRONMENT)


@pytest.fixture
def cloud():
    """Version 1 is live; 2 and 3 wait."""
    cloud = DeploymentCloud()
    for _ in range(3):
        cloud.register()
    cloud.decide(1, "Approved")
    drain(cloud)
    return cloud


def test_a_shadow_gets_copies_and_the_live_version_stays(cloud):
    cloud.shadow_with(2, "0.25")
    drain(cloud)
    assert (cloud.live, cloud.shadow, cloud.status[2]) == (1, 2, "PendingManualApproval")
    (variant,) = cloud.configs[cloud.endpoint["config"]]["ShadowProductionVariants"]
    assert (variant["VariantName"], variant["InitialVariantWeight"]) == ("Shadow", 0.25)
    assert cloud.history()[-1]["shadow"]["approved_by"] == "arn:aws:iam::000000000000:user/ada"


def test_the_update_for_a_shadow_is_not_watched(cloud):
    cloud.shadow_with(2)
    drain(cloud, BAKE_SECONDS="300", ROLLBACK_ALARMS="a")
    assert "DeploymentConfig" not in cloud.updates[-1]


def test_a_promoted_shadow_is_verified_and_has_no_shadow(cloud):
    cloud.shadow_with(2)
    drain(cloud)
    cloud.decide(2, "Approved")
    drain(cloud)
    assert (cloud.live, cloud.shadow) == (2, None)
    assert cloud.metadata(2)["verification"] == "passed"


def test_a_rejected_shadow_gets_no_more_copies(cloud):
    cloud.shadow_with(2)
    drain(cloud)
    cloud.decide(2, "Rejected")
    drain(cloud)
    assert (cloud.live, cloud.shadow) == (1, None)


def test_a_new_approval_keeps_the_shadow(cloud):
    cloud.shadow_with(2)
    drain(cloud)
    cloud.decide(3, "Approved")
    drain(cloud)
    assert (cloud.live, cloud.shadow) == (3, 2)


def test_a_shadow_that_cannot_start_says_why_and_may_be_tried_again(cloud):
    cloud.broken.add(2)
    cloud.shadow_with(2)
    drain(cloud)
    stage = cloud.packages[2]["ModelLifeCycle"]
    assert (cloud.live, cloud.shadow, stage["StageStatus"]) == (1, None, "Rejected")
    assert "ping health check" in stage["StageDescription"]
    cloud.broken.clear()
    cloud.shadow_with(2)
    drain(cloud)
    assert cloud.shadow == 2


def test_a_version_without_a_container_is_no_shadow(cloud):
    del cloud.packages[2]["InferenceSpecification"]
    cloud.shadow_with(2)
    drain(cloud)
    stage = cloud.packages[2]["ModelLifeCycle"]
    assert (cloud.live, cloud.shadow, stage["StageStatus"]) == (1, None, "Rejected")
    assert "without a container" in stage["StageDescription"]


def test_without_machines_a_shadow_is_tried_again_by_the_schedule(cloud):
    cloud.machines = False
    cloud.shadow_with(2)
    drain(cloud)
    assert (cloud.live, cloud.shadow, cloud.shadows()) == (1, None, [2])
    cloud.machines = True
    converge(cloud, HOURLY)
    drain(cloud)
    assert cloud.shadow == 2


def test_a_serverless_endpoint_refuses_a_shadow():
    cloud = DeploymentCloud()
    serverless = {"ENDPOINT_SERVERLESS_MEMORY_MB": "2048"}
    cloud.register()
    cloud.register()
    cloud.decide(1, "Approved")
    drain(cloud, **serverless)
    cloud.shadow_with(2)
    drain(cloud, **serverless)
    assert "serverless" in cloud.packages[2]["ModelLifeCycle"]["StageDescription"]
    assert cloud.live == 1


def test_an_endpoint_that_scales_does_so_again_beside_its_shadow(cloud):
    scales = {"ENDPOINT_MAX_INSTANCE_COUNT": "3", "ENDPOINT_INVOCATIONS_PER_INSTANCE": "100"}
    converge(cloud, HOURLY, **scales)
    cloud.shadow_with(2)
    drain(cloud, **scales)
    assert cloud.shadow == 2
    assert cloud.scaling


def test_what_is_stored_of_a_shadow_goes_with_its_version(cloud):
    cloud.shadow_with(2)
    drain(cloud, KEEP_VERSIONS="1")
    assert {version_number(name, SETTINGS) for name in cloud.models} == {1, 2}
    cloud.decide(3, "Approved")
    cloud.decide(2, "Rejected")
    drain(cloud, KEEP_VERSIONS="1")
    converge(cloud, HOURLY, KEEP_VERSIONS="1")
    assert {version_number(name, SETTINGS) for name in cloud.configs if "verify" not in name} == {3}


def test_the_dry_run_of_a_shadow_changes_nothing_and_tells_each_step(cloud):
    detail = {
        "ModelPackageArn": cloud.arn(2),
        "ModelApprovalStatus": "PendingManualApproval",
        "ModelLifeCycle": {"Stage": "Shadow", "StageStatus": "Approved"},
        "CustomerMetadataProperties": {"shadow_share": "0.5"},
    }
    event = {"dry_run": True, "detail-type": "SageMaker Model Package State Change", "detail": detail}
    found = converge(cloud, event)
    assert [step["outcome"] for step in found["course"]] == ["shadow", "live"]
    assert "copies of 50% of the requests" in found["because"]
    assert cloud.shadow is None


def test_the_versions_in_a_configuration_are_read_from_its_name(cloud):
    cloud.shadow_with(3)
    drain(cloud)
    name = cloud.endpoint["config"]
    assert (version_number(name, SETTINGS), shadow_number(name, SETTINGS)) == (1, 3)
    assert (version_number("other", SETTINGS), shadow_number("other", SETTINGS)) == (0, 0)
    assert name.startswith(NAME)
