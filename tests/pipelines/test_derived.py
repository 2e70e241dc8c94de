"""The parameters that nobody types: the champion, and the version that the same inputs gave before."""

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws

from pipelines import derived
from pipelines.parameters import Value
from tests.fakes.fake_sagemaker import FakeSageMaker, refusal

BUCKET = "champion-bucket"
NOBODY = f"s3://{BUCKET}/champion/none"
ORIGIN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/loadingbay/execution/abcdefghijkl"
VALUES: dict[str, Value] = {"InputData": "s3://bucket/data/", "Epochs": 5}
OLDER = "s3://bucket/older/model.tar.gz"
APPROVED = "s3://bucket/1/model.tar.gz"
BEFORE = {"InputData": "s3://bucket/data/", "Epochs": "5", "Champion": OLDER}


def registry(
    *, approved=True, origin=ORIGIN, before=BEFORE, definition="{}", versions=1, second="a person", created=None
):
    """A registry whose first version an execution with the parameters `before` registered."""
    sagemaker = FakeSageMaker()
    for number in range(1, versions + 1):
        sagemaker.register(
            InferenceSpecification={"Containers": [{"ModelDataUrl": f"s3://bucket/{number}/model.tar.gz"}]},
            MetadataProperties={"GeneratedBy": origin if number == 1 else second},
            CreationTime=created or datetime.now(UTC),
        )
    if approved:
        sagemaker.decide(1, "Approved")

    def parameters(**_):
        if before is None:
            raise refusal("ListPipelineParametersForExecution", "Execution does not exist.", "ResourceNotFound")
        return {"PipelineParameters": [{"Name": name, "Value": value} for name, value in before.items()]}

    sagemaker.answer("ListPipelineParametersForExecution", parameters)
    sagemaker.answer("DescribePipelineDefinitionForExecution", {"PipelineDefinition": definition})
    return sagemaker


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def champion(s3):
    return lambda sagemaker, values=VALUES: derived.complete(sagemaker, s3, BUCKET, "{}", values).values["Champion"]


@pytest.fixture
def version(s3):
    return lambda sagemaker, values=VALUES: derived.complete(sagemaker, s3, BUCKET, "{}", values)


def test_while_nothing_is_approved_the_champion_is_an_object_of_one_byte(s3, champion):
    assert champion(registry(approved=False)) == NOBODY
    assert champion(registry(approved=False)) == NOBODY
    (item,) = s3.list_objects_v2(Bucket=BUCKET, Prefix="champion/none")["Contents"]
    assert item["Size"] == 1


def test_a_changed_parameter_is_compared_with_the_approved_version(champion):
    assert champion(registry(), VALUES | {"Epochs": 6}) == APPROVED


def test_changed_code_is_compared_with_the_approved_version(champion):
    assert champion(registry(definition='{"other": 1}')) == APPROVED


def test_with_nothing_changed_the_champion_is_that_of_the_version(champion):
    assert champion(registry()) == OLDER


def test_a_definition_in_another_spelling_is_the_same(champion):
    assert champion(registry(definition="{ }\n")) == OLDER


def test_a_default_that_is_written_out_changes_nothing(champion):
    assert champion(registry(), VALUES | {"MinimumAccuracy": 0.85, "Seed": "1"}) == OLDER


def test_another_commit_alone_changes_nothing(champion):
    sagemaker = registry(before=BEFORE | {"GitCommit": "a" * 40})
    assert champion(sagemaker, VALUES | {"GitCommit": "b" * 40}) == OLDER


@pytest.mark.parametrize("changed", [{"origin": "a person"}, {"before": None}, {"before": {"Epochs": "no number"}}])
def test_a_version_of_unknown_origin_is_the_champion_itself(champion, changed):
    assert champion(registry(**changed)) == APPROVED


@pytest.mark.parametrize("specification", [{}, {"Containers": [{"Image": "image"}]}])
def test_a_version_without_an_artifact_is_no_champion(s3, champion, specification):
    sagemaker = registry(versions=2)
    sagemaker.packages[2]["InferenceSpecification"] = specification
    sagemaker.decide(2, "Approved")
    assert champion(sagemaker, VALUES | {"Epochs": 6}) == APPROVED
    assert derived.champion(sagemaker, s3, BUCKET, "loadingbay") == APPROVED


def test_the_same_inputs_name_the_version_they_gave_before(version):
    found = version(registry())
    assert (found.version, found.values["RegisteredModel"]) == (FakeSageMaker.arn(1), APPROVED)


def test_the_same_inputs_name_a_version_that_is_not_approved(version):
    sagemaker = registry(approved=False, before=BEFORE | {"Champion": NOBODY})
    assert version(sagemaker).version == FakeSageMaker.arn(1)


@pytest.mark.parametrize(("versions", "found"), [(100, FakeSageMaker.arn(1)), (101, "")])
def test_the_same_inputs_name_their_version_among_the_newest_hundred(version, versions, found):
    assert version(registry(versions=versions)).version == found


@pytest.mark.parametrize(("days", "found"), [(29, FakeSageMaker.arn(1)), (31, "")])
def test_a_version_whose_steps_have_left_the_cache_is_not_looked_at(version, days, found):
    assert version(registry(created=datetime.now(UTC) - timedelta(days=days))).version == found


@pytest.mark.parametrize(
    "changed",
    [
        {"MinimumAccuracy": 0.9},
        {"ChampionTolerance": 0.1},
        {"TrainingInstanceType": "ml.c5.2xlarge", "TrainingInstanceCount": 2},
        {"ProcessingInstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 50},
    ],
)
def test_what_gives_no_other_model_names_the_same_version_and_champion(version, changed):
    found = version(registry(), VALUES | changed)
    assert (found.version, found.values["Champion"]) == (FakeSageMaker.arn(1), OLDER)


def test_a_version_newer_than_the_approved_one_is_named_in_any_case(version):
    sagemaker = registry(approved=False, versions=2, origin="a person", second=ORIGIN)
    sagemaker.decide(1, "Approved")
    assert version(sagemaker).version == FakeSageMaker.arn(2)
    sagemaker.decide(2, "Rejected")
    assert version(sagemaker).version == FakeSageMaker.arn(2)


def test_a_version_older_than_the_approved_one_is_not_named(version):
    sagemaker = registry(approved=False, versions=2)
    sagemaker.decide(2, "Approved")
    assert version(sagemaker).version == ""


def test_another_role_names_the_same_version(s3):
    ran, now = (json.dumps({"Steps": [{"Arguments": {"RoleArn": role}}]}) for role in "ab")
    assert derived.complete(registry(definition=ran), s3, BUCKET, now, VALUES).version == FakeSageMaker.arn(1)


@pytest.mark.parametrize("changed", [{"Epochs": 6}, {"TargetPrecision": 0.9}, {"Champion": "s3://bucket/9/m.tar.gz"}])
def test_other_inputs_name_no_version(version, changed):
    found = version(registry(), VALUES | changed)
    assert found.version == ""
    assert "RegisteredModel" not in found.values


def test_with_no_version_registered_none_is_named(version):
    assert version(FakeSageMaker()).version == ""
