"""Transform jobs over HTTP: every file goes through the model, as a job of its own and as a step."""

import io
import json
import tarfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import ROLE, Kit


@pytest.fixture
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


def model(kit: Kit) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("name")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"first"))
    url = kit.put("model.tar.gz", packed.getvalue())
    kit.sm.create_model(
        ModelName=kit.prefix, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "image", "ModelDataUrl": url}
    )
    return kit.prefix


def request(kit: Kit, **changes: Any) -> dict[str, Any]:
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

    job = kit.wait_job(kit.prefix, "transform", 60)

    assert job["TransformJobStatus"] == "Completed", job
    assert kit.keys("scores") == ["scores/a.csv.out", "scores/deep/b.csv.out"]
    answers = [json.loads(kit.get(name)) for name in kit.keys("scores")]
    assert [(one["model"], one["bytes"]) for one in answers] == [("first", 7), ("first", 5)]
    listed = kit.sm.list_transform_jobs(NameContains=kit.prefix)["TransformJobSummaries"]
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


def test_a_model_that_is_not_there_is_refused(kit: Kit) -> None:
    with pytest.raises(ClientError, match="Could not find model"):
        kit.sm.create_transform_job(TransformJobName=kit.prefix, **request(kit))


def test_a_path_that_is_not_understood_is_refused_with_the_pipeline(kit: Kit) -> None:
    arguments = request(kit, DataProcessing={"InputFilter": "$..a"})

    with pytest.raises(ClientError, match=r"'Score': DataProcessing\.InputFilter: The JSONPath '\$\.\.a'"):
        kit.pipeline({"Name": "Score", "Type": "Transform", "Arguments": arguments})
