"""A cloud without --image-env: an image that no rule matches is refused when the pipeline or the job is created."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.images.catalog import find, known_rules
from tests.localcloud.conftest import start_cloud

ROLE = "arn:aws:iam::000000000000:role/any"
ARGUMENTS = {
    "RoleArn": ROLE,
    "AppSpecification": {"ImageUri": "somebody/churn:1", "ContainerEntrypoint": ["python3", "-c", "1"]},
    "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}},
}


@pytest.fixture(scope="module")
def sagemaker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a cloud whose user has a rule for the image `mine`, and an existing environment for it."""
    folder = tmp_path_factory.mktemp("images")
    environment = Path(__file__).parents[3] / ".venv"
    (folder / "images.toml").write_text(
        f"[[image]]\nname = 'mine'\npattern = 'mine'\nenvironment = '{environment}'\n"
        f"[[image]]\nname = 'own'\npattern = 'own:.*'\nenvironment = '{environment}'\n"
        "entrypoint = ['python3', '-c', '1']\n"
    )
    running = start_cloud(folder / "home", None, None, "--images", str(folder / "images.toml"))
    yield running.client("sagemaker")
    assert running.stop() == 0, running.log()


def test_a_job_of_an_unknown_image_is_refused(sagemaker: Any) -> None:
    with pytest.raises(ClientError, match=r"(?s)no environment for .*churn:1'.*\[\[image\]\]") as error:
        sagemaker.create_processing_job(ProcessingJobName="unknown-image", **ARGUMENTS)

    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_pipeline_with_an_unknown_image_is_refused(sagemaker: Any) -> None:
    assert_refused(sagemaker, {"Name": "Prepare", "Type": "Processing", "Arguments": ARGUMENTS})


def test_a_pipeline_that_makes_a_model_of_an_unknown_image_is_refused(sagemaker: Any) -> None:
    model = {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "somebody/churn:1"}}
    assert_refused(sagemaker, {"Name": "Prepare", "Type": "Model", "Arguments": model})


def test_a_model_of_an_unknown_image_is_refused_with_a_rule(sagemaker: Any) -> None:
    with pytest.raises(ClientError, match=r"(?s)no environment for .*churn:1'.*\[\[image\]\]"):
        sagemaker.create_model(
            ModelName="unknown-image", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "somebody/churn:1"}
        )
    sagemaker.create_model(ModelName="known-image", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "mine"})


def assert_refused(sagemaker: Any, step: dict[str, Any]) -> None:
    """A pipeline of the step is refused with the step's name and the image's address."""
    definition = json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": [step]})

    with pytest.raises(ClientError, match=r"(?s)Prepare.*no environment for the image 'somebody/churn:1'"):
        sagemaker.create_pipeline(
            PipelineName="unknown-image", PipelineDefinition=definition, RoleArn=ROLE, ClientRequestToken="t" * 32
        )


def test_a_job_runs_in_the_environment_of_its_image(sagemaker: Any) -> None:
    code = "import os, sys; sys.exit(0 if os.environ['LOCALCLOUD_IMAGE'] == 'mine' else 'another image')"
    app = {"ImageUri": "mine", "ContainerEntrypoint": ["python3", "-c", code]}
    sagemaker.create_processing_job(ProcessingJobName="known-image", **{**ARGUMENTS, "AppSpecification": app})

    sagemaker.get_waiter("processing_job_completed_or_stopped").wait(
        ProcessingJobName="known-image", WaiterConfig={"Delay": 1}
    )
    job = sagemaker.describe_processing_job(ProcessingJobName="known-image")
    assert job["ProcessingJobStatus"] == "Completed", job


def test_an_image_of_ones_own_runs_the_entry_point_of_its_rule(sagemaker: Any) -> None:
    request = {**ARGUMENTS, "AppSpecification": {"ImageUri": "own:1"}}
    sagemaker.create_processing_job(ProcessingJobName="own-entry-point", **request)

    sagemaker.get_waiter("processing_job_completed_or_stopped").wait(
        ProcessingJobName="own-entry-point", WaiterConfig={"Delay": 1}
    )
    job = sagemaker.describe_processing_job(ProcessingJobName="own-entry-point")
    assert job["ProcessingJobStatus"] == "Completed", job


def test_a_pipeline_whose_entry_point_is_unknown_is_refused_with_a_rule(sagemaker: Any, tmp_path: Path) -> None:
    steps = [
        {"Name": "Prepare", "Type": "Processing", "Arguments": {**ARGUMENTS, "AppSpecification": {"ImageUri": "mine"}}}
    ]
    definition = json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": steps})

    with pytest.raises(ClientError, match="own entry point, here of 'mine'") as error:
        sagemaker.create_pipeline(
            PipelineName="no-entry-point", PipelineDefinition=definition, RoleArn=ROLE, ClientRequestToken="t" * 32
        )

    own = tmp_path / "images.toml"
    own.write_text("[[image]]" + error.value.response["Error"]["Message"].partition("[[image]]")[2])
    assert find(known_rules(own), "mine").entrypoint
