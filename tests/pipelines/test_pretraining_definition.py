"""The pre-training pipeline's definition: two cached steps, and SageMaker's own model takes their arguments."""

import json
from dataclasses import replace

from botocore.session import Session
from botocore.validate import ParamValidator

from localcloud.engine.validate import read
from pipelines.pretraining import build
from pipelines.settings import Settings

BUCKET = "s3://bay-two-123456789012-eu-central-1"
SETTINGS = Settings(
    region="eu-central-1",
    name="bay-two",
    bucket=BUCKET.removeprefix("s3://"),
    role="arn:aws:iam::123456789012:role/bay-two-pipeline",
    image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/bay-two:abc",
    stage=f"{BUCKET}/code/abc/stage.pyz",
    evaluate=f"{BUCKET}/code/def/evaluate.pyz",
    training=f"{BUCKET}/code/123/sourcedir.tar.gz",
    training_sha256="123",
)
GUARDED = replace(
    SETTINGS, subnets=["subnet-1"], security_groups=["sg-1"], key="arn:key", isolated=True, encrypted_traffic=True
)


def steps(settings=SETTINGS):
    return read(build(settings), lambda *_: None).steps


def test_the_same_settings_give_the_same_bytes():
    assert build(SETTINGS) == build(replace(SETTINGS))


def test_both_steps_are_cached_and_the_second_reads_what_the_first_writes():
    found = {step["Name"]: step for step in json.loads(build(SETTINGS))["Steps"]}
    assert list(found) == ["Others", "Pretrain"]
    assert all(step["CacheConfig"]["Enabled"] for step in found.values())
    source = found["Pretrain"]["Arguments"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert source == {"Get": "Steps.Others.ProcessingOutputConfig.Outputs['others'].S3Output.S3Uri"}


def filled(value):
    """Arguments with a text in the place of each reference."""
    if isinstance(value, dict):
        return "x" if set(value) & {"Get", "Std:Join"} else {key: filled(inner) for key, inner in value.items()}
    return [filled(inner) for inner in value] if isinstance(value, list) else value


def test_sagemaker_takes_the_jobs_arguments():
    service = Session().get_service_model("sagemaker")
    for settings in (SETTINGS, GUARDED):
        for step, operation, name in (
            ("Others", "CreateProcessingJob", "ProcessingJobName"),
            ("Pretrain", "CreateTrainingJob", "TrainingJobName"),
        ):
            arguments = {name: "x", **filled(steps(settings)[step].arguments)}
            report = ParamValidator().validate(arguments, service.operation_model(operation).input_shape)
            assert not report.has_errors(), report.generate_report()


def test_an_isolated_job_is_given_its_code_as_a_channel():
    arguments = steps(GUARDED)["Pretrain"].arguments
    assert arguments["EnableNetworkIsolation"] is True
    assert [channel["ChannelName"] for channel in arguments["InputDataConfig"]] == ["train", "code"]
    assert arguments["HyperParameters"]["sagemaker_submit_directory"] == "/opt/ml/input/data/code/sourcedir.tar.gz"


def test_a_guarded_stage_has_its_network_and_its_key():
    found = steps(GUARDED)
    vpc = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert found["Others"].arguments["NetworkConfig"]["VpcConfig"] == vpc
    assert found["Pretrain"].arguments["VpcConfig"] == vpc
    assert found["Others"].arguments["ProcessingOutputConfig"]["KmsKeyId"] == "arn:key"
    assert found["Pretrain"].arguments["OutputDataConfig"]["KmsKeyId"] == "arn:key"
