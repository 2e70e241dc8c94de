"""The definition: the same bytes in every process, no call while it is built, and what AWS's own model says of it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from pipelines.definition import METADATA, Settings
from pipelines.parameters import BY_NAME, PARAMETERS

SHA = "0123456789abcdef" * 4
SETTINGS = Settings(
    region="eu-central-1",
    bucket="loadingbay-123456789012-eu-central-1",
    role="arn:aws:iam::123456789012:role/loadingbay-pipeline",
    image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/loadingbay:abc",
    stage=f"s3://loadingbay-123456789012-eu-central-1/code/{SHA}/stage.py",
    evaluate=f"s3://loadingbay-123456789012-eu-central-1/code/{SHA}/evaluate.py",
    training=f"s3://loadingbay-123456789012-eu-central-1/code/{SHA}/sourcedir.tar.gz",
    training_sha256=SHA,
    name="bay-two",
    subnets=["subnet-0123456789abcdef0"],
    security_groups=["sg-0123456789abcdef0"],
    key="arn:aws:kms:eu-central-1:123456789012:key/0123",
)

# Any attempt to reach anything, or to look up a name, ends the build.
BLOCKED = """
import json, socket, sys
def refuse(*args, **kwargs):
    raise AssertionError(f"a call while building: {args}")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from pipelines.definition import Settings, build
sys.stdout.write(build(Settings(**json.load(sys.stdin))))
"""


@pytest.fixture(scope="module")
def builds(tmp_path_factory, request):
    """Two builds in two processes, with other hash seeds, other homes and other AWS settings, and no network."""
    processes = []
    for seed, region in (("1", "us-east-1"), ("4711", "ap-south-1")):
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(request.config.rootpath),
            "PYTHONHASHSEED": seed,
            "HOME": str(tmp_path_factory.mktemp(f"home{seed}")),
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", BLOCKED],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        process.stdin.write(json.dumps(asdict(SETTINGS)))
        process.stdin.close()
        process.stdin = None
        processes.append(process)
    texts = []
    for process in processes:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err[-2000:]
        texts.append(out)
    return texts


@pytest.fixture(scope="module")
def definition(builds):
    return json.loads(builds[0])


@pytest.fixture(scope="module")
def steps(definition):
    found = {}
    waiting = list(definition["Steps"])
    while waiting:
        step = waiting.pop(0)
        found[step["Name"]] = step
        if step["Type"] == "Condition":
            waiting += step["Arguments"]["IfSteps"] + step["Arguments"]["ElseSteps"]
    return found


def test_two_builds_in_two_processes_without_a_network_are_byte_identical(builds):
    assert builds[0] == builds[1]
    assert builds[0]


def test_it_fits_into_the_limit_of_a_definition(builds):
    assert len(builds[0]) < 1_048_576


def test_its_parameters_are_those_of_the_table(definition):
    found = [(p["Name"], p["Type"], p.get("DefaultValue")) for p in definition["Parameters"]]
    assert found == [(p.name, p.kind, p.default) for p in PARAMETERS]


def test_its_steps_are_those_of_the_story(steps):
    assert {name: step["Type"] for name, step in steps.items()} == {
        "Stage": "Processing",
        "Train": "Training",
        "Evaluate": "Processing",
        "Gate": "Condition",
        "AlreadyRegistered": "Condition",
        "Register": "RegisterModel",
        "GateMissed": "Fail",
    }


@pytest.mark.parametrize("name", ["Stage", "Train", "Evaluate"])
def test_a_job_step_is_cached(steps, name):
    assert steps[name]["CacheConfig"] == {"Enabled": True, "ExpireAfter": "P30D"}


@pytest.mark.parametrize("name", ["Stage", "Train", "Evaluate"])
@pytest.mark.parametrize(
    "fault",
    ["SageMaker.CAPACITY_ERROR", "SageMaker.JOB_INTERNAL_ERROR", "Step.THROTTLING", "Step.SERVICE_FAULT"],
)
def test_a_job_step_is_tried_again_after_a_passing_fault(steps, name, fault):
    (policy,) = [policy for policy in steps[name]["RetryPolicies"] if fault in policy["ExceptionType"]]
    assert policy["MaxAttempts"] >= 3
    assert policy["IntervalSeconds"] * policy["BackoffRate"] ** policy["MaxAttempts"] < 3600


def test_a_known_artifact_is_not_registered_a_second_time(steps):
    known = steps["AlreadyRegistered"]["Arguments"]
    assert known["Conditions"] == [
        {
            "Type": "Equals",
            "LeftValue": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
            "RightValue": {"Get": "Parameters.RegisteredModel"},
        }
    ]
    assert (known["IfSteps"], [step["Name"] for step in known["ElseSteps"]]) == ([], ["Register"])


def test_number_and_disk_of_the_training_machines_are_parameters(steps):
    machines = steps["Train"]["Arguments"]["ResourceConfig"]
    assert machines["InstanceCount"] == {"Get": "Parameters.TrainingInstanceCount"}
    assert machines["VolumeSizeInGB"] == {"Get": "Parameters.VolumeSizeInGB"}


def test_an_execution_leaves_no_experiment_behind(definition):
    assert definition["PipelineExperimentConfig"] is None


def test_every_address_of_code_contains_its_hash(builds):
    addresses = re.findall(r's3://[^"]+\.(?:py|tar\.gz)"', builds[0])
    assert len(addresses) == 3
    assert all(f"/code/{SHA}/" in address for address in addresses)


def test_what_is_no_cache_key_alone_differs_between_executions(steps):
    """An execution's id in a cache key would keep every step from ever being found in the cache."""
    keys = {
        "Stage": ("AppSpecification", "Environment", "ProcessingInputs"),
        "Evaluate": ("AppSpecification", "Environment", "ProcessingInputs"),
        "Train": ("AlgorithmSpecification", "CheckpointConfig", "Environment", "HyperParameters", "InputDataConfig"),
    }
    for name, members in keys.items():
        of_step = {m: steps[name]["Arguments"].get(m) for m in members}
        assert "Execution." not in json.dumps(of_step), name


def test_the_commit_is_in_the_versions_metadata_and_in_no_job_so_that_another_one_keeps_the_cache(steps):
    assert steps["Register"]["Arguments"]["CustomerMetadataProperties"]["git_commit"] == {"Get": "Parameters.GitCommit"}
    for name in ("Stage", "Train", "Evaluate", "Gate"):
        arguments = {
            key: value for key, value in steps[name]["Arguments"].items() if key not in ("IfSteps", "ElseSteps")
        }
        assert "GitCommit" not in json.dumps(arguments), name


def test_training_cannot_reach_the_test_photos(steps):
    train = json.dumps(steps["Train"]["Arguments"])
    assert [c["ChannelName"] for c in steps["Train"]["Arguments"]["InputDataConfig"]] == ["train"]
    assert "'test'" not in train
    assert "Steps.Stage.ProcessingOutputConfig.Outputs['train']" in train


def test_the_gate_wants_the_accuracy_and_no_loss_to_the_champion(steps):
    accuracy, champion = steps["Gate"]["Arguments"]["Conditions"]
    assert {accuracy["Type"], champion["Type"]} == {"GreaterThanOrEqualTo"}
    assert accuracy["LeftValue"]["Std:JsonGet"]["Path"] == "gate.accuracy"
    assert accuracy["RightValue"] == {"Get": "Parameters.MinimumAccuracy"}
    assert champion["LeftValue"]["Std:JsonGet"]["Path"] == "gate.not_worse_than_champion"
    assert champion["RightValue"] == 1.0


def test_a_missed_gate_says_the_figures_and_the_bars(steps):
    message = json.dumps(steps["GateMissed"]["Arguments"]["ErrorMessage"])
    for part in (
        "gate.accuracy",
        "Parameters.MinimumAccuracy",
        "gate.champion_accuracy",
        "Parameters.ChampionTolerance",
    ):
        assert part in message


def test_the_champion_is_an_input_so_that_another_one_is_another_evaluation(steps):
    inputs = {i["InputName"]: i["S3Input"]["S3Uri"] for i in steps["Evaluate"]["Arguments"]["ProcessingInputs"]}
    assert inputs["champion"] == {"Get": "Parameters.Champion"}


def test_a_version_waits_for_a_person_and_carries_its_figures(steps):
    package = steps["Register"]["Arguments"]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert set(package["CustomerMetadataProperties"]) == {*METADATA, "git_commit"}
    statistics = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert statistics["Std:Join"]["Values"][-1] == "evaluation.json"


@pytest.mark.parametrize(
    ("name", "operation", "added"),
    [
        ("Stage", "CreateProcessingJob", {"ProcessingJobName": "given-by-the-execution"}),
        ("Evaluate", "CreateProcessingJob", {"ProcessingJobName": "given-by-the-execution"}),
        ("Train", "CreateTrainingJob", {"TrainingJobName": "given-by-the-execution"}),
        ("Register", "CreateModelPackage", {}),
    ],
)
def test_its_arguments_are_what_aws_takes(steps, name, operation, added):
    model = Session().get_service_model("sagemaker").operation_model(operation)
    report = ParamValidator().validate(_resolved(steps[name]["Arguments"]) | added, model.input_shape)
    assert not report.has_errors(), report.generate_report()


def _resolved(value):
    """Arguments with every reference replaced by a value, as it might be when the step runs."""
    if isinstance(value, dict):
        parameter = BY_NAME.get(str(value.get("Get", "")).removeprefix("Parameters."))
        if parameter is not None and parameter.kind == "Integer":
            return parameter.default
        if len(value) == 1 and next(iter(value)).startswith(("Get", "Std:")):
            return "s3://bucket/key"
        return {key: _resolved(item) for key, item in value.items()}
    return [_resolved(item) for item in value] if isinstance(value, list) else value


def test_every_job_runs_in_the_stages_network_and_encrypts_with_its_key(steps):
    network = {"Subnets": SETTINGS.subnets, "SecurityGroupIds": SETTINGS.security_groups}
    for name in ("Stage", "Evaluate"):
        arguments = steps[name]["Arguments"]
        assert arguments["NetworkConfig"]["VpcConfig"] == network
        assert arguments["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == SETTINGS.key
        assert arguments["ProcessingOutputConfig"]["KmsKeyId"] == SETTINGS.key
    train = steps["Train"]["Arguments"]
    assert train["VpcConfig"] == network
    assert train["ResourceConfig"]["VolumeKmsKeyId"] == train["OutputDataConfig"]["KmsKeyId"] == SETTINGS.key


def test_versions_are_registered_in_the_stages_own_group(steps):
    assert steps["Register"]["Arguments"]["ModelPackageGroupName"] == SETTINGS.name
