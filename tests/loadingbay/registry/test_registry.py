"""Versions, approval, and waiting until the endpoint serves the one that was approved."""

import io
import json
from functools import partial
from types import SimpleNamespace

import pytest

from loadingbay.errors import UsageError, WorkError
from loadingbay.registry import versions as registry
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import NAME, FakeSageMaker

WAITS = {"outcome": "wait", "because": "The endpoint is busy."}


@pytest.fixture(autouse=True)
def meanwhile(monkeypatch):
    """What happens between two looks at the endpoint: one of these each time, until none is left."""
    steps = []
    monkeypatch.setattr("loadingbay.registry.versions.time.sleep", lambda _: steps and steps.pop(0)())
    return steps


def _registry(versions):
    sagemaker = FakeSageMaker()
    for _ in range(versions):
        sagemaker.register()
    return sagemaker


def _target(sagemaker, planned=WAITS):
    """`planned` is what DeployModel answers when it is asked for its plan."""

    def invoke(FunctionName, Payload):  # noqa: N803 - AWS names its arguments so
        assert FunctionName == "loadingbay-deploy-model"
        assert json.loads(Payload)["dry_run"]
        failed = {} if "outcome" in planned else {"FunctionError": "Unhandled"}
        return {"Payload": io.BytesIO(json.dumps(planned).encode()), **failed}

    clients = {"sagemaker": sagemaker, "lambda": SimpleNamespace(invoke=invoke)}
    return Target("local", "http://127.0.0.1:1", "us-east-1", clients=clients)


def _deploy(sagemaker, version, endpoint=NAME):
    """The endpoint begins to go over to the version."""
    name = f"{endpoint}-v{version}"
    sagemaker.create_model(ModelName=name, PrimaryContainer={"ModelPackageName": sagemaker.arn(version)})
    variant = {"VariantName": "all", "ModelName": name}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    if endpoint in sagemaker.endpoints:
        sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=name)
    else:
        sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=name, Tags=[])


def _serve(sagemaker, version):
    """The endpoint serves the version."""
    _deploy(sagemaker, version)
    sagemaker.settle()


def test_versions_come_newest_first_with_their_figures():
    sagemaker = _registry(2)
    sagemaker.register(CustomerMetadataProperties={"accuracy": "0.9300", "classes": "bicycle motorcycle"})
    found = registry.versions(_target(sagemaker))
    assert [v.number for v in found] == [3, 2, 1]
    assert found[0].figure("accuracy") == 0.93
    assert found[0].figure("classes") is None
    assert found[0].evaluation == "s3://b/3/evaluation.json"


def test_a_version_that_is_not_there_names_those_there_are():
    with pytest.raises(UsageError, match="there is no model version 7: the newest are 2, 1"):
        registry.numbered(_target(_registry(2)), 7)


def test_an_empty_registry_says_how_to_fill_it():
    with pytest.raises(UsageError, match="none is registered yet: `loadingbay run`"):
        registry.numbered(_target(_registry(0)), 1)


@pytest.mark.parametrize(("approve", "status"), [(True, "Approved"), (False, "Rejected")])
def test_a_decision_is_written_with_its_comment(approve, status):
    target = _target(_registry(1))
    registry.decide(target, registry.numbered(target, 1), approve=approve, comment="looked at it")
    decided = registry.numbered(target, 1)
    assert (decided.approval, decided.comment) == (status, "looked at it")


def test_waiting_ends_when_the_endpoint_serves_this_very_version(meanwhile):
    sagemaker = _registry(2)
    target = _target(sagemaker)
    for version in (1, 2):
        meanwhile += [partial(_deploy, sagemaker, version), sagemaker.settle]
    seen = []
    registry.wait_until_served(target, "loadingbay", registry.numbered(target, 2), waiting=seen.append)
    assert seen == ["waiting for the approval event", "Creating", "waiting for the approval event", "Updating"]


def test_waiting_tells_of_the_verification(meanwhile):
    sagemaker = _registry(2)
    target = _target(sagemaker)
    _serve(sagemaker, 1)
    _deploy(sagemaker, 2, "loadingbay-verify")
    meanwhile += [sagemaker.settle, partial(_serve, sagemaker, 2)]
    seen = []
    registry.wait_until_served(target, "loadingbay", registry.numbered(target, 2), waiting=seen.append)
    assert seen == ["to be verified, Creating", "being verified"]


@pytest.mark.parametrize("before", [False, True])
def test_a_version_that_passed_its_verification_waits_for_no_event(before):
    sagemaker = _registry(2)
    if before:
        _serve(sagemaker, 1)
    sagemaker.packages[2]["CustomerMetadataProperties"] = {"verification": "passed"}
    target = _target(sagemaker)
    assert registry.how_far(target, "loadingbay", registry.numbered(target, 2)) == "verified, to be deployed"


def test_a_version_that_passes_meanwhile_waits_for_no_event(monkeypatch):
    sagemaker = _registry(2)
    target, describe = _target(sagemaker), sagemaker.describe_endpoint
    version = registry.numbered(target, 2)

    def passes(**request):
        sagemaker.packages[2]["CustomerMetadataProperties"] = {"verification": "passed"}
        return describe(**request)

    monkeypatch.setattr(sagemaker, "describe_endpoint", passes)
    assert registry.how_far(target, "loadingbay", version) == "verified, to be deployed"


def test_a_deployment_that_is_stuck_ends_the_wait_with_its_reason():
    stuck = {"outcome": "stuck", "because": "Version 1 did not come into service: no machine."}
    target = _target(_registry(1), stuck)
    with pytest.raises(WorkError, match=r"did not come into service: no machine. .*`loadingbay logs deploy_model`"):
        registry.wait_until_served(target, "loadingbay", registry.numbered(target, 1))


def test_a_plan_that_cannot_be_made_just_now_does_not_end_the_wait(meanwhile):
    sagemaker = _registry(1)
    target = _target(sagemaker, {"errorMessage": "the endpoint was deleted while it was read"})
    meanwhile += [lambda: None] * 24 + [partial(_serve, sagemaker, 1)]
    registry.wait_until_served(target, "loadingbay", registry.numbered(target, 1))


def test_someone_who_rejects_the_version_ends_the_wait_with_the_reason():
    sagemaker = _registry(2)
    _serve(sagemaker, 1)
    target = _target(sagemaker)
    version = registry.numbered(target, 2)
    registry.decide(target, version, approve=False, comment="not on a Friday")
    with pytest.raises(WorkError, match="version 2 was rejected while it was deployed: not on a Friday"):
        registry.wait_until_served(target, "loadingbay", version)


def test_someone_who_deletes_the_version_ends_the_wait():
    sagemaker = _registry(2)
    _serve(sagemaker, 1)
    target = _target(sagemaker)
    version = registry.numbered(target, 2)
    del sagemaker.packages[2]
    with pytest.raises(WorkError, match="version 2 was deleted from the registry while it was deployed"):
        registry.wait_until_served(target, "loadingbay", version)


def test_a_failed_verification_ends_the_wait_with_the_reason():
    sagemaker = _registry(2)
    _serve(sagemaker, 1)
    target = _target(sagemaker)
    version = registry.numbered(target, 2)
    registry.decide(target, version, approve=False, comment="Version 2 was rolled back: it answered 0 of 5 right")
    sagemaker.metadata(2)["verification"] = "failed"
    with pytest.raises(WorkError, match=r"^version 2 was rolled back: it answered 0 of 5 right$"):
        registry.wait_until_served(target, "loadingbay", version)


def test_a_version_that_did_not_start_points_to_the_log_of_its_server():
    sagemaker = _registry(2)
    _serve(sagemaker, 1)
    target = _target(sagemaker)
    version = registry.numbered(target, 2)
    registry.decide(target, version, approve=False, comment="Version 2 did not come into service: it ended")
    sagemaker.metadata(2)["verification"] = "failed"
    with pytest.raises(WorkError, match=r"into service: it ended; its log: `loadingbay logs verification`$"):
        registry.wait_until_served(target, "loadingbay", version)


def test_the_approved_versions_come_newest_first_and_the_first_is_due():
    target = _target(_registry(4))
    assert registry.due(target) is None
    for number in (1, 3):
        registry.decide(target, registry.numbered(target, number), approve=True, comment="")
    assert [version.number for version in registry.approved(target)] == [3, 1]
    assert registry.due(target).number == 3


@pytest.mark.parametrize("comment", ["x" * 1025, "two\nlines"])
def test_a_comment_that_cannot_be_kept_changes_nothing(comment):
    target = _target(_registry(1))
    with pytest.raises(UsageError, match="--comment"):
        registry.decide(target, registry.numbered(target, 1), approve=True, comment=comment)
    assert registry.numbered(target, 1).approval == "PendingManualApproval"


def test_a_wait_without_end_says_where_to_look():
    sagemaker = _registry(2)
    _serve(sagemaker, 1)
    target = _target(sagemaker)
    with pytest.raises(WorkError, match="does not serve version 2 yet: `loadingbay status`"):
        registry.wait_until_served(target, "loadingbay", registry.numbered(target, 2), timeout=0.05)


def test_a_version_that_a_newer_one_overtook_is_said_to_be_so():
    sagemaker = _registry(2)
    target = _target(sagemaker)
    for number in (1, 2):
        registry.decide(target, registry.numbered(target, number), approve=True, comment="")
    _serve(sagemaker, 2)
    with pytest.raises(WorkError, match="version 1 is approved, but so is version 2, which is newer and in service"):
        registry.wait_until_served(target, "loadingbay", registry.numbered(target, 1))


def test_labels_can_be_given_after_the_endpoint_is_gone():
    sagemaker = _registry(0)
    for classes in ("bicycle motorcycle", "bicycle van"):
        sagemaker.register(CustomerMetadataProperties={"classes": classes})
    target = _target(sagemaker)
    with pytest.raises(WorkError, match="no model was approved yet"):
        registry.served_classes(target, NAME)
    sagemaker.decide(1, "Approved")
    assert registry.served_classes(target, NAME) == ["bicycle", "motorcycle"]
