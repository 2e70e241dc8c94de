"""The fake is judged by its refusals: a malformed request or answer fails the test that sends it."""

import pytest

from tests.fakes.fake_sagemaker import FakeSageMaker


@pytest.fixture
def sagemaker():
    return FakeSageMaker()


def test_a_misspelt_request_fails(sagemaker):
    with pytest.raises(AssertionError, match="EndpointNam"):
        sagemaker.describe_endpoint(EndpointNam="loadingbay")


def test_a_misspelt_answer_fails(sagemaker):
    sagemaker.answer("DescribeTrainingJob", {"SecondaryStatusTransitions": [{"Statu": "Training"}]})
    with pytest.raises(AssertionError, match=r"SecondaryStatusTransitions\[\]\.Statu"):
        sagemaker.describe_training_job(TrainingJobName="train")


def test_an_operation_without_an_answer_fails_by_name(sagemaker):
    with pytest.raises(AssertionError, match="StopTrainingJob was called"):
        sagemaker.stop_training_job(TrainingJobName="train")


def test_an_unknown_method_does_not_exist(sagemaker):
    assert not hasattr(sagemaker, "stop_everything")


def test_prepared_answers_are_paged_and_their_requests_kept(sagemaker):
    sagemaker.answer("ListImages", lambda **_: {"Images": [{"ImageName": "a"}, {"ImageName": "b"}]})
    pages = list(sagemaker.get_paginator("list_images").paginate(NameContains="x"))
    assert [image["ImageName"] for page in pages for image in page["Images"]] == ["a", "b"]
    assert sagemaker.requests("ListImages") == [{"NameContains": "x"}]


def test_no_more_items_are_paged_than_were_asked_for(sagemaker):
    sagemaker.answer("ListImages", {"Images": [{"ImageName": name} for name in "abc"]})
    pages = list(sagemaker.get_paginator("list_images").paginate(PaginationConfig={"MaxItems": 2}))
    assert [image["ImageName"] for page in pages for image in page["Images"]] == ["a", "b"]
    assert sagemaker.requests("ListImages") == [{}]


def test_versions_are_listed_newest_first_and_by_approval(sagemaker):
    for status in ("Approved", "Rejected", "Approved"):
        sagemaker.decide(sagemaker.register(), status)
    listed = sagemaker.list_model_packages(ModelPackageGroupName="loadingbay", ModelApprovalStatus="Approved")
    assert [version["ModelPackageVersion"] for version in listed["ModelPackageSummaryList"]] == [3, 1]
