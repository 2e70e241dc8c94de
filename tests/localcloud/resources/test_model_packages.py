"""The registry: groups, versions, approval, and the events of it."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def sagemaker(cloud: Any) -> Any:
    return cloud.client("sagemaker")


@pytest.fixture
def group(sagemaker: Any, request: pytest.FixtureRequest) -> str:
    name = request.node.name.replace("_", "-")[:60].strip("-")
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    return name


def specification(url: str = "s3://bucket/model.tar.gz") -> dict[str, Any]:
    """An InferenceSpecification of the artifact at `url`."""
    return {
        "Containers": [{"Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/loadingbay:1", "ModelDataUrl": url}],
        "SupportedContentTypes": ["image/png"],
        "SupportedResponseMIMETypes": ["application/json"],
    }


def register(sagemaker: Any, group: str, **members: Any) -> str:
    """Register a version in the group; its ARN."""
    answer = sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification=specification(), **members
    )
    arn: str = answer["ModelPackageArn"]
    return arn


def test_versions_are_numbered_and_wait_for_approval(sagemaker: Any, group: str) -> None:
    arns = [register(sagemaker, group) for _ in range(2)]

    assert [arn.rpartition(f"{group}/")[2] for arn in arns] == ["1", "2"]
    package = sagemaker.describe_model_package(ModelPackageName=arns[1])
    assert package["ModelPackageVersion"] == 2
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["ModelPackageStatus"] == "Completed"
    assert package["InferenceSpecification"] == specification()


def test_a_deleted_version_number_is_not_given_again(sagemaker: Any, group: str) -> None:
    sagemaker.delete_model_package(ModelPackageName=register(sagemaker, group))

    assert register(sagemaker, group).endswith("/2")


def test_approval_changes_status_description_and_author(sagemaker: Any, group: str) -> None:
    arn = register(sagemaker, group)

    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good")

    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert (package["ModelApprovalStatus"], package["ApprovalDescription"]) == ("Approved", "good")
    assert package["LastModifiedTime"] >= package["CreationTime"]
    assert package["LastModifiedBy"]["IamIdentity"]["Arn"]


def test_metadata_properties_are_merged_and_removed_by_key(sagemaker: Any, group: str) -> None:
    arn = register(sagemaker, group, CustomerMetadataProperties={"a": "1", "b": "2"})

    sagemaker.update_model_package(
        ModelPackageArn=arn,
        CustomerMetadataProperties={"b": "3", "c": "4"},
        CustomerMetadataPropertiesToRemove=["a", "absent"],
    )

    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["CustomerMetadataProperties"] == {"b": "3", "c": "4"}


def test_more_than_fifty_metadata_properties_are_refused(sagemaker: Any, group: str) -> None:
    arn = register(sagemaker, group, CustomerMetadataProperties={f"k{n}": "v" for n in range(50)})

    with pytest.raises(ClientError, match=r"50 CustomerMetadataProperties, not 51"):
        sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"one-more": "v"})


def test_a_client_token_sent_twice_registers_once(sagemaker: Any, group: str) -> None:
    first, second = (register(sagemaker, group, ClientToken="the-same") for _ in range(2))

    assert first == second


def test_versions_are_listed_by_status_newest_first_in_pages(sagemaker: Any, group: str) -> None:
    arns = [register(sagemaker, group) for _ in range(12)]
    for arn in arns[::2]:
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, ModelApprovalStatus="Approved", PaginationConfig={"PageSize": 4}
    )

    listed = [[summary["ModelPackageVersion"] for summary in page["ModelPackageSummaryList"]] for page in pages]
    assert listed == [[11, 9, 7, 5], [3, 1]]


def test_a_page_is_not_shifted_by_a_version_registered_meanwhile(sagemaker: Any, group: str) -> None:
    for _ in range(4):
        register(sagemaker, group)
    first = sagemaker.list_model_packages(ModelPackageGroupName=group, MaxResults=2)

    register(sagemaker, group)
    second = sagemaker.list_model_packages(ModelPackageGroupName=group, MaxResults=2, NextToken=first["NextToken"])

    assert [p["ModelPackageVersion"] for p in second["ModelPackageSummaryList"]] == [2, 1]


def test_a_made_up_token_is_refused(sagemaker: Any, group: str) -> None:
    with pytest.raises(ClientError, match="NextToken is not one that this list gave"):
        sagemaker.list_model_packages(ModelPackageGroupName=group, NextToken="made-up")


def test_a_group_with_versions_is_not_deleted(sagemaker: Any, group: str) -> None:
    register(sagemaker, group)

    with pytest.raises(ClientError) as error:
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)

    assert error.value.response["Error"]["Code"] == "ConflictException"


def test_what_is_not_there_is_named_by_arn(sagemaker: Any) -> None:
    with pytest.raises(ClientError) as error:
        sagemaker.describe_model_package_group(ModelPackageGroupName="absent")

    arn = "arn:aws:sagemaker:us-east-1:000000000000:model-package-group/absent"
    assert error.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": f"ModelPackageGroup {arn} does not exist.",
    }


def told(cloud: Any, group: str, count: int, change: Any) -> list[dict[str, Any]]:
    """The events of a group that `change()` makes, once there are `count`."""
    events, sqs = cloud.client("events"), cloud.client("sqs")
    queue = sqs.create_queue(QueueName=group)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group]},
    }
    events.put_rule(Name=group, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=group, Targets=[{"Id": "1", "Arn": arn}])
    change()
    messages: list[dict[str, Any]] = []
    while len(messages) < count:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages")
        assert received, "no event arrived"
        messages += [json.loads(message["Body"]) for message in received]
    return messages


def test_registering_and_approving_put_events_in_the_documented_shape(cloud: Any, sagemaker: Any, group: str) -> None:
    def change() -> None:
        sagemaker.update_model_package(ModelPackageArn=register(sagemaker, group), ModelApprovalStatus="Approved")

    messages = told(cloud, group, 2, change)

    by_status = {message["detail"]["ModelApprovalStatus"]: message for message in messages}
    approved = by_status["Approved"]
    detail = approved["detail"]
    assert set(by_status) == {"PendingManualApproval", "Approved"}
    assert approved["source"] == "aws.sagemaker"
    assert approved["resources"] == [detail["ModelPackageArn"]]
    assert (detail["ModelPackageVersion"], detail["ModelPackageStatus"]) == (1, "Completed")
    assert detail["UpdatedModelPackageFields"] == ["ModelApprovalStatus"]
    assert detail["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == "s3://bucket/model.tar.gz"


def test_an_update_of_metadata_is_told_with_what_it_changed(cloud: Any, sagemaker: Any, group: str) -> None:
    arn = register(sagemaker, group, CustomerMetadataProperties={"old": "1"})

    def change() -> None:
        sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"note": "1"})
        sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["old"])

    for message in told(cloud, group, 2, change):
        assert message["detail"]["UpdatedModelPackageFields"] == ["CustomerMetadataProperties"]
        assert message["detail"]["ModelApprovalStatus"] == "PendingManualApproval"


def test_the_card_of_a_version_must_be_a_json_object(sagemaker: Any, group: str) -> None:
    arn = register(sagemaker, group)
    for content in ("{", "[]", "[" * 50_000, "NaN"):
        card = {"ModelCardContent": content, "ModelCardStatus": "Draft"}
        with pytest.raises(ClientError, match="JSON"):
            register(sagemaker, group, ModelCard=card)
        with pytest.raises(ClientError, match="JSON"):
            sagemaker.update_model_package(ModelPackageArn=arn, ModelCard=card)


def test_a_card_with_uses_that_are_none_can_be_described(sagemaker: Any, group: str) -> None:
    card = {"ModelCardContent": '{"intended_uses": []}', "ModelCardStatus": "Draft"}
    arn = register(sagemaker, group, ModelCard=card)
    described = sagemaker.describe_model_package(ModelPackageName=arn, IncludedData="MetadataOnly")
    assert described["ModelCard"]["ModelCardContent"] == "{}"


def test_the_policy_of_a_group_is_kept_until_it_is_deleted(sagemaker: Any, group: str) -> None:
    for text in ("{", "[" * 10_000):
        with pytest.raises(ClientError, match="is not JSON"):
            sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=text)
    sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy='{"Statement": []}')
    kept = sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"]
    assert kept == '{"Statement": []}'
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="Cannot find resource policy for: arn:aws:sagemaker:") as error:
        sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_tags_are_added_listed_and_deleted(sagemaker: Any, group: str) -> None:
    arn = sagemaker.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]

    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "bays"}, {"Key": "stage", "Value": "test"}])
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])

    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "test"}]


def test_keys_that_tags_cannot_have_are_refused(sagemaker: Any, group: str) -> None:
    arn = sagemaker.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]
    for keys, words in (("a", "A"), "Duplicate tag keys found"), (("AWS:a",), "'AWS:a' begins with aws:"):
        tags = [{"Key": key, "Value": "x"} for key in keys]
        with pytest.raises(ClientError, match=words):
            sagemaker.add_tags(ResourceArn=arn, Tags=tags)
        with pytest.raises(ClientError, match=words):
            sagemaker.create_model_package_group(ModelPackageGroupName=f"{group}-b", Tags=tags)


def test_several_versions_are_described_at_once(sagemaker: Any, group: str) -> None:
    there = register(sagemaker, group)
    gone = f"{there.rpartition('/')[0]}/99"
    answer = sagemaker.batch_describe_model_package(ModelPackageArnList=[there, gone])
    assert answer["ModelPackageSummaries"][there]["InferenceSpecification"]["Containers"]
    assert answer["BatchDescribeModelPackageErrorMap"][gone]["ErrorCode"] == "ValidationException"


def test_tags_of_something_absent_are_refused(sagemaker: Any) -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:model-package-group/absent"

    with pytest.raises(ClientError, match=r"Could not find resource .*absent"):
        sagemaker.list_tags(ResourceArn=arn)


def test_a_version_takes_no_tags(sagemaker: Any, group: str) -> None:
    with pytest.raises(ClientError, match="Tags are not supported on versioned model packages"):
        register(sagemaker, group, Tags=[{"Key": "team", "Value": "bays"}])
    with pytest.raises(ClientError, match="Tags are not supported on versioned model packages"):
        sagemaker.add_tags(ResourceArn=register(sagemaker, group), Tags=[{"Key": "team", "Value": "bays"}])


def test_a_single_package_takes_tags_and_a_status(sagemaker: Any, group: str) -> None:
    arn = sagemaker.create_model_package(
        ModelPackageName=f"{group}-one",
        InferenceSpecification=specification(),
        ModelApprovalStatus="Approved",
        Tags=[{"Key": "team", "Value": "bays"}],
    )["ModelPackageArn"]

    assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] == "Approved"
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "bays"}]


def test_a_summary_of_a_version_has_no_name(sagemaker: Any, group: str) -> None:
    register(sagemaker, group)

    (summary,) = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]

    assert "ModelPackageName" not in summary
    assert (summary["ModelPackageGroupName"], summary["ModelPackageVersion"]) == (group, 1)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({}, "Missing ARN."),
        (
            {"ModelPackageName": "a", "ModelPackageGroupName": "b"},
            "Both ModelPackageName and ModelPackageGroupName are provided in the input.",
        ),
        ({"ModelPackageGroupName": "absent"}, "Model Package Group does not exist."),
    ],
)
def test_a_package_needs_one_name_or_one_group(sagemaker: Any, names: dict[str, str], words: str) -> None:
    with pytest.raises(ClientError, match=words) as error:
        sagemaker.create_model_package(InferenceSpecification=specification(), **names)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_times_are_told_to_the_millisecond(sagemaker: Any, group: str) -> None:
    created = sagemaker.describe_model_package_group(ModelPackageGroupName=group)["CreationTime"]

    assert created.microsecond % 1000 == 0


def test_only_a_single_package_is_certified_for_the_marketplace(sagemaker: Any, group: str) -> None:
    version = register(sagemaker, group, CertifyForMarketplace=True)
    sagemaker.create_model_package(ModelPackageName="certified", CertifyForMarketplace=True)

    certified = [
        sagemaker.describe_model_package(ModelPackageName=name).get("CertifyForMarketplace")
        for name in (version, "certified")
    ]
    assert certified == [None, True]
