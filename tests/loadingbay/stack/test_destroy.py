"""What belongs to a stage, and in which order it goes. That it goes is shown end to end: tests/e2e/test_removal.py."""

import json

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from moto import mock_aws

from loadingbay.commands import destroy as command
from loadingbay.errors import UsageError, WorkError
from loadingbay.stack import destroy
from loadingbay.stack.destroy import Item
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import STARTED, FakeSageMaker

BUCKET = "loadingbay-data"
OF_THE_STAGE = ("loadingbay-v1-a", "loadingbay-transform-20261126-015000-000001")


def _stack(stage, *, output="SourceHash", repository=""):
    """A request for a stack with a bucket, which looks like a stage's."""
    template = {
        "Parameters": {"ImageRepository": {"Type": "String", "Default": repository}},
        "Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{stage}-data"}}},
        "Outputs": {output: {"Value": "of this source"}},
    }
    return {"StackName": stage, "TemplateBody": json.dumps(template)}


@pytest.fixture
def target(monkeypatch):
    """A stage of which something is left of each kind, on moto's AWS."""
    with mock_aws():
        made = Target("aws", None, "us-east-1")
        monkeypatch.setattr(Target, "interval", 0.0)
        made.client("cloudformation").create_stack(**_stack("loadingbay"))
        s3 = made.client("s3")
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        for content in (b"old", b"new"):
            s3.put_object(Bucket=BUCKET, Key="photo", Body=content)
        s3.delete_object(Bucket=BUCKET, Key="photo")
        s3.create_bucket(Bucket="loadingbay-artifacts-123456789012-us-east-1")
        made.clients["sagemaker"] = Stages()
        yield made


class Stages(FakeSageMaker):
    """A registry and endpoints of several stages, and an execution that runs until it is stopped."""

    def __init__(self):
        super().__init__()
        self.register()
        self.models = {name: {} for name in (*OF_THE_STAGE, "loadingbay-two-v1-a", "other")}
        self.configs = {name: {} for name in ("loadingbay-v1-a", "loadingbay-two-v1-a")}
        self.endpoints = {
            name: {"status": "InService", "config": "loadingbay-v1-a", "changed": STARTED, "tags": {}}
            for name in ("loadingbay", "loadingbay-verify", "loadingbay-two")
        }
        self.pipelines = ["loadingbay", "loadingbay-two"]
        self.groups = ["loadingbay"]
        self.cards = ["loadingbay-v1", "loadingbay-two-v1", "loadingbay-v1-x"]
        self.execution = "Executing"
        self._list("ListEndpoints", "Endpoints", "EndpointName", self._resting)
        self._list("ListEndpointConfigs", "EndpointConfigs", "EndpointConfigName", lambda: self.configs)
        self._list("ListPipelines", "PipelineSummaries", "PipelineName", lambda: self.pipelines)
        self._list(
            "ListModelPackageGroups", "ModelPackageGroupSummaryList", "ModelPackageGroupName", lambda: self.groups
        )
        self._list("ListModelCards", "ModelCardSummaries", "ModelCardName", lambda: self.cards)
        self.answer("ListPipelineExecutionSteps", {"PipelineExecutionSteps": []})
        self.answer("ListPipelineExecutions", lambda **_: {
            "PipelineExecutionSummaries": [
                {"PipelineExecutionArn": "arn:x/execution/e1", "PipelineExecutionStatus": self.execution}
            ]
        })  # fmt: skip
        self.answer("DescribePipelineExecution", lambda **_: {
            "PipelineExecutionStatus": self.execution, "CreationTime": STARTED,
        })  # fmt: skip
        self.answer("StopPipelineExecution", self._stop)
        self.answer("DeletePipeline", lambda PipelineName, **_: _gone(self.pipelines, PipelineName))  # noqa: N803
        self.answer("DeleteModelCard", lambda ModelCardName: _gone(self.cards, ModelCardName))  # noqa: N803
        self.answer("DeleteModelPackage", self._forget)
        self.answer(
            "DeleteModelPackageGroup",
            lambda ModelPackageGroupName: _gone(self.groups, ModelPackageGroupName),  # noqa: N803
        )

    def _list(self, operation, key, member, names):
        self.answer(operation, lambda **_: {key: [{member: name} for name in names()]})

    def _resting(self):
        self.endpoints = {name: one for name, one in self.endpoints.items() if one["status"] != "Deleting"}
        return self.endpoints

    def _stop(self, **_):
        self.execution = "Stopped"
        return {}

    def _forget(self, ModelPackageName):  # noqa: N803
        del self.packages[int(ModelPackageName.rsplit("/", 1)[1])]
        return {}


def _gone(names, name):
    names.remove(name)
    return {}


def test_a_stage_is_what_its_stack_made_and_what_bears_its_name(target):
    items = destroy.survey(target)
    assert Item("endpoint", "loadingbay") in items
    assert Item("endpoint", "loadingbay-verify") in items
    assert Item("objects of bucket", BUCKET) in items
    assert Item("model cards", "loadingbay", 1) in items
    assert [item.name for item in items if item.kind == "model"] == list(OF_THE_STAGE)
    assert not [item for item in items if "two" in item.name or "other" in item.name]


def test_what_runs_is_stopped_first_and_the_stack_goes_when_it_is_empty(target):
    kinds = [item.kind for item in destroy.survey(target)]
    assert kinds.index("running execution") < kinds.index("pipeline") < kinds.index("stack")
    assert kinds.index("model versions") < kinds.index("stack")
    assert kinds.index("endpoint") < kinds.index("endpoint configuration") < kinds.index("model")
    assert kinds[-2:] == ["objects of bucket", "bucket"]


def test_the_stack_of_the_delivery_goes_after_that_of_the_application(target):
    target.client("cloudformation").create_stack(**_stack("loadingbay-cicd", output="ConnectionArn"))
    items = destroy.survey(target)
    assert [item.name for item in items if item.kind == "stack"] == ["loadingbay", "loadingbay-cicd"]
    assert Item("objects of bucket", "loadingbay-cicd-data") in items


def test_afterwards_nothing_is_left_and_again_does_nothing(target):
    said = []
    destroy.remove(target, destroy.survey(target), say=said.append)
    assert target.client("s3").list_buckets()["Buckets"] == []
    sagemaker = target.clients["sagemaker"]
    assert sagemaker.execution == "Stopped"
    assert sagemaker.cards == ["loadingbay-two-v1", "loadingbay-v1-x"]
    assert (list(sagemaker.models), list(sagemaker.configs)) == (
        ["loadingbay-two-v1-a", "other"],
        ["loadingbay-two-v1-a"],
    )
    assert destroy.survey(target) == []
    assert said


def test_an_endpoint_that_scales_leaves_no_scalable_target(target):
    scaling = target.client("application-autoscaling")
    sagemaker = target.clients["sagemaker"]
    described = sagemaker.describe_endpoint
    sagemaker.describe_endpoint = lambda **request: {
        **described(**request), "ProductionVariants": [{"VariantName": "AllTraffic"}]
    }  # fmt: skip
    for name in ("loadingbay", "loadingbay-two"):
        sagemaker.endpoints[name]["tags"]["loadingbay:scaling"] = "1 to 2"
        _register(scaling, name)
    destroy.remove(target, [Item("endpoint", "loadingbay")])
    left = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert [found["ResourceId"] for found in left] == ["endpoint/loadingbay-two/variant/AllTraffic"]


def _register(scaling, endpoint):
    scaling.register_scalable_target(
        ServiceNamespace="sagemaker", ResourceId=f"endpoint/{endpoint}/variant/AllTraffic",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount", MinCapacity=1, MaxCapacity=2,
    )  # fmt: skip


def test_the_bucket_for_packages_stays_while_another_stage_is_there(target):
    target.client("cloudformation").create_stack(**_stack("loadingbay-two"))
    assert not [item for item in destroy.survey(target) if "artifacts" in item.name]


def test_a_stack_of_another_project_does_not_count_as_a_stage(target):
    target.client("cloudformation").create_stack(**_stack("shop", output="Url"))
    assert [item.kind for item in destroy.survey(target) if "artifacts" in item.name] == ["objects of bucket", "bucket"]


def test_a_stage_whose_images_another_one_runs_is_not_removed(target):
    target.client("cloudformation").create_stack(**_stack("production", repository="loadingbay"))
    with pytest.raises(WorkError, match="the stage production runs images of the stage loadingbay: remove that one"):
        destroy.survey(target)


def test_what_is_gone_already_is_passed_over_and_what_is_refused_is_not(target):
    destroy.remove(target, [Item("log group", "/aws/nowhere"), Item("bucket", "never-was")])

    def refuse(**_):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DeleteLogGroup")

    target.client("logs").delete_log_group = refuse
    with pytest.raises(ClientError, match="AccessDenied"):
        destroy.remove(target, [Item("log group", "/aws/nowhere")])


def _invoke(target, *arguments, **options):
    return CliRunner().invoke(command.destroy, arguments, obj=lambda: target, **options)


def test_without_a_terminal_it_removes_nothing_unless_told_yes(target):
    done = _invoke(target)
    assert isinstance(done.exception, UsageError)
    assert destroy.survey(target)


@pytest.mark.parametrize(("typed", "removed"), [("loadingbay\n", True), ("yes\n", False)])
def test_on_a_terminal_the_stages_name_has_to_be_typed(target, monkeypatch, typed, removed):
    monkeypatch.setattr(command, "_terminal", lambda: True)
    done = _invoke(target, input=typed)
    assert (done.exception is None) == removed
    assert (destroy.survey(target) == []) == removed


def test_a_dry_run_lists_and_removes_nothing(target):
    before = destroy.survey(target)
    done = _invoke(target, "--dry-run")
    assert "delete  stack                   loadingbay" in done.stdout
    assert destroy.survey(target) == before


def test_the_stages_other_pipelines_go_with_it(target):
    ours = ["loadingbay", "loadingbay-monitoring", "loadingbay-pretraining", "loadingbay-threshold"]
    target.clients["sagemaker"].pipelines = [*ours, "loadingbay-two", "loadingbay-two-threshold"]
    assert [item.name for item in destroy.survey(target) if item.kind == "pipeline"] == ours
