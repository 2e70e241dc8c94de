"""A version as a shadow: what stands in its way, and what is written into the registry."""

import pytest

from loadingbay.errors import UsageError, WorkError
from loadingbay.registry import shadow
from loadingbay.registry import versions as registry
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import NAME
from tests.lambdas.deployment_cloud import DeploymentCloud
from tests.lambdas.deployment_steps import drain


@pytest.fixture
def cloud():
    """Version 1 is live; 2 and 3 wait. All tell the same classes apart."""
    cloud = DeploymentCloud()
    for number in range(1, 4):
        cloud.register()
        cloud.metadata(number)["classes"] = "bicycle motorcycle"
    cloud.decide(1, "Approved")
    drain(cloud)
    return cloud


@pytest.fixture
def target(cloud):
    target = Target("aws", None, "us-east-1")
    target.clients["sagemaker"] = cloud
    return target


def version(target, cloud, number):
    return registry.get(target, cloud.arn(number))


def test_a_shadow_is_recorded_in_one_update_and_found_again(target, cloud):
    two = version(target, cloud, 2)
    shadow.check(target, NAME, two)
    shadow.start(target, two, share=0.5, comment="a look")
    (update,) = cloud.requests("UpdateModelPackage")[-1:]
    assert update["ModelLifeCycle"] == {"Stage": "Shadow", "StageStatus": "Approved", "StageDescription": "a look"}
    assert (update["ModelApprovalStatus"], cloud.metadata(2)["shadow_share"]) == ("PendingManualApproval", "0.5")
    assert shadow.running(target).number == 2
    drain(cloud)
    shadow.wait(target, NAME, two)
    now = registry.endpoint(target, NAME)
    assert (now.serves, now.shadow) == (cloud.arn(1), cloud.arn(2))


@pytest.mark.parametrize(("approve", "status"), [(True, "Completed"), (False, "Rejected")])
def test_a_decision_about_the_shadow_ends_its_stage(target, cloud, approve, status):
    shadow.start(target, version(target, cloud, 2), share=1.0, comment="")
    registry.decide(target, version(target, cloud, 2), approve=approve, comment="")
    assert cloud.packages[2]["ModelLifeCycle"]["StageStatus"] == status
    assert shadow.running(target) is None


def test_the_version_in_service_cannot_be_its_own_shadow(target, cloud):
    with pytest.raises(UsageError, match="version 1 is the one in service"):
        shadow.check(target, NAME, version(target, cloud, 1))


def test_a_version_with_other_classes_is_refused(target, cloud):
    cloud.metadata(2)["classes"] = "bicycle tram"
    with pytest.raises(UsageError, match="bicycle tram, and version 1 in service bicycle motorcycle"):
        shadow.check(target, NAME, version(target, cloud, 2))


def test_a_second_shadow_is_refused_with_the_way_to_end_the_first(target, cloud):
    cloud.shadow_with(2)
    with pytest.raises(UsageError, match="`loadingbay reject 2` ends it"):
        shadow.check(target, NAME, version(target, cloud, 3))


def test_a_shadow_needs_a_version_in_service(target, cloud):
    cloud.endpoints.clear()
    with pytest.raises(UsageError, match="nothing is in service"):
        shadow.check(target, NAME, version(target, cloud, 2))


def test_a_serverless_endpoint_has_no_shadow(target, cloud):
    config = cloud.configs[cloud.endpoint["config"]]
    config["ProductionVariants"][0]["ServerlessConfig"] = {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    with pytest.raises(UsageError, match="is serverless"):
        shadow.check(target, NAME, version(target, cloud, 2))


def test_whoever_waits_for_a_shadow_that_is_refused_hears_why(target, cloud):
    cloud.broken.add(2)
    cloud.shadow_with(2)
    drain(cloud)
    with pytest.raises(WorkError, match="did not become a shadow: The container did not pass"):
        shadow.wait(target, NAME, version(target, cloud, 2))
