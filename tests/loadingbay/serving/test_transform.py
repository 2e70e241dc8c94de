"""Batch transform of a registered version: what is asked of SageMaker, what comes of it, and what is left behind."""

import io
import json

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from loadingbay.commands import transform as command
from loadingbay.errors import UsageError, WorkError
from loadingbay.registry import versions as registry
from loadingbay.serving.transform import transform
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import FakeSageMaker, refusal

STACK = {"BucketName": "bay", "PipelineRoleArn": "arn:aws:iam::000000000000:role/loadingbay-PipelineRole-1"}
SURE = {"predictions": [{"label": "bicycle", "confidence": 0.99, "in_distribution": 0.9}]}
UNSURE = {"predictions": [{"label": "bicycle", "confidence": 0.6, "in_distribution": 0.9}]}
UNKNOWN = {"predictions": [{"label": "bicycle", "confidence": 0.99, "in_distribution": 0.1}]}
LIMITS = {"threshold": 0.9, "in_distribution_threshold": 0.5}


class S3:
    """The bucket: photos, and answers once the job ran."""

    def __init__(self, keys):
        self.objects = {key: {} for key in keys}

    def get_paginator(self, _):
        class Pages:
            @staticmethod
            def paginate(Bucket, Prefix):  # noqa: N803 - AWS names them so
                return [{"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)]}]

        return Pages

    def get_object(self, Bucket, Key):  # noqa: N803
        return {"Body": io.BytesIO(json.dumps(self.objects[Key]).encode())}


class Transforming(FakeSageMaker):
    """A job answers each photo when it is asked for a second time how it is."""

    def __init__(self, s3, answers, status="Completed"):
        super().__init__()
        self.decide(self.register(), "Approved")
        self.s3, self.answers, self.status_at_end, self.looks = s3, answers, status, 0
        self.answer("CreateTransformJob", {"TransformJobArn": "arn"})
        self.answer("DescribeTransformJob", self._describe)

    def _describe(self, **_):
        self.looks += 1
        if self.looks == 1:
            return {"TransformJobStatus": "InProgress"}
        (job,) = self.requests("CreateTransformJob")
        place = job["TransformOutput"]["S3OutputPath"].removeprefix("s3://bay/")
        for name, said in self.answers.items():
            self.s3.objects[f"{place}{name}.out"] = {**said, **LIMITS}
        reason = {"FailureReason": "ModelError: status 400"} if self.status_at_end == "Failed" else {}
        return {"TransformJobStatus": self.status_at_end, **reason}


@pytest.fixture
def s3():
    return S3(["bulk/mine/a.png", "bulk/mine/b.JPG", "bulk/mine/c.png", "elsewhere/d.txt"])


@pytest.fixture
def sagemaker(s3):
    return Transforming(s3, {"a.png": SURE, "b.JPG": UNSURE, "c.png": UNKNOWN})


@pytest.fixture
def target(sagemaker, s3, monkeypatch):
    monkeypatch.setattr(Target, "interval", 0.0)
    made = Target("aws", None, "us-east-1")
    made.clients.update(sagemaker=sagemaker, s3=s3)
    return made


def run(target, prefix="bulk/mine/", stack=STACK):
    version = registry.get(target, FakeSageMaker.arn(1))
    return transform(target, stack, version, prefix, instance_type="ml.c5.xlarge", instances=2)


def test_answers_above_both_thresholds_are_counted_by_class(target):
    done = run(target)
    assert (done.photos, done.accepted, done.review, done.version) == (3, {"bicycle": 1}, 2, 1)


def test_the_job_is_of_the_registered_version_and_sets_no_limits(target, sagemaker):
    done = run(target)
    (model,), (job,) = sagemaker.requests("CreateModel"), sagemaker.requests("CreateTransformJob")
    assert model["PrimaryContainer"]["ModelPackageName"] == FakeSageMaker.arn(1)
    assert model["ExecutionRoleArn"] == STACK["PipelineRoleArn"]
    assert model["EnableNetworkIsolation"]
    assert job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == "s3://bay/bulk/mine/"
    assert job["TransformOutput"]["S3OutputPath"] == done.results
    assert job["TransformResources"] == {"InstanceType": "ml.c5.xlarge", "InstanceCount": 2}
    # GET /execution-parameters says them, so that they follow the image
    assert not {"MaxConcurrentTransforms", "MaxPayloadInMB", "BatchStrategy"} & set(job)


def test_the_stages_network_and_key_are_the_jobs_too(target, sagemaker):
    key = "arn:aws:kms:us-east-1:000000000000:key/k"
    run(target, stack={**STACK, "SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1", "KmsKeyArn": key})
    (model,), (job,) = sagemaker.requests("CreateModel"), sagemaker.requests("CreateTransformJob")
    assert model["VpcConfig"] == {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert job["TransformOutput"]["KmsKeyId"] == job["TransformResources"]["VolumeKmsKeyId"] == key


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_no_model_is_left_behind(target, sagemaker, status):
    sagemaker.status_at_end = status
    if status == "Completed":
        run(target)
    else:
        with pytest.raises(WorkError, match=f"ended as {status}.*TransformJobs"):
            run(target)
    assert sagemaker.models == {}


def test_a_job_that_is_refused_leaves_no_model_behind(target, sagemaker):
    def refuse(**_):
        raise refusal("CreateTransformJob", "the quota is 0 Instances", "ResourceLimitExceeded")

    sagemaker.answer("CreateTransformJob", refuse)
    with pytest.raises(ClientError, match="quota"):
        run(target)
    assert sagemaker.models == {}


def test_an_interrupt_stops_the_job_and_leaves_no_model_behind(target, sagemaker):
    def interrupt(**_):
        raise KeyboardInterrupt

    sagemaker.answer("DescribeTransformJob", interrupt)
    sagemaker.answer("StopTransformJob", {})
    with pytest.raises(KeyboardInterrupt):
        run(target)
    (stopped,), (made,) = sagemaker.requests("StopTransformJob"), sagemaker.requests("CreateTransformJob")
    assert stopped["TransformJobName"] == made["TransformJobName"]
    assert sagemaker.models == {}


def test_answers_that_are_missing_are_told(target, sagemaker):
    del sagemaker.answers["b.JPG"]
    with pytest.raises(WorkError, match="answered 2 of 3 photos"):
        run(target)


@pytest.mark.parametrize(("prefix", "words"), [("nothing/", "nothing lies below"), ("elsewhere/", "d.txt is no .png")])
def test_what_would_fail_the_job_is_said_before_it_starts(target, sagemaker, prefix, words):
    with pytest.raises(UsageError, match=words):
        run(target, prefix)
    assert sagemaker.requests("CreateModel") == []


def test_the_command_takes_the_newest_approved_version(target, sagemaker, monkeypatch):
    monkeypatch.setattr("loadingbay.stack.deploy.outputs", lambda _: STACK)
    shown = (
        CliRunner()
        .invoke(command.transform, ["s3://bay/bulk/mine/"], obj=lambda: target, catch_exceptions=False)
        .stdout
    )
    assert "bicycle" in shown
    assert "below a threshold" in shown
    assert "s3://bay/transforms/loadingbay-transform-" in shown


def test_without_an_approved_version_the_command_asks_for_one(target, sagemaker, monkeypatch):
    monkeypatch.setattr("loadingbay.stack.deploy.outputs", lambda _: STACK)
    sagemaker.decide(1, "Rejected")
    done = CliRunner().invoke(command.transform, ["bulk/mine/"], obj=lambda: target)
    assert isinstance(done.exception, UsageError)
    assert "--version" in str(done.exception)


def test_a_folder_of_this_machine_is_refused_with_the_way_to_copy(target, tmp_path):
    with pytest.raises(UsageError, match=f"lies on this machine.*`aws s3 cp --recursive {tmp_path} s3://bay/bulk/mine"):
        run(target, prefix=str(tmp_path))
