"""Promotion: the same artifact and figures in the other stage, once, and never what was refused there."""

import boto3
import pytest
from moto import mock_aws

from pipelines.promote import NEWEST, PromotionError, Stage
from pipelines.promote import promote as promote_stage

STAGING, PRODUCTION = "staging", "production"
OWNER = "123456789012"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/staging@sha256:" + "0" * 64


@pytest.fixture(autouse=True)
def account(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


@pytest.fixture
def s3():
    """The buckets of two stages, with the files of a version in the first."""
    client = boto3.client("s3")
    for name in ("staging-bucket", "production-bucket"):
        client.create_bucket(Bucket=name)
    for key, body in {
        "train/model.tar.gz": b"weights",
        "evaluate/evaluation.json": b"{}",
        "evaluate/statistics.json": b"{}",
        "evaluate/verification/bicycle-1.png": b"png",
        "evaluated-elsewhere/other.json": b"no",
    }.items():
        client.put_object(Bucket="staging-bucket", Key=key, Body=body)
    return client


@pytest.fixture
def sagemaker():
    """The groups of two stages on moto's SageMaker."""
    client = boto3.client("sagemaker")
    for name in ("staging", "production"):
        client.create_model_package_group(ModelPackageGroupName=name)

    def keep(params, **_):
        """An update that names no metadata leaves them; moto drops them."""
        known = client.describe_model_package(ModelPackageName=params["ModelPackageArn"])
        params.setdefault("CustomerMetadataProperties", known.get("CustomerMetadataProperties", {}))

    client.meta.events.register("before-parameter-build.sagemaker.UpdateModelPackage", keep)
    return client


def register(sagemaker, approval="Approved", **metadata):
    """Register a version in the first stage; its ARN."""
    baselines = {
        kind: {"Statistics": {"ContentType": "application/json", "S3Uri": f"s3://staging-bucket/evaluate/{name}.json"}}
        for kind, name in (("ModelQuality", "evaluation"), ("ModelDataQuality", "statistics"))
    }
    return sagemaker.create_model_package(
        ModelPackageGroupName="staging",
        ModelApprovalStatus=approval,
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://staging-bucket/train/model.tar.gz"}],
            "SupportedContentTypes": ["image/png"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        ModelMetrics=baselines,
        DriftCheckBaselines=baselines,
        CustomerMetadataProperties={"threshold": "0.83", "verification": "passed", **metadata},
    )["ModelPackageArn"]


def promote(sagemaker, s3, origin=STAGING, goal=PRODUCTION, wanted=NEWEST):
    return promote_stage(
        Stage(origin, OWNER, sagemaker, s3), Stage(goal, OWNER, sagemaker, s3), f"{goal}-bucket", wanted
    )


def described(sagemaker, arn):
    return sagemaker.describe_model_package(ModelPackageName=arn)


def test_the_other_stage_gets_the_same_image_artifact_and_figures(sagemaker, s3):
    origin = register(sagemaker)
    done = promote(sagemaker, s3)
    assert (done.origin, done.new) == (origin, True)
    made = described(sagemaker, done.arn)
    (container,) = made["InferenceSpecification"]["Containers"]
    assert made["ModelPackageGroupName"] == "production"
    assert made["ModelApprovalStatus"] == "Approved"
    assert made["ApprovalDescription"] == f"promoted from {origin}"
    assert container["Image"] == IMAGE
    assert made["CustomerMetadataProperties"] == {"threshold": "0.83", "promoted_from": origin}
    key = container["ModelDataUrl"].removeprefix("s3://production-bucket/")
    assert s3.get_object(Bucket="production-bucket", Key=key)["Body"].read() == b"weights"


def test_the_evaluation_comes_whole_with_the_photos_to_verify_with(sagemaker, s3):
    register(sagemaker)
    made = described(sagemaker, promote(sagemaker, s3).arn)
    address = made["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    folder = address.removeprefix("s3://production-bucket/").removesuffix("evaluation.json")
    there = [item["Key"] for item in s3.list_objects_v2(Bucket="production-bucket")["Contents"]]
    assert sorted(key for key in there if key.startswith(folder)) == [
        f"{folder}evaluation.json",
        f"{folder}statistics.json",
        f"{folder}verification/bicycle-1.png",
    ]
    assert len(there) == 4  # and the artifact


def test_what_the_stream_is_compared_with_comes_too(sagemaker, s3):
    register(sagemaker)
    made = described(sagemaker, promote(sagemaker, s3).arn)
    for member in ("ModelMetrics", "DriftCheckBaselines"):
        places = {kind: said["Statistics"]["S3Uri"] for kind, said in made[member].items()}
        assert set(places) == {"ModelQuality", "ModelDataQuality"}
        for address in places.values():
            assert s3.get_object(Bucket="production-bucket", Key=address.removeprefix("s3://production-bucket/"))


def test_what_the_first_stage_noted_about_its_own_deployment_stays_there(sagemaker, s3):
    register(sagemaker, verified_as="staging-v1-0123", verification="passed", approved_by="somebody")
    made = described(sagemaker, promote(sagemaker, s3).arn)
    assert set(made["CustomerMetadataProperties"]) == {"threshold", "promoted_from"}


def test_promoting_twice_registers_one_version(sagemaker, s3):
    register(sagemaker)
    first = promote(sagemaker, s3)
    again = promote(sagemaker, s3)
    assert (again.arn, again.new) == (first.arn, False)
    listed = sagemaker.list_model_packages(ModelPackageGroupName="production")["ModelPackageSummaryList"]
    assert len(listed) == 1


def test_a_promotion_cut_off_before_approval_is_finished_by_the_next(sagemaker, s3, monkeypatch):
    register(sagemaker)
    with monkeypatch.context() as cut:
        cut.setattr(sagemaker, "update_model_package", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            promote(sagemaker, s3)
    done = promote(sagemaker, s3)
    assert not done.new
    assert described(sagemaker, done.arn)["ModelApprovalStatus"] == "Approved"


def _interrupt(**_):
    raise KeyboardInterrupt


def test_what_the_other_stage_rejected_is_not_approved_there_again(sagemaker, s3):
    register(sagemaker)
    done = promote(sagemaker, s3)
    sagemaker.update_model_package(
        ModelPackageArn=done.arn, ModelApprovalStatus="Rejected", ApprovalDescription="too slow here"
    )
    with pytest.raises(PromotionError, match="rejected there: too slow here"):
        promote(sagemaker, s3)


def test_only_what_is_approved_is_promoted(sagemaker, s3):
    register(sagemaker, approval="PendingManualApproval")
    with pytest.raises(PromotionError, match="no version of staging is approved"):
        promote(sagemaker, s3)


@pytest.mark.parametrize(("noted", "told"), [("trying", "trying"), ("failed", "failed")])
def test_a_version_that_has_not_passed_its_verification_is_not_promoted(sagemaker, s3, noted, told):
    register(sagemaker, verification=noted)
    with pytest.raises(PromotionError, match=f"verification in its own stage says {told}"):
        promote(sagemaker, s3)


def test_a_stage_is_not_promoted_to_itself(sagemaker, s3):
    with pytest.raises(PromotionError, match="staging cannot be promoted to itself"):
        promote(sagemaker, s3, STAGING, STAGING)


def test_both_buckets_must_be_the_accounts_own(sagemaker, s3):
    register(sagemaker)
    seen = []
    for operation in ("GetObject", "ListObjectsV2", "PutObject"):
        s3.meta.events.register(
            f"before-parameter-build.s3.{operation}", lambda params, model, **_: seen.append((model.name, dict(params)))
        )
    promote(sagemaker, s3)
    assert {name for name, _ in seen} == {"GetObject", "ListObjectsV2", "PutObject"}
    assert {params.get("ExpectedBucketOwner") for _, params in seen} == {OWNER}


def test_the_wanted_version_is_promoted_though_a_newer_one_is_approved(sagemaker, s3):
    asked = register(sagemaker)
    register(sagemaker)
    assert promote(sagemaker, s3, wanted=asked).origin == asked


def test_a_version_that_was_rejected_since_the_question_is_not_promoted(sagemaker, s3):
    asked = register(sagemaker, approval="Rejected")
    register(sagemaker)
    with pytest.raises(PromotionError, match="is Rejected, not Approved, since the question was asked"):
        promote(sagemaker, s3, wanted=asked)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("arn:aws:sagemaker:us-east-1:123456789012:model-package/other/1", "is no version of staging"), ("7", "`newest`")],
)
def test_the_version_of_another_group_is_refused(sagemaker, s3, wanted, said):
    with pytest.raises(PromotionError, match=said):
        promote(sagemaker, s3, wanted=wanted)


def test_a_version_goes_to_another_account_read_there_and_written_here(sagemaker, s3):
    register(sagemaker)
    role = boto3.client("sts").assume_role(RoleArn="arn:aws:iam::222222222222:role/build", RoleSessionName="build")
    keys = {
        "aws_access_key_id": role["Credentials"]["AccessKeyId"],
        "aws_secret_access_key": role["Credentials"]["SecretAccessKey"],
        "aws_session_token": role["Credentials"]["SessionToken"],
    }
    there_sagemaker, there_s3 = boto3.client("sagemaker", **keys), boto3.client("s3", **keys)
    there_sagemaker.create_model_package_group(ModelPackageGroupName="staging")
    there_s3.create_bucket(Bucket="bucket-of-the-other-account")
    asked, told = [], []
    for client, seen in ((s3, asked), (there_s3, told)):
        client.meta.events.register(
            "before-parameter-build.s3", lambda params, model, seen=seen, **_: seen.append((model.name, dict(params)))
        )

    origin = Stage("staging", OWNER, sagemaker, s3)
    goal = Stage("staging", "222222222222", there_sagemaker, there_s3)
    done = promote_stage(origin, goal, "bucket-of-the-other-account")

    assert done.arn.split(":")[4:] == ["222222222222", "model-package/staging/1"], (
        "the same name is another stage there"
    )
    assert {params["ExpectedBucketOwner"] for _, params in asked} == {OWNER}
    assert {(name, params["ExpectedBucketOwner"]) for name, params in told} == {("PutObject", "222222222222")}
    made = described(there_sagemaker, done.arn)
    (container,) = made["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == f"s3://bucket-of-the-other-account/promoted/{OWNER}/staging/1/model.tar.gz"
    assert container["Image"] == IMAGE, "the very image of the other account's repository"


def test_the_arn_names_account_and_group_of_the_stage(sagemaker, s3):
    stage = Stage("staging", "222222222222", sagemaker, s3)
    assert stage.group_arn == "arn:aws:sagemaker:us-east-1:222222222222:model-package-group/staging"
    with pytest.raises(PromotionError, match="in account 222222222222"):
        promote_stage(stage, Stage("production", OWNER, sagemaker, s3), "b", register(sagemaker))
