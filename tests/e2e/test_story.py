"""The whole life of a model, as the first command of the README tells it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from loadingbay.serving.photos import FOR_REVIEW
from pipelines.sources import git_commit
from tests.e2e.conftest import QUICK

pytestmark = pytest.mark.aws


def test_every_part_of_the_summary_is_there(bay: Any, story: dict[str, Any]) -> None:
    assert story["data"] in {"cifar-100", "drawn samples"}
    assert 0.5 <= story["accuracy"] <= 1
    assert 0 < story["threshold"] <= 1
    assert 0 < story["coverage"] <= 1
    assert 0 < story["accepted_precision"] <= 1
    assert re.fullmatch(
        rf"arn:aws:sagemaker:[a-z0-9-]+:\d{{12}}:pipeline/{bay.stage}/execution/\w+", story["pipeline_execution_arn"]
    )
    assert story["model_package_arn"].endswith(f":model-package/{bay.stage}/1")
    assert story["endpoint_name"] == bay.stage
    assert story["seconds"]["total"] >= story["seconds"]["pipeline"] > 0


def test_the_summary_is_written_beside_the_report(bay: Any, story: dict[str, Any]) -> None:
    assert (bay.folder / "runs" / "latest" / "summary.json").is_file()
    report = bay.folder / Path(story["report"])
    assert json.loads((report.parent / "summary.json").read_text())["model_package_arn"] == story["model_package_arn"]
    with Image.open(report) as picture:
        assert picture.width > 800


def test_a_photo_is_routed_if_its_confidence_meets_the_threshold(
    story: dict[str, Any],
) -> None:
    assert len(story["executions"]) >= 40
    for execution in story["executions"]:
        if execution["status"] == "SUCCEEDED":
            assert execution["confidence"] >= story["threshold"]
            assert execution["vehicle"] in {"bicycle", "motorcycle"}
        else:
            assert execution["error"] in FOR_REVIEW
            if execution["error"] == "ConfidenceThresholdNotMet":
                assert execution["confidence"] < story["threshold"]
    assert {execution["status"] for execution in story["executions"]} == {"SUCCEEDED", "FAILED"}


def test_the_cause_of_a_refused_photo_gives_confidence_and_threshold(bay: Any, story: dict[str, Any]) -> None:
    states = bay.client("stepfunctions")
    machine = bay.outputs()["InferenceStateMachineArn"]
    failed = states.list_executions(stateMachineArn=machine, statusFilter="FAILED")["executions"]
    described = [states.describe_execution(executionArn=execution["executionArn"]) for execution in failed]
    causes = [d["cause"] for d in described if d["error"] == "ConfidenceThresholdNotMet"]
    numbers = [[float(number) for number in re.findall(r"\d\.\d+", cause)] for cause in causes]
    refused = next(one for one in story["executions"] if one["error"] == "ConfidenceThresholdNotMet")
    for figure in (refused["confidence"], story["threshold"]):
        assert any(number == pytest.approx(figure, abs=1e-3) for given in numbers for number in given)


def test_each_refused_photo_waits_in_the_review_queue(bay: Any, story: dict[str, Any]) -> None:
    attributes = bay.client("sqs").get_queue_attributes(
        QueueUrl=bay.outputs()["ReviewQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    refused = sum(execution["status"] == "FAILED" for execution in story["executions"])
    assert int(attributes["Attributes"]["ApproximateNumberOfMessages"]) >= refused > 0


def test_every_answer_of_the_endpoint_was_captured(bay: Any, story: dict[str, Any]) -> None:
    bucket, prefix = bay.outputs()["DataCaptureUri"].removeprefix("s3://").split("/", 1)
    s3 = bay.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/{bay.stage}/AllTraffic/")
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    lines = [json.loads(line) for key in keys for line in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_lines()]
    # Others asked the endpoint too, with no inference id.
    lines = [line for line in lines if "inferenceId" in line["eventMetadata"]]
    assert len({line["eventMetadata"]["inferenceId"] for line in lines}) >= len(story["executions"])
    output = lines[0]["captureData"]["endpointOutput"]
    assert output["encoding"] == "JSON"
    assert json.loads(output["data"])["threshold"] == pytest.approx(story["threshold"], abs=1e-4)
    assert lines[0]["captureData"]["endpointInput"]["encoding"] == "BASE64"


def test_the_registered_version_says_what_it_is_made_of(bay: Any, story: dict[str, Any]) -> None:
    version = bay.versions()[1]
    metadata = version["CustomerMetadataProperties"]
    assert metadata["classes"].split() == ["bicycle", "motorcycle"]
    assert float(metadata["threshold"]) > 0
    assert float(metadata["temperature"]) > 0
    assert len(metadata["code_sha256"]) == len(metadata["data_sha256"]) == 64
    assert re.fullmatch("unknown" if git_commit() == "unknown" else "[0-9a-f]{40}(-dirty)?", metadata["git_commit"])
    assert "mxnet-1.9.1" in metadata["versions"].split()
    assert metadata["data_label"] == story["data"]
    statistics = version["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    bucket, key = statistics.removeprefix("s3://").split("/", 1)
    evaluation = json.load(bay.client("s3").get_object(Bucket=bucket, Key=key)["Body"])
    assert evaluation["multiclass_classification_metrics"]["accuracy"]["value"] == story["accuracy"]


def test_the_training_log_is_in_cloudwatch(bay: Any, story: dict[str, Any]) -> None:
    job = bay.steps(story["pipeline_execution_arn"])["Train"]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    logs = bay.client("logs")
    stream = logs.describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=job)
    name = stream["logStreams"][0]["logStreamName"]
    events = logs.get_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=name, startFromHead=True)
    epochs = QUICK[QUICK.index("--epochs") + 1]
    assert any(f"epoch={epochs}/{epochs}" in event["message"] for event in events["events"])
