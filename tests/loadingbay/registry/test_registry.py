"""Versions, approval, and waiting until the endpoint serves the one that was approved."""
# ruff: noqa: N803 - AWS names its arguments so

import io
import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from loadingbay.errors import UsageError, WorkError
from loadingbay.registry import versions as registry
from loadingbay.target import LOCAL_ACCOUNT, Target

GROUP = f"arn:aws:sagemaker:us-east-1:{LOCAL_ACCOUNT}:model-package/loadingbay"


class SageMaker:
    """A registry with versions, and an endpoint that goes through `states`: (status, served version or 0)."""

    def __init__(self, versions=0, states=()):
        self.packages = {f"{GROUP}/{n}": self._package(n) for n in range(1, versions + 1)}
        self.states, self.now, self.trial = list(states), None, None
        self.planned = {"outcome": "wait", "because": "The endpoint is busy."}

    def _package(self, number):
        return {
            "ModelPackageVersion": number,
            "ModelPackageArn": f"{GROUP}/{number}",
            "ModelApprovalStatus": "PendingManualApproval",
            "CreationTime": datetime(2026, 11, 22, number, tzinfo=UTC),
            "CustomerMetadataProperties": {"accuracy": "0.9300", "classes": "bicycle motorcycle"},
            "ModelMetrics": {"ModelQuality": {"Statistics": {"S3Uri": "s3://b/e/evaluation.json"}}},
        }

    def describe_model_package(self, ModelPackageName):
        if ModelPackageName not in self.packages:
            message = f"ModelPackage {ModelPackageName} does not exist."
            raise ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "DescribeModelPackage")
        return self.packages[ModelPackageName]

    def get_paginator(self, _):
        return self

    def paginate(self, ModelApprovalStatus=None, **_):
        kept = [p for p in self.packages.values() if ModelApprovalStatus in {None, p["ModelApprovalStatus"]}]
        yield {"ModelPackageSummaryList": kept[::-1]}

    def invoke(self, FunctionName, Payload):
        """DeployModel, asked for its plan."""
        assert FunctionName == "loadingbay-deploy-model"
        assert json.loads(Payload)["dry_run"]
        failed = {} if "outcome" in self.planned else {"FunctionError": "Unhandled"}
        return {"Payload": io.BytesIO(json.dumps(self.planned).encode()), **failed}

    def update_model_package(self, ModelPackageArn, ModelApprovalStatus, ApprovalDescription):
        self.packages[ModelPackageArn] |= {
            "ModelApprovalStatus": ModelApprovalStatus,
            "ApprovalDescription": ApprovalDescription,
        }

    def describe_endpoint(self, EndpointName):
        if EndpointName.endswith("-verify"):
            return self._trial(EndpointName)
        self.now = self.states.pop(0) if self.states else self.now
        if self.now is None:
            error = {"Code": "ValidationException", "Message": "Could not find endpoint"}
            raise ClientError({"Error": error}, "DescribeEndpoint")
        status, _ = self.now
        reason = {"FailureReason": "the container did not answer"} if status == "Failed" else {}
        return {"EndpointName": EndpointName, "EndpointConfigName": "c", "EndpointStatus": status, **reason}

    def _trial(self, name):
        if self.trial is None:
            error = {"Code": "ValidationException", "Message": "Could not find endpoint"}
            raise ClientError({"Error": error}, "DescribeEndpoint")
        return {"EndpointName": name, "EndpointConfigName": "t", "EndpointStatus": self.trial}

    def describe_endpoint_config(self, EndpointConfigName):
        number = max(int(arn.rsplit("/", 1)[1]) for arn in self.packages) if EndpointConfigName == "t" else self.now[1]
        return {"EndpointConfigName": EndpointConfigName, "ProductionVariants": [{"ModelName": f"model-{number}"}]}

    def describe_model(self, ModelName):
        return {"PrimaryContainer": {"ModelPackageName": f"{GROUP}/{ModelName.removeprefix('model-')}"}}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("loadingbay.registry.versions.time.sleep", lambda _: None)


def _target(sagemaker):
    target = Target("local", "http://127.0.0.1:1", "us-east-1")
    target.clients.update(dict.fromkeys(("sagemaker", "lambda"), sagemaker))
    return target


def test_versions_come_newest_first_with_their_figures():
    found = registry.versions(_target(SageMaker(3)))
    assert [v.number for v in found] == [3, 2, 1]
    assert found[0].figure("accuracy") == 0.93
    assert found[0].figure("classes") is None
    assert found[0].evaluation == "s3://b/e/evaluation.json"


def test_a_version_that_is_not_there_names_those_there_are():
    with pytest.raises(UsageError, match="there is no model version 7: the newest are 2, 1"):
        registry.numbered(_target(SageMaker(2)), 7)


def test_an_empty_registry_says_how_to_fill_it():
    with pytest.raises(UsageError, match="none is registered yet: `loadingbay run`"):
        registry.numbered(_target(SageMaker(0)), 1)


@pytest.mark.parametrize(("approve", "status"), [(True, "Approved"), (False, "Rejected")])
def test_a_decision_is_written_with_its_comment(approve, status):
    target = _target(SageMaker(1))
    registry.decide(target, registry.numbered(target, 1), approve=approve, comment="looked at it")
    decided = registry.numbered(target, 1)
    assert (decided.approval, decided.comment) == (status, "looked at it")


def test_waiting_ends_when_the_endpoint_serves_this_very_version():
    states = [None, ("Creating", 2), ("InService", 1), ("Updating", 1), ("InService", 2)]
    target = _target(SageMaker(2, states))
    seen = []
    registry.wait_until_served(target, "loadingbay", registry.numbered(target, 2), waiting=seen.append)
    assert seen == ["waiting for the approval event", "Creating", "InService", "Updating"]


def test_waiting_tells_of_the_verification():
    sagemaker = SageMaker(2, [("InService", 1)] * 2 + [("InService", 2)])
    sagemaker.trial = "Creating"
    seen = []
    target = _target(sagemaker)

    def waiting(said):
        seen.append(said)
        sagemaker.trial = "InService"

    registry.wait_until_served(target, "loadingbay", registry.numbered(target, 2), waiting=waiting)
    assert seen == ["to be verified, Creating", "being verified"]


def test_a_deployment_that_is_stuck_ends_the_wait_with_its_reason():
    sagemaker = SageMaker(1, [None])
    sagemaker.planned = {"outcome": "stuck", "because": "Version 1 did not come into service: no machine."}
    target = _target(sagemaker)
    with pytest.raises(WorkError, match=r"did not come into service: no machine. .*`loadingbay logs deploy_model`"):
        registry.wait_until_served(target, "loadingbay", registry.numbered(target, 1))


def test_a_plan_that_cannot_be_made_just_now_does_not_end_the_wait():
    sagemaker = SageMaker(1, [None] * 25 + [("InService", 1)])
    sagemaker.planned = {"errorMessage": "the endpoint was deleted while it was read"}
    target = _target(sagemaker)
    registry.wait_until_served(target, "loadingbay", registry.numbered(target, 1))


def test_someone_who_rejects_the_version_ends_the_wait_with_the_reason():
    sagemaker = SageMaker(2, [("InService", 1)])
    target = _target(sagemaker)
    version = registry.numbered(target, 2)
    registry.decide(target, version, approve=False, comment="not on a Friday")
    with pytest.raises(WorkError, match="version 2 was rejected while it was deployed: not on a Friday"):
        registry.wait_until_served(target, "loadingbay", version)


def test_a_version_that_fails_its_verification_ends_the_wait_with_the_reason():
    sagemaker = SageMaker(2, [("InService", 1)])
    target = _target(sagemaker)
    version = registry.numbered(target, 2)
    registry.decide(target, version, approve=False, comment="Version 2 was rolled back: it answered 0 of 5 right")
    sagemaker.packages[version.arn]["CustomerMetadataProperties"]["verification"] = "failed"
    with pytest.raises(WorkError, match=r"^version 2 was rolled back: it answered 0 of 5 right$"):
        registry.wait_until_served(target, "loadingbay", version)


def test_a_version_that_did_not_start_points_to_the_log_of_its_server():
    sagemaker = SageMaker(2, [("InService", 1)])
    target = _target(sagemaker)
    version = registry.numbered(target, 2)
    registry.decide(target, version, approve=False, comment="Version 2 did not come into service: it ended")
    sagemaker.packages[version.arn]["CustomerMetadataProperties"]["verification"] = "failed"
    with pytest.raises(WorkError, match=r"into service: it ended; its log: `loadingbay logs verification`$"):
        registry.wait_until_served(target, "loadingbay", version)


def test_the_approved_versions_come_newest_first_and_the_first_is_due():
    target = _target(SageMaker(4))
    assert registry.due(target) is None
    for number in (1, 3):
        registry.decide(target, registry.numbered(target, number), approve=True, comment="")
    assert [version.number for version in registry.approved(target)] == [3, 1]
    assert registry.due(target).number == 3


@pytest.mark.parametrize("comment", ["x" * 1025, "two\nlines"])
def test_a_comment_that_cannot_be_kept_changes_nothing(comment):
    target = _target(SageMaker(1))
    with pytest.raises(UsageError, match="--comment"):
        registry.decide(target, registry.numbered(target, 1), approve=True, comment=comment)
    assert registry.numbered(target, 1).approval == "PendingManualApproval"


def test_a_wait_without_end_says_where_to_look():
    target = _target(SageMaker(2, [("InService", 1)]))
    with pytest.raises(WorkError, match="does not serve version 2 yet: `loadingbay logs deploy_model`"):
        registry.wait_until_served(target, "loadingbay", registry.numbered(target, 2), patience=0.05)


def test_a_version_that_a_newer_one_overtook_is_said_to_be_so():
    sagemaker = SageMaker(2)
    target = _target(sagemaker)
    for number in (1, 2):
        registry.decide(target, registry.numbered(target, number), approve=True, comment="")
    sagemaker.states = [("InService", 2)] * 3
    with pytest.raises(WorkError, match="version 1 is approved, but so is version 2, which is newer and in service"):
        registry.wait_until_served(target, "loadingbay", registry.numbered(target, 1))
