"""Transform jobs over HTTP: every file goes through the model, as a job of its own and as a step."""

import io
import json
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import ROLE, Kit
from tests.localcloud.resources.served import artifact


@pytest.fixture
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


def container(kit: Kit, **files: str) -> dict[str, Any]:
    url = kit.put(f"{files['name']}.tar.gz", artifact(**files))
    return {"Image": "image", "ModelDataUrl": url}


def model(kit: Kit) -> str:
    kit.sm.create_model(ModelName=kit.prefix, ExecutionRoleArn=ROLE, PrimaryContainer=container(kit, name="first"))
    return kit.prefix


def request(kit: Kit, **changes: Any) -> dict[str, Any]:
    """A transform job's request over two files of CSV, with these changes."""
    kit.put("in/a.csv", "1,2\n3,4\n")
    kit.put("in/deep/b.csv", "5,6,7\n")
    return {
        "ModelName": kit.prefix,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": kit.uri("in/")}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": kit.uri("scores"), "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **changes,
    }


def test_each_file_gets_an_output_of_its_name(kit: Kit) -> None:
    model(kit)
    kit.sm.create_transform_job(TransformJobName=kit.prefix, **request(kit))

    job = kit.wait_job(kit.prefix, "transform")

    assert job["TransformJobStatus"] == "Completed", job
    assert kit.keys("scores") == ["scores/a.csv.out", "scores/deep/b.csv.out"]
    answers = [json.loads(kit.get(name)) for name in kit.keys("scores")]
    assert [(one["model"], one["bytes"]) for one in answers] == [("first", 7), ("first", 5)]
    listed = kit.sm.list_transform_jobs(NameContains=kit.prefix, MaxResults=100)["TransformJobSummaries"]
    assert [one["TransformJobStatus"] for one in listed] == ["Completed"]


def test_a_step_transforms_with_the_model_of_an_earlier_one(kit: Kit) -> None:
    name = model(kit)
    url = kit.sm.describe_model(ModelName=name)["PrimaryContainer"]["ModelDataUrl"]
    made = {
        "Name": "Make",
        "Type": "Model",
        "Arguments": {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "image", "ModelDataUrl": url}},
    }
    step = {
        "Name": "Score",
        "Type": "Transform",
        "Arguments": request(kit, ModelName={"Get": "Steps.Make.ModelName"}),
    }
    status, steps = kit.run(made, step)

    assert status == "Succeeded", steps
    assert "/pipelines-" in steps["Score"]["Metadata"]["TransformJob"]["Arn"]
    assert kit.keys("scores") == ["scores/a.csv.out", "scores/deep/b.csv.out"]


def loose_files(kit: Kit) -> dict[str, Any]:
    """A model whose files lie in S3 as they are."""
    with tarfile.open(fileobj=io.BytesIO(artifact(name="first"))) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            if file is not None:
                kit.put(f"loose/{member.name.removeprefix('./')}", file.read())
    return {"S3DataSource": {"S3Uri": kit.uri("loose/"), "S3DataType": "S3Prefix", "CompressionType": "None"}}


@pytest.mark.parametrize("form", ["files as they are", "an https address"])
def test_a_model_is_read_in_each_form_that_sagemaker_takes(kit: Kit, form: str) -> None:
    primary = container(kit, name="first")
    bucket, key = primary["ModelDataUrl"].removeprefix("s3://").split("/", 1)
    forms: dict[str, dict[str, Any]] = {
        "files as they are": {"ModelDataSource": loose_files(kit)},
        "an https address": {"ModelDataUrl": f"https://{bucket}.s3-us-east-1.amazonaws.com/{key}"},
    }
    kit.sm.create_model(ModelName=kit.prefix, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "image", **forms[form]})
    kit.sm.create_transform_job(TransformJobName=kit.prefix, **request(kit))

    job = kit.wait_job(kit.prefix, "transform")

    assert job["TransformJobStatus"] == "Completed", job
    assert json.loads(kit.get("scores/a.csv.out"))["model"] == "first"


def test_a_file_goes_through_all_containers_of_a_model(kit: Kit) -> None:
    containers = [container(kit, name="first", content_type="application/json; v=1"), container(kit, name="second")]
    kit.sm.create_model(ModelName=kit.prefix, ExecutionRoleArn=ROLE, Containers=containers)
    output = {"S3OutputPath": kit.uri("scores"), "AssembleWith": "Line", "Accept": "text/plain"}
    kit.sm.create_transform_job(TransformJobName=kit.prefix, **request(kit, TransformOutput=output))

    job = kit.wait_job(kit.prefix, "transform")

    assert job["TransformJobStatus"] == "Completed", job
    answer = json.loads(kit.get("scores/a.csv.out"))
    before = json.loads(answer["before"])
    assert (before["model"], before["content_type"], before["accept"]) == ("first", "text/csv", None)
    assert (answer["model"], answer["content_type"], answer["accept"]) == (
        "second",
        "application/json; v=1",
        "text/plain",
    )


@pytest.mark.parametrize(
    ("second", "words"),
    [({"raises": "yes"}, "the model answered 500"), ({"fail": "weights are missing"}, "weights are missing")],
)
def test_a_second_container_that_fails_ends_the_job(kit: Kit, second: dict[str, str], words: str) -> None:
    containers = [container(kit, name="first"), container(kit, name="second", **second)]
    kit.sm.create_model(ModelName=kit.prefix, ExecutionRoleArn=ROLE, Containers=containers)
    kit.sm.create_transform_job(TransformJobName=kit.prefix, **request(kit))

    job = kit.wait_job(kit.prefix, "transform")

    assert job["TransformJobStatus"] == "Failed"
    assert words in job["FailureReason"]


@pytest.mark.parametrize("kind", ["Mode MultiModel", "direct invocation"])
def test_a_model_of_which_a_job_could_name_no_part_is_refused(kit: Kit, kind: str) -> None:
    first, second = container(kit, name="first"), container(kit, name="second")
    members: dict[str, Any] = {
        "Containers": [{**first, "ContainerHostname": "a"}, {**second, "ContainerHostname": "b"}],
        "InferenceExecutionConfig": {"Mode": "Direct"},
    }
    if kind == "Mode MultiModel":
        members = {"PrimaryContainer": {"Image": "image", "ModelDataUrl": kit.uri(""), "Mode": "MultiModel"}}
    kit.sm.create_model(ModelName=kit.prefix, ExecutionRoleArn=ROLE, **members)

    with pytest.raises(ClientError, match=f"does not support a transform job with a model of {kind}"):
        kit.sm.create_transform_job(TransformJobName=kit.prefix, **request(kit))


def test_a_model_that_is_not_there_is_refused(kit: Kit) -> None:
    with pytest.raises(ClientError, match="Could not find model"):
        kit.sm.create_transform_job(TransformJobName=kit.prefix, **request(kit))


def test_more_than_100_mb_at_a_time_are_refused(kit: Kit) -> None:
    with pytest.raises(ClientError, match="MaxPayloadInMB times MaxConcurrentTransforms is 120; it cannot exceed 100"):
        kit.sm.create_transform_job(
            TransformJobName=kit.prefix, **request(kit, MaxPayloadInMB=60, MaxConcurrentTransforms=2)
        )


def test_a_path_that_is_not_understood_is_refused_with_the_pipeline(kit: Kit) -> None:
    arguments = request(kit, DataProcessing={"InputFilter": "$..a"})

    with pytest.raises(ClientError, match=r"'Score': DataProcessing\.InputFilter: The JSONPath '\$\.\.a'"):
        kit.pipeline({"Name": "Score", "Type": "Transform", "Arguments": arguments})
