"""The definition: the same bytes in every process, no call while it is built, and what AWS's own model says of it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from pipelines import new_threshold
from pipelines.figures import METADATA
from pipelines.parameters import BY_NAME, PARAMETERS
from pipelines.settings import Settings
from tests.formats import example

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
GUARDED = replace(SETTINGS, subnets=(), security_groups=(), isolated=True, encrypted_traffic=True, spot=True)

# Any attempt to reach anything, or to look up a name, ends the build.
BLOCKED = """
import json, socket, sys
def refuse(*args, **kwargs):
    raise AssertionError(f"a call while building: {args}")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
from pipelines.definition import build
from pipelines.settings import Settings
json.dump([build(Settings(**settings)) for settings in json.load(sys.stdin)], sys.stdout)
"""


@pytest.fixture(scope="module")
def builds(tmp_path_factory, request):
    """Builds of both settings in two processes, with other hash seeds, homes and AWS settings, and no network."""
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
        process.stdin.write(json.dumps([asdict(SETTINGS), asdict(GUARDED)]))
        process.stdin.close()
        process.stdin = None
        processes.append(process)
    texts = []
    for process in processes:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err[-2000:]
        texts.append(json.loads(out))
    return texts


@pytest.fixture(scope="module")
def text(builds):
    return builds[0][0]


@pytest.fixture(scope="module")
def definition(text):
    return json.loads(text)


@pytest.fixture(scope="module")
def steps(definition):
    return all_steps(definition)


@pytest.fixture(scope="module")
def guarded(builds):
    """The steps where jobs have no network and training runs on spare machines."""
    return all_steps(json.loads(builds[0][1]))


def all_steps(definition):
    """All steps of the definition by name, those inside conditions included."""
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
    assert len(builds[0]) == 2


def test_it_fits_into_the_limit_of_a_definition(text):
    assert len(text) < 1_048_576


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


def test_every_address_of_code_contains_its_hash(text):
    addresses = re.findall(r's3://[^"]+\.(?:py|tar\.gz)"', text)
    assert len(addresses) == 3
    assert all(f"/code/{SHA}/" in address for address in addresses)


def test_what_is_no_cache_key_alone_differs_between_executions(steps, guarded):
    """An execution's id in a cache key would keep every step from ever being found in the cache."""
    keys = {
        "Stage": ("AppSpecification", "Environment", "ProcessingInputs"),
        "Evaluate": ("AppSpecification", "Environment", "ProcessingInputs"),
        "Train": ("AlgorithmSpecification", "CheckpointConfig", "Environment", "HyperParameters", "InputDataConfig"),
    }
    for name, members in keys.items():
        for of_settings in (steps, guarded):
            of_step = {m: of_settings[name]["Arguments"].get(m) for m in members}
            assert "Execution." not in json.dumps(of_step), name


def test_the_commit_is_in_the_metadata_of_the_version_and_in_no_job(steps):
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


def test_the_gate_wants_accuracy_no_loss_and_to_be_better_on_recent_photos(steps):
    accuracy, champion, recent = steps["Gate"]["Arguments"]["Conditions"]
    assert {accuracy["Type"], champion["Type"], recent["Type"]} == {"GreaterThanOrEqualTo"}
    assert recent["LeftValue"]["Std:JsonGet"]["Path"] == "gate.better_on_recent"
    assert recent["RightValue"] == 1.0
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


def test_labelled_photos_are_a_list_and_recent_ones_reach_evaluate(steps):
    inputs = {i["InputName"]: i["S3Input"] for i in steps["Stage"]["Arguments"]["ProcessingInputs"]}
    assert inputs["labelled"]["S3DataType"] == "ManifestFile"
    assert inputs["labelled"]["S3Uri"] == {"Get": "Parameters.LabelledPhotos"}
    assert "['recent']" in json.dumps(steps["Evaluate"]["Arguments"]["ProcessingInputs"])
    assert "['recent']" not in json.dumps(steps["Train"])


def test_a_version_says_why_it_exists(steps):
    registered = [step for name, step in steps.items() if name.startswith("Register")]
    assert '"ModelPackageDescription": {"Get": "Parameters.Reason"}' in json.dumps(registered)


def test_the_champion_is_an_input_so_another_one_evaluates_anew(steps):
    inputs = {i["InputName"]: i["S3Input"]["S3Uri"] for i in steps["Evaluate"]["Arguments"]["ProcessingInputs"]}
    assert inputs["champion"] == {"Get": "Parameters.Champion"}


def test_a_version_waits_for_a_person_and_carries_its_figures(steps):
    package = steps["Register"]["Arguments"]
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert set(package["CustomerMetadataProperties"]) == {*METADATA, "git_commit"}
    for baselines in (package["ModelMetrics"], package["DriftCheckBaselines"]):
        places = {
            kind: said["Statistics"]["S3Uri"]["Std:Join"]["Values"][-1] for kind, said in baselines.items() if said
        }
        assert places == {"ModelQuality": "evaluation.json", "ModelDataQuality": "statistics.json"}


def test_what_training_waits_for_is_said_for_spare_machines_only(steps, guarded):
    """SageMaker refuses MaxWaitTimeInSeconds without EnableManagedSpotTraining."""
    train, spot = steps["Train"]["Arguments"], guarded["Train"]["Arguments"]
    assert (train["EnableManagedSpotTraining"], spot["EnableManagedSpotTraining"]) == (False, True)
    assert "MaxWaitTimeInSeconds" not in train["StoppingCondition"]
    assert "CheckpointConfig" not in train
    assert spot["StoppingCondition"]["MaxWaitTimeInSeconds"] > spot["StoppingCondition"]["MaxRuntimeInSeconds"]


def test_each_trial_of_a_tuning_has_checkpoints_of_its_own(guarded):
    place, *parameters = guarded["Train"]["Arguments"]["CheckpointConfig"]["S3Uri"]["Std:Join"]["Values"]
    assert place == f"s3://{SETTINGS.bucket}/checkpoints/bay-two/{SHA}"
    named = {re.search(r"Parameters\.(\w+)", json.dumps(parameter)).group(1) for parameter in parameters}
    assert named == {p.name for p in PARAMETERS if p.searched} | {"Seed"}


def test_the_checkpoints_are_where_training_looks_for_them(guarded):
    code = (Path(__file__).parents[2] / "training" / "train.py").read_text()
    assert '.parent / "checkpoints"' in code, "beside the model's folder, /opt/ml/model"
    assert guarded["Train"]["Arguments"]["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"


def test_without_a_network_every_job_has_its_code_from_sagemaker(steps, guarded):
    for name in ("Stage", "Evaluate"):
        assert not steps[name]["Arguments"]["NetworkConfig"]["EnableNetworkIsolation"]
        network = guarded[name]["Arguments"]["NetworkConfig"]
        assert network == {"EnableNetworkIsolation": True, "EnableInterContainerTrafficEncryption": True}
    train = guarded["Train"]["Arguments"]
    assert train["EnableNetworkIsolation"]
    assert train["EnableInterContainerTrafficEncryption"]
    code = train["InputDataConfig"][1]
    folder = SETTINGS.training.removesuffix("sourcedir.tar.gz")
    assert (code["ChannelName"], code["DataSource"]["S3DataSource"]["S3Uri"]) == ("code", folder)
    # script-mode's own path: the training toolkit unpacks an archive that it finds there
    assert train["HyperParameters"]["sagemaker_submit_directory"] == "/opt/ml/input/data/code/sourcedir.tar.gz"
    assert steps["Train"]["Arguments"]["HyperParameters"]["sagemaker_submit_directory"] == SETTINGS.training


@pytest.mark.parametrize(
    ("name", "operation", "added"),
    [
        ("Stage", "CreateProcessingJob", {"ProcessingJobName": "given-by-the-execution"}),
        ("Evaluate", "CreateProcessingJob", {"ProcessingJobName": "given-by-the-execution"}),
        ("Train", "CreateTrainingJob", {"TrainingJobName": "given-by-the-execution"}),
        ("Register", "CreateModelPackage", {}),
    ],
)
def test_its_arguments_are_what_aws_takes(steps, guarded, name, operation, added):
    model = Session().get_service_model("sagemaker").operation_model(operation)
    for of_settings in (steps, guarded):
        report = ParamValidator().validate(_resolved(of_settings[name]["Arguments"]) | added, model.input_shape)
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


@pytest.fixture(scope="module")
def rethreshold(builds):
    """The pipeline that registers a network with another threshold, made of each of the two definitions."""
    return [json.loads(new_threshold.derive(text)) for text in builds[0]]


def test_another_threshold_is_evaluated_and_registered_by_the_same_steps(rethreshold, steps):
    for document in rethreshold:
        found = all_steps(document)
        assert set(found) == set(steps) - {"Stage", "Train"}
        assert not re.search(r"Steps\.(Stage|Train)\b", json.dumps(document))
        arguments = found["Evaluate"]["Arguments"]
        assert arguments["ProcessingInputs"][0]["S3Input"]["S3Uri"] == {"Get": "Parameters.Model"}
        assert (
            arguments["AppSpecification"]["ContainerArguments"]
            == (steps["Evaluate"]["Arguments"]["AppSpecification"]["ContainerArguments"])
        )
        assert found["Gate"]["Arguments"]["Conditions"] == steps["Gate"]["Arguments"]["Conditions"]


def test_its_parameters_are_those_that_its_steps_use(rethreshold):
    for document in rethreshold:
        names = [parameter["Name"] for parameter in document["Parameters"]]
        assert names[:5] == ["Model", "Image", "NetworkOf", "TestPhotos", "RecentPhotos"]
        assert {"Champion", "Reason", "MinimumAccuracy", "ChampionTolerance"} <= set(names)
        assert not {"Epochs", "InputData", "CostOfWrongBay"} & set(names)
        used = set(re.findall(r'"Get": "Parameters\.(\w+)"', json.dumps(document["Steps"])))
        assert used == set(names)


def test_a_version_with_another_threshold_says_whose_network_it_has(rethreshold):
    (register,) = [step for step in all_steps(rethreshold[0]).values() if step["Name"].startswith("Register")]
    metadata = register["Arguments"]["CustomerMetadataProperties"]
    assert set(metadata) == {*METADATA, "git_commit", "network_of"}
    assert register["Arguments"]["ModelPackageDescription"] == {"Get": "Parameters.Reason"}
    container = register["Arguments"]["InferenceSpecification"]["Containers"][0]
    assert (container["Image"], container["ModelDataUrl"]) == ({"Get": "Parameters.Image"}, {"Get": "Parameters.Model"})


def test_another_pipelines_definition_is_refused():
    with pytest.raises(new_threshold.NotThePipeline, match="has no step Evaluate"):
        new_threshold.derive('{"Steps": [{"Name": "Stage"}], "Parameters": []}')


def test_every_figure_it_asks_for_is_in_an_evaluation(text):
    asked = set(re.findall(r'"Std:JsonGet": ?{"Path": ?"([^"]+)"', text))
    assert {"gate.accuracy", "metadata.classes"} <= asked
    for path in asked:
        group, name = path.split(".")
        assert name in example("evaluation")[group]
