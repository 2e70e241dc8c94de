"""The champion: the newest approved version, and what a rerun with nothing changed is compared with."""
# ruff: noqa: N803 - AWS names its arguments so

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from pipelines import champion

BUCKET = "champion-bucket"
NOBODY = f"s3://{BUCKET}/champion/none"
ORIGIN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/loadingbay/execution/abcdefghijkl"
VALUES = {"InputData": "s3://bucket/data/", "Epochs": 5}
BEFORE = {"InputData": "s3://bucket/data/", "Epochs": "5", "Champion": "s3://bucket/older/model.tar.gz"}


class SageMaker:
    """A registry with one approved version, or none, that an execution with `before` registered."""

    def __init__(self, approved=True, origin=ORIGIN, before=BEFORE, definition="{}"):
        self.approved, self.origin, self.before, self.definition = approved, origin, before, definition

    def list_model_packages(self, ModelApprovalStatus, **_):
        assert ModelApprovalStatus == "Approved"
        return {"ModelPackageSummaryList": [{"ModelPackageArn": "arn:package/1"}] if self.approved else []}

    def describe_model_package(self, ModelPackageName):
        containers = [{"ModelDataUrl": "s3://bucket/approved/model.tar.gz"}]
        return {
            "InferenceSpecification": {"Containers": containers},
            "MetadataProperties": {"GeneratedBy": self.origin},
        }

    def list_pipeline_parameters_for_execution(self, PipelineExecutionArn):
        if self.before is None:
            raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": "gone"}}, "List")
        return {"PipelineParameters": [{"Name": name, "Value": value} for name, value in self.before.items()]}

    def describe_pipeline_definition_for_execution(self, PipelineExecutionArn):
        return {"PipelineDefinition": self.definition}


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        client.create_bucket(Bucket=BUCKET)
        yield client


def test_while_nothing_is_approved_it_is_an_object_that_exists_and_is_empty(s3):
    assert champion.find(SageMaker(approved=False), s3, BUCKET, "{}", VALUES) == NOBODY
    assert champion.find(SageMaker(approved=False), s3, BUCKET, "{}", VALUES) == NOBODY
    (item,) = s3.list_objects_v2(Bucket=BUCKET, Prefix="champion/none")["Contents"]
    assert item["Size"] == 0


def test_a_changed_parameter_is_compared_with_the_approved_version(s3):
    found = champion.find(SageMaker(), s3, BUCKET, "{}", VALUES | {"Epochs": 6})
    assert found == "s3://bucket/approved/model.tar.gz"


def test_changed_code_is_compared_with_the_approved_version(s3):
    found = champion.find(SageMaker(definition='{"other": 1}'), s3, BUCKET, "{}", VALUES)
    assert found == "s3://bucket/approved/model.tar.gz"


def test_with_nothing_changed_it_is_what_the_approved_version_was_compared_with(s3):
    assert champion.find(SageMaker(), s3, BUCKET, "{}", VALUES) == "s3://bucket/older/model.tar.gz"


def test_a_default_that_is_written_out_changes_nothing(s3):
    values = VALUES | {"MinimumAccuracy": 0.85, "Seed": "1"}
    assert champion.find(SageMaker(), s3, BUCKET, "{}", values) == "s3://bucket/older/model.tar.gz"


def test_another_commit_alone_changes_nothing(s3):
    before = BEFORE | {"GitCommit": "a" * 40}
    found = champion.find(SageMaker(before=before), s3, BUCKET, "{}", VALUES | {"GitCommit": "b" * 40})
    assert found == "s3://bucket/older/model.tar.gz"


@pytest.mark.parametrize(
    "sagemaker", [SageMaker(origin="a person"), SageMaker(before=None), SageMaker(before={"Epochs": "no number"})]
)
def test_a_version_of_unknown_origin_is_the_champion_itself(s3, sagemaker):
    assert champion.find(sagemaker, s3, BUCKET, "{}", VALUES) == "s3://bucket/approved/model.tar.gz"
