"""Lineage: which data, code and image made a version, asked of a cloud that ran the jobs."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import Kit

TRAIN = "import pathlib; pathlib.Path('/opt/ml/model/weights').write_text('1')"


@pytest.fixture(scope="module")
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


@pytest.fixture(scope="module")
def version(kit: Kit) -> str:
    """A model package whose model a training job made; its ARN."""
    job = kit.wait_job(kit.training_job(TRAIN), "training")
    kit.sm.create_model_package_group(ModelPackageGroupName=kit.prefix)
    container = {"Image": "image", "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]}
    arn: str = kit.sm.create_model_package(
        ModelPackageGroupName=kit.prefix,
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    return arn


def artifact(kit: Kit, uri: str) -> str:
    (summary,) = kit.sm.list_artifacts(SourceUri=uri)["ArtifactSummaries"]
    arn: str = summary["ArtifactArn"]
    return arn


def test_a_version_leads_back_to_data_and_code(kit: Kit, version: str) -> None:
    start = artifact(kit, version)
    answer = kit.sm.query_lineage(StartArns=[start], Direction="Ascendants")
    types = {vertex["Type"] for vertex in answer["Vertices"]}
    assert types == {"ModelPackage", "Model", "Image", "Code", "DataSet", "SageMakerTrainingJob"}
    data = [v["Arn"] for v in answer["Vertices"] if v["Type"] == "DataSet"]
    assert [kit.sm.describe_artifact(ArtifactArn=a)["Source"]["SourceUri"] for a in data] == [kit.uri("data/train")]
    arns = {vertex["Arn"] for vertex in answer["Vertices"]}
    assert all({edge["SourceArn"], edge["DestinationArn"]} <= arns for edge in answer["Edges"])


def test_data_lead_forward_to_the_version_and_its_group(kit: Kit, version: str) -> None:
    start = artifact(kit, kit.uri("data/train"))
    answer = kit.sm.query_lineage(StartArns=[start], Direction="Descendants", IncludeEdges=False)
    assert [v["Type"] for v in answer["Vertices"]] == [
        "DataSet",
        "SageMakerTrainingJob",
        "Model",
        "ModelPackage",
        "ModelGroup",
    ]
    assert "Edges" not in answer or answer["Edges"] == []


def test_depth_and_filters_narrow_the_answer(kit: Kit, version: str) -> None:
    start = artifact(kit, version)
    near = kit.sm.query_lineage(StartArns=[start], Direction="Ascendants", MaxDepth=1)
    jobs = kit.sm.query_lineage(StartArns=[start], Direction="Ascendants", Filters={"LineageTypes": ["TrialComponent"]})
    assert {v["Type"] for v in near["Vertices"]} == {"ModelPackage", "Model", "Image"}
    assert [v["Type"] for v in jobs["Vertices"]] == ["SageMakerTrainingJob"]


def test_associations_are_listed_by_destination(kit: Kit, version: str) -> None:
    listed = kit.sm.list_associations(DestinationArn=artifact(kit, version))["AssociationSummaries"]
    assert {(a["SourceType"], a["AssociationType"]) for a in listed} == {
        ("Model", "ContributedTo"),
        ("Image", "ContributedTo"),
    }


def test_what_is_not_there_is_refused(kit: Kit) -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:artifact/0"
    with pytest.raises(ClientError, match="does not exist") as error:
        kit.sm.query_lineage(StartArns=[arn])
    assert error.value.response["Error"]["Code"] == "ResourceNotFound"
