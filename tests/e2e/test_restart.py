"""Ctrl-C and kill -9: the next command goes on from what was finished, and nothing acknowledged is lost."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from loadingbay.serving.photos import FOR_REVIEW
from tests.e2e.conftest import LEAST, QUICK
from tests.e2e.test_story import test_the_registered_version_says_what_it_is_made_of as _version_is_whole
from tests.waiting import soon


def _pid(bay: Any) -> int:
    return int((bay.folder / ".loadingbay" / "cloud" / "localcloud.pid").read_text().split()[0])


def test_after_kill_9_versions_and_endpoint_are_there_again(bay: Any, story: dict[str, Any], tmp_path: Path) -> None:
    versions = set(bay.versions())
    os.kill(_pid(bay), signal.SIGKILL)
    bay.cli("up")
    assert set(bay.versions()) == versions
    _version_is_whole(bay, story)
    photo = tmp_path / "again.png"
    photo.write_bytes(_a_photo(bay, story))
    (outcome,) = json.loads(bay.cli("classify", "--json", photo).stdout)
    assert outcome["status"] == "SUCCEEDED" or outcome["error"] in FOR_REVIEW


def _a_photo(bay: Any, story: dict[str, Any]) -> bytes:
    """One of the photos that Stage put aside."""
    stage = bay.steps(story["pipeline_execution_arn"])["Stage"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[1]
    described = bay.client("sagemaker").describe_processing_job(ProcessingJobName=stage)
    outputs = {o["OutputName"]: o["S3Output"]["S3Uri"] for o in described["ProcessingOutputConfig"]["Outputs"]}
    bucket, prefix = outputs["photos"].removeprefix("s3://").split("/", 1)
    s3 = bay.client("s3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    key = next(found["Key"] for found in listed if found["Key"].endswith(".png"))
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def test_after_ctrl_c_in_the_middle_the_next_run_keeps_what_was_finished(bay: Any, story: dict[str, Any]) -> None:
    assert story["model_package_arn"]
    arguments = ("run", "--data", bay.data, *QUICK, *LEAST)
    process = subprocess.Popen(
        bay.command(*arguments),
        cwd=bay.folder,
        env=bay.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    _wait_for_training(bay)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    executions = bay.client("sagemaker").list_pipeline_executions(PipelineName="loadingbay")[
        "PipelineExecutionSummaries"
    ]
    assert executions[0]["PipelineExecutionStatus"] == "Stopped"
    resumed = json.loads(bay.cli(*arguments, "--json").stdout)
    assert "CacheHitResult" in bay.steps(resumed["pipeline_execution_arn"])["Stage"]


def _wait_for_training(bay: Any) -> None:
    """Wait until a training job runs."""
    sagemaker = bay.client("sagemaker")
    running = {"StatusEquals": "InProgress", "SortOrder": "Descending"}
    assert soon(lambda: sagemaker.list_training_jobs(**running)["TrainingJobSummaries"]), "no training job started"
