"""The monitoring pipeline's definition: what runs after what, and that SageMaker's own model takes it."""

import json
from dataclasses import replace

from botocore.session import Session
from botocore.validate import ParamValidator

from localcloud.engine.validate import read
from pipelines.monitoring import MonitoringSettings, build

SETTINGS = MonitoringSettings(
    name="bay-two",
    bucket="bay-two-123456789012-eu-central-1",
    role="arn:aws:iam::123456789012:role/bay-two-monitoring",
    image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/bay-two:abc",
    monitor="s3://bay-two-123456789012-eu-central-1/code/abc/monitor.pyz",
    function="arn:aws:lambda:eu-central-1:123456789012:function:bay-two-watch-stream",
)
GUARDED = replace(SETTINGS, subnets=["subnet-1"], security_groups=["sg-1"], key="arn:key", isolated=True)


def steps(settings=SETTINGS):
    return read(build(settings), lambda *_: None).steps


def test_the_same_settings_give_the_same_bytes():
    assert build(SETTINGS) == build(replace(SETTINGS))


def test_nothing_runs_unless_something_was_captured():
    found = steps()
    assert list(found) == ["Collect", "Captured", "Monitor", "Publish", "Lasting", "Announce"]
    assert {found[name].parent for name in ("Monitor", "Publish", "Lasting")} == {"Captured"}
    assert found["Announce"].parent == "Lasting"
    assert all(step.branch is not False for step in found.values())


def filled(value):
    """Arguments with a text in the place of each reference."""
    if isinstance(value, dict):
        return "x" if set(value) & {"Get", "Std:Join"} else {key: filled(inner) for key, inner in value.items()}
    return [filled(inner) for inner in value] if isinstance(value, list) else value


def test_sagemaker_takes_the_jobs_arguments():
    model = Session().get_service_model("sagemaker").operation_model("CreateProcessingJob").input_shape
    for settings in (SETTINGS, GUARDED):
        arguments = filled(steps(settings)["Monitor"].arguments)
        report = ParamValidator().validate({"ProcessingJobName": "x", **arguments}, model)
        assert not report.has_errors(), report.generate_report()


def test_a_guarded_stage_has_its_network_and_its_key():
    arguments = steps(GUARDED)["Monitor"].arguments
    assert arguments["NetworkConfig"] == {
        "EnableNetworkIsolation": True,
        "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
    }
    assert arguments["ProcessingOutputConfig"]["KmsKeyId"] == "arn:key"
    assert arguments["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == "arn:key"


def test_what_is_read_is_what_collect_listed():
    arguments = steps()["Monitor"].arguments
    (stream,) = [one["S3Input"] for one in arguments["ProcessingInputs"] if one["InputName"] == "stream"]
    assert (stream["S3DataType"], stream["S3Uri"]) == (
        "ManifestFile",
        {"Get": "Steps.Collect.OutputParameters['manifest']"},
    )
    assert json.dumps(arguments["AppSpecification"]["ContainerArguments"]).count("OutputParameters") == 2
