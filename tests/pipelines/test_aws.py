"""What is asked of AWS in one place: missing things, S3 addresses, approved versions over all pages."""

import pytest
from botocore.exceptions import ClientError

from pipelines import aws
from tests.fakes.fake_sagemaker import FakeSageMaker, refusal


@pytest.mark.parametrize("code", ["ResourceNotFound", "ResourceNotFoundException", "ValidationException"])
def test_a_group_that_does_not_exist_has_no_versions(code):
    sagemaker = FakeSageMaker()

    def refuse(**_):
        raise refusal("ListModelPackages", "ModelPackageGroup x does not exist.", code)

    sagemaker.list_model_packages = refuse
    assert aws.packages(sagemaker, "x") == []


def test_a_refusal_is_not_taken_for_a_missing_group():
    sagemaker = FakeSageMaker()

    def refuse(**_):
        raise refusal("ListModelPackages", "not yours", "AccessDeniedException")

    sagemaker.list_model_packages = refuse
    with pytest.raises(ClientError, match="not yours"):
        aws.packages(sagemaker, "x")


def test_approved_versions_come_from_all_pages_highest_number_first():
    sagemaker = FakeSageMaker()
    for _ in range(4):
        sagemaker.register()
    for version in (2, 4, 1):
        sagemaker.decide(version, "Approved")
    numbers = [item["ModelPackageVersion"] for item in aws.approved_packages(sagemaker, "loadingbay")]
    assert numbers == [4, 2, 1]


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://b/k/e/y.png", ("b", "k/e/y.png")),
        ("s3://b", ("b", "")),
        ("s3://b/", ("b", "")),
        ("s3://b/a?#b", ("b", "a?#b")),
    ],
)
def test_an_s3_address_is_bucket_and_key(uri, parts):
    assert aws.split_s3(uri) == parts


@pytest.mark.parametrize("text", ["", "s3://", "s3:///k", "https://b/k", "b/k"])
def test_what_is_no_s3_address_is_refused_with_its_text(text):
    with pytest.raises(ValueError, match="must be an S3 address"):
        aws.split_s3(text)
