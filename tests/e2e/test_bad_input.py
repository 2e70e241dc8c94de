"""What is wrong is said in a sentence, and nothing is lost."""

import io
import json
import socket
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loadingbay.serving.photos import FOR_REVIEW
from tests.e2e.conftest import QUICK
from tests.waiting import soon


@pytest.fixture(scope="module")
def photo(bay: Any, story: dict[str, Any]) -> Image.Image:
    assert story["endpoint_name"]
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8))


def _classify(bay: Any, path: Path) -> dict[str, Any]:
    return json.loads(bay.cli("classify", "--json", path, check=False).stdout)[0]


@pytest.mark.aws
@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "RGBA"])
def test_a_photo_in_any_colour_mode_gets_an_answer(bay: Any, photo: Image.Image, tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("photo.jpg" if mode in {"CMYK", "L"} else "photo.png")
    photo.convert(mode).save(path)
    outcome = _classify(bay, path)
    assert outcome["status"] == "SUCCEEDED" or outcome["error"] in FOR_REVIEW


@pytest.mark.aws
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.png", b"this is no photo"),
        ("empty.png", b""),
        ("broken.jpg", b"\xff\xd8\xff\xe0" + b"\0" * 200),
        ("large.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 20_000_000),
    ],
)
def test_what_is_no_photo_fails_by_name(
    bay: Any, story: dict[str, Any], tmp_path: Path, name: str, content: bytes
) -> None:
    assert story["endpoint_name"]
    (tmp_path / name).write_bytes(content)
    done = bay.cli("classify", "--json", tmp_path / name, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if done.stdout:  # refused by a Lambda, or before the upload
        assert json.loads(done.stdout)[0]["error"] not in {None, *FOR_REVIEW, "States.TaskFailed"}
    else:
        assert name in done.stderr


def test_a_missed_gate_says_which_figure_it_was_and_registers_nothing(bay: Any, story: dict[str, Any]) -> None:
    before = set(bay.versions())
    done = bay.cli("run", "--data", bay.data, *QUICK, "--minimum-accuracy", "1.0", check=False)
    assert done.returncode == 1
    assert str(story["accuracy"]) in done.stdout + done.stderr
    assert "accuracy" in done.stderr
    assert set(bay.versions()) == before


def test_a_parameter_out_of_range_is_refused_before_anything_starts(bay: Any) -> None:
    done = bay.cli("run", "--data", bay.data, "--epochs", "0", check=False)
    assert done.returncode == 2
    assert "--epochs 0" in done.stderr


def test_a_class_that_the_archive_lacks_fails_staging_with_a_sentence(bay: Any) -> None:
    done = bay.cli("run", "--data", bay.data, "--classes", "bicycle,unicycle", check=False)
    assert done.returncode == 1
    assert "unicycle" in done.stderr


def test_a_training_script_that_raises_fails_the_step_with_its_last_line(bay: Any, story: dict[str, Any]) -> None:
    sagemaker, s3 = bay.client("sagemaker"), bay.client("s3")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        code = b"raise RuntimeError('the loss went to the moon')\n"
        member = tarfile.TarInfo("train.py")
        member.size = len(code)
        tar.addfile(member, io.BytesIO(code))
    outputs = bay.outputs()
    s3.put_object(Bucket=outputs["BucketName"], Key="code/raises/sourcedir.tar.gz", Body=packed.getvalue())
    definition = json.loads(sagemaker.describe_pipeline(PipelineName="loadingbay")["PipelineDefinition"])
    for step in definition["Steps"]:
        if step["Name"] == "Train":
            uri = f"s3://{outputs['BucketName']}/code/raises/sourcedir.tar.gz"
            step["Arguments"]["HyperParameters"]["sagemaker_submit_directory"] = uri
    sagemaker.create_pipeline(PipelineName="raising", PipelineDefinition=json.dumps(definition),
                              RoleArn=outputs["PipelineRoleArn"], ClientRequestToken="r" * 32)  # fmt: skip
    parameters = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=story["pipeline_execution_arn"])
    started = sagemaker.start_pipeline_execution(PipelineName="raising", ClientRequestToken="s" * 32,
                                                 PipelineParameters=parameters["PipelineParameters"])  # fmt: skip
    arn = started["PipelineExecutionArn"]

    def status() -> str:
        return str(sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"])

    assert soon(lambda: status() != "Executing", bay.timeout)
    assert status() == "Failed"
    assert "the loss went to the moon" in bay.steps(arn)["Train"]["FailureReason"]


def test_a_port_in_use_is_named_with_what_to_do(bay: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = type(bay)(tmp_path, port, bay.data)
        done = other.cli("up", check=False)
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr
