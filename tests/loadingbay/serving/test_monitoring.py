"""Captures found and waited for, labels kept, what the job wrote fetched: never outside of its folder."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from moto import mock_aws

from loadingbay.errors import WorkError
from loadingbay.serving import monitoring
from loadingbay.serving.photos import Outcome
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import FakeSageMaker

BUCKET = "captured"
URI = f"s3://{BUCKET}/data-capture"
IMAGES = "123456789012.dkr.ecr.us-east-1.amazonaws.com/loadingbay"
STACK = {
    "BucketName": BUCKET,
    "EndpointName": "loadingbay",
    "DataCaptureUri": URI,
    "PipelineRoleArn": "arn:aws:iam::000000000000:role/pipeline",
    "ImageRepositoryUri": IMAGES,
}


@pytest.fixture
def target(monkeypatch):
    """A stage with an empty bucket, on moto's AWS."""
    monkeypatch.setattr("loadingbay.serving.monitoring.time.sleep", lambda _: None)
    with mock_aws():
        target = Target("aws", None, "us-east-1")
        target.client("s3").create_bucket(Bucket=BUCKET)
        yield target


def _capture(target, name, *inference_ids, ago=timedelta(0)):
    lines = [json.dumps({"eventMetadata": {"inferenceId": i}}) for i in inference_ids] + ["not JSON", "[1]"]
    key = f"data-capture/loadingbay/AllTraffic/{datetime.now(UTC) - ago:%Y/%m/%d/%H}/{name}.jsonl"
    target.client("s3").put_object(Bucket=BUCKET, Key=key, Body="\n".join(lines).encode())


def test_captures_that_are_there_are_not_waited_for(target):
    _capture(target, "one", "a", "b")
    _capture(target, "two", "c")
    assert monitoring.wait_for_captures(target, URI, "loadingbay", ["a", "b", "c"], datetime.now(UTC)) == 0


def test_captures_that_never_come_are_counted_when_the_time_is_up(target, monkeypatch):
    _capture(target, "one", "a")
    clock = iter(range(0, 100_000, 100))
    monkeypatch.setattr("loadingbay.serving.monitoring.time.monotonic", lambda: next(clock))
    assert monitoring.wait_for_captures(target, URI, "loadingbay", ["a", "b", "c"], datetime.now(UTC)) == 2


def test_files_of_another_time_are_not_read(target, monkeypatch):
    _capture(target, "one", "a")
    clock = iter(range(0, 100_000, 100))
    monkeypatch.setattr("loadingbay.serving.monitoring.time.monotonic", lambda: next(clock))
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert monitoring.wait_for_captures(target, URI, "loadingbay", ["a"], tomorrow) == 1


def test_a_file_that_grew_between_two_looks_is_read_again(target, monkeypatch):
    _capture(target, "one", "a")
    monkeypatch.setattr("loadingbay.serving.monitoring.time.sleep", lambda _: _capture(target, "one", "a", "b"))
    assert monitoring.wait_for_captures(target, URI, "loadingbay", ["a", "b"], datetime.now(UTC)) == 0


def test_with_nothing_captured_the_sentence_says_where_and_what_to_do(target):
    _capture(target, "old", "a", ago=timedelta(days=5))
    with pytest.raises(WorkError, match="nothing was captured in the last 2 days below s3://captured"):
        monitoring.monitor(target, stack=STACK, folder=None)


def _job(target, ends="Completed", count=3):
    """A SageMaker that carries a monitoring job out at once."""
    sagemaker = FakeSageMaker()

    def create(**request):
        place = request["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
        found = json.dumps({"count": count}).encode()
        for name, body in {"monitoring.json": found, "report.png": b"png", "deep/stream.png": b"png"}.items():
            target.client("s3").put_object(Bucket=BUCKET, Key=f"{place}/{name}", Body=body)
        return {"ProcessingJobArn": f"arn:aws:sagemaker:us-east-1:000000000000:processing-job/{place}"}

    sagemaker.answer("CreateProcessingJob", create)
    sagemaker.answer("DescribeProcessingJob", {"ProcessingJobStatus": ends, "ExitMessage": "ValueError: no captures"})
    target.clients["sagemaker"] = sagemaker
    return sagemaker


@pytest.fixture
def stack():
    return STACK


def test_the_report_is_what_the_job_wrote(target, stack, tmp_path):
    _capture(target, "one", "a")
    _job(target)
    report = monitoring.monitor(target, stack=stack, folder=tmp_path, evaluation="s3://b/e/evaluation.json")
    assert report.figures == {"count": 3}
    assert report.picture.read_bytes() == b"png"
    assert (tmp_path / "deep" / "stream.png").exists()


def test_answers_of_earlier_versions_are_left_out(target, stack, tmp_path):
    _capture(target, "one", "a")
    sagemaker = _job(target)
    monitoring.monitor(target, stack=stack, folder=tmp_path, since=datetime(2026, 11, 27, 3, 0, 1, 900_000, UTC))
    (request,) = sagemaker.requests("CreateProcessingJob")
    assert request["AppSpecification"]["ContainerArguments"][-2:] == ["--since", "2026-11-27T03:00:01+00:00"]


def test_a_version_that_has_answered_nothing_yet_is_said(target, stack, tmp_path):
    _capture(target, "one", "a")
    _job(target, count=0)
    with pytest.raises(WorkError, match="when the version in service came: `loadingbay classify PHOTO` sends a photo"):
        monitoring.monitor(target, stack=stack, folder=tmp_path, since=datetime.now(UTC))


def test_the_job_runs_in_the_stages_network_and_with_its_key(target, stack, tmp_path):
    _capture(target, "one", "a")
    sagemaker = _job(target)
    private = {**stack, "SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1", "KmsKeyArn": "arn:key"}
    monitoring.monitor(target, stack=private, folder=tmp_path)
    (request,) = sagemaker.requests("CreateProcessingJob")
    vpc = {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert request["NetworkConfig"] == {"VpcConfig": vpc}
    assert request["ProcessingOutputConfig"]["KmsKeyId"] == "arn:key"
    assert request["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == "arn:key"


def test_the_job_gets_the_captures_of_each_day_and_what_else_there_is(target, stack, tmp_path):
    _capture(target, "one", "a")
    _capture(target, "two", "b", ago=timedelta(days=1))
    outcome = Outcome("x", "bicycle", "SUCCEEDED", None, None, None, None, None, None, None, "arn", "a")
    monitoring.add_labels(target, BUCKET, "run", [outcome])
    sagemaker = _job(target)
    monitoring.monitor(target, stack=stack, folder=tmp_path, evaluation="s3://b/e/evaluation.json")
    (request,) = sagemaker.requests("CreateProcessingJob")
    inputs = {i["InputName"]: i["S3Input"]["S3Uri"] for i in request["ProcessingInputs"]}
    assert {name for name in inputs if name.startswith("captures")} == {"captures-0", "captures-1"}
    assert inputs["labels"] == f"s3://{BUCKET}/labels/"
    outputs = {o["OutputName"]: o["S3Output"]["S3Uri"] for o in request["ProcessingOutputConfig"]["Outputs"]}
    assert outputs["labelled"] == f"s3://{BUCKET}/labelled"
    assert "--labelled" in request["AppSpecification"]["ContainerArguments"]
    assert inputs["evaluation"] == "s3://b/e"


def test_what_a_sent_photo_shows_becomes_a_label(target):
    outcome = Outcome("x", "bicycle", "SUCCEEDED", None, None, None, None, None, None, None, "arn", "a")
    monitoring.add_labels(target, BUCKET, "run", [outcome, replace(outcome, label=None, inference_id="b")])
    s3 = target.client("s3")
    (item,) = s3.list_objects_v2(Bucket=BUCKET, Prefix="labels/")["Contents"]
    (line,) = s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read().splitlines()
    assert json.loads(line)["groundTruthData"]["data"] == "bicycle"
    assert json.loads(line)["eventMetadata"]["eventId"] == "a"


def test_a_job_that_fails_gives_its_reason(target, stack, tmp_path):
    _capture(target, "one", "a")
    _job(target, "Failed")
    with pytest.raises(WorkError, match="ended as Failed: ValueError: no captures; `loadingbay logs monitor`"):
        monitoring.monitor(target, stack=stack, folder=tmp_path)


def test_a_key_that_climbs_out_of_the_folder_is_refused(target, tmp_path):
    target.client("s3").put_object(Bucket=BUCKET, Key="out/../../evil.png", Body=b"x")
    with pytest.raises(WorkError, match="would be written outside"):
        monitoring.fetch(target.client("s3"), f"s3://{BUCKET}/out", tmp_path / "run")
    assert not list(tmp_path.rglob("evil.png"))
