"""What a request to SageMaker needs: actions and resources, read off the request."""

import pytest

from localcloud.api import OPERATIONS
from localcloud.iam.access import RESOURCES, Need, Place, image_needs, log_needs, needs
from localcloud.resources import load

PLACE = Place("000000000000", "us-east-1")
ARN = "arn:aws:sagemaker:us-east-1:000000000000"
ROLE = "arn:aws:iam::000000000000:role/job"
TAG = {"Key": "a", "Value": "b"}


def pairs(operation, request):
    return [(need.action.partition(":")[2], need.resource) for need in needs(operation, request, PLACE)]


def test_every_operation_has_its_resources():
    load()
    assert set(RESOURCES) == set(OPERATIONS) | {"InvokeEndpoint", "InvokeEndpointAsync", "BatchPutMetrics"}


@pytest.mark.parametrize(
    ("operation", "request_", "expected"),
    [
        ("DescribeEndpoint", {"EndpointName": "e"}, [("DescribeEndpoint", f"{ARN}:endpoint/e")]),
        ("DescribePipeline", {"PipelineName": f"{ARN}:pipeline/p"}, [("DescribePipeline", f"{ARN}:pipeline/p")]),
        ("ListEndpoints", {}, [("ListEndpoints", "*")]),
        ("ListModelPackages", {}, [("ListModelPackages", "*")]),
        (
            "ListModelPackages",
            {"ModelPackageGroupName": f"{ARN}:model-package-group/g"},
            [("ListModelPackages", f"{ARN}:model-package/g/*")],
        ),
        (
            "CreateModelPackage",
            {"ModelPackageGroupName": "g"},
            [
                ("CreateModelPackage", f"{ARN}:model-package-group/g"),
                ("CreateModelPackage", f"{ARN}:model-package/g/*"),
            ],
        ),
        (
            "UpdateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            [("UpdateEndpoint", f"{ARN}:endpoint/e"), ("UpdateEndpoint", f"{ARN}:endpoint-config/c")],
        ),
        ("AddTags", {"ResourceArn": f"{ARN}:model/m", "Tags": [TAG]}, [("AddTags", f"{ARN}:model/m")]),
    ],
)  # fmt: skip
def test_the_resources_of_a_request(operation, request_, expected):
    assert pairs(operation, request_) == expected


def test_a_role_that_is_handed_over_must_be_passed_to_sagemaker():
    wanted = needs("CreateProcessingJob", {"ProcessingJobName": "j", "RoleArn": ROLE}, PLACE)
    assert wanted[1] == Need("iam:PassRole", ROLE, {"iam:PassedToService": "sagemaker.amazonaws.com"})


def test_an_update_that_names_no_role_passes_none():
    assert pairs("UpdatePipeline", {"PipelineName": "p"}) == [("UpdatePipeline", f"{ARN}:pipeline/p")]


@pytest.mark.parametrize(
    ("operation", "request_", "tagged"),
    [
        ("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, "endpoint/e"),
        ("CreateModelPackage", {"ModelPackageGroupName": "g"}, "model-package/g/*"),
    ],
)
def test_tags_are_added_to_what_is_created_and_to_nothing_else(operation, request_, tagged):
    found = [n for n in needs(operation, {**request_, "Tags": [TAG]}, PLACE) if "AddTags" in n.action]
    assert [(need.resource, need.keys["aws:RequestTag/a"]) for need in found] == [(f"{ARN}:{tagged}", "b")]


def test_what_the_operation_names_itself_may_be_tagged():
    request = {"Source": {"SourceUri": "s3://a/b"}, "ArtifactType": "data", "Tags": [TAG]}
    assert pairs("CreateArtifact", request) == [("CreateArtifact", "*"), ("AddTags", "*")]


def test_a_request_that_names_nothing_can_be_judged():
    load()
    for operation in OPERATIONS:
        assert pairs(operation, {"Tags": [TAG]})


def test_a_model_made_of_a_package_reads_that_package():
    request = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"ModelPackageName": "g/1"}}
    assert pairs("CreateModel", request) == [
        ("CreateModel", f"{ARN}:model/m"), ("PassRole", ROLE), ("DescribeModelPackage", f"{ARN}:model-package/g/1"),
    ]  # fmt: skip


def test_an_image_of_a_private_registry_is_pulled_from_its_repository():
    wanted = image_needs("000000000000.dkr.ecr.us-east-1.amazonaws.com/bay@sha256:" + "0" * 64)
    repository = "arn:aws:ecr:us-east-1:000000000000:repository/bay"
    assert wanted[0] == Need("ecr:GetAuthorizationToken", "*")
    assert {need.resource for need in wanted[1:]} == {repository}


@pytest.mark.parametrize("image", [None, "image", "public.ecr.aws/docker/library/python:3.11"])
def test_another_image_needs_nothing(image):
    assert image_needs(image) == []


def test_a_log_is_a_group_and_a_stream():
    group = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/TrainingJobs"
    assert {need.action: need.resource for need in log_needs("/aws/sagemaker/TrainingJobs", "job/algo-1", PLACE)} == {
        "logs:CreateLogGroup": group,
        "logs:DescribeLogStreams": group,
        "logs:CreateLogStream": f"{group}:log-stream:job/algo-1",
        "logs:PutLogEvents": f"{group}:log-stream:job/algo-1",
    }
