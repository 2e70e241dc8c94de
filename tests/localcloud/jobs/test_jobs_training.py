"""Training jobs over HTTP: script mode by the training toolkit, the model's archive, metrics, checkpoints, ends."""

import io
import tarfile
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.mounting import skip_unless_found
from tests.localcloud.pipeline_kit import Kit
from tests.waiting import soon

TRAIN = """
import argparse, os, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
epochs = parser.parse_args().epochs
assert (pathlib.Path(os.environ["SM_CHANNEL_TRAIN"]) / "part.txt").read_text() == "1,2,3"
for epoch in range(1, epochs + 1):
    print(f"epoch={epoch} train_loss={1 / epoch:.3f}")
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
(model / "code").mkdir()
(model / "weights.bin").write_bytes(bytes(range(256)) * 100)
(model / "code" / "inference.py").write_text("# handler")
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "history.json").write_text("[]")
"""
SPOT = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}


@pytest.fixture
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


def plain(kit: Kit, script: str) -> dict[str, Any]:
    """An algorithm that runs `script` without the toolkit, which takes a second to start."""
    skip_unless_found(script)
    kit.put("data/train/script.py", script)
    entry = ["python3", "/opt/ml/input/data/train/script.py"]
    return {"TrainingImage": "image", "TrainingInputMode": "File", "ContainerEntrypoint": entry}


def members(body: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        return tar.getmembers()


def test_script_mode_trains_and_the_model_is_stored(cloud: Any, kit: Kit) -> None:
    algorithm = {
        "TrainingImage": "image",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "train_loss=([0-9.]+)"}],
    }
    name = kit.training_job(TRAIN, {"epochs": "3"}, AlgorithmSpecification=algorithm)
    job = kit.wait_job(name, "training")
    assert job["TrainingJobStatus"] == "Completed", job
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == kit.uri(f"models/{name}/output/model.tar.gz")
    assert [(m["MetricName"], round(m["Value"], 3)) for m in job["FinalMetricDataList"]] == [("loss", 0.333)]
    found = cloud.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="loss",
        Dimensions=[{"Name": "TrainingJobName", "Value": name}],
        StartTime=job["TrainingStartTime"],
        EndTime=job["TrainingEndTime"] + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert round(sum(point["Sum"] for point in found), 3) == 1.833
    statuses = [t["Status"] for t in job["SecondaryStatusTransitions"]]
    assert statuses == ["Pending", "Downloading", "Training", "Uploading", "Completed"]
    packed = members(kit.get(f"models/{name}/output/model.tar.gz"))
    assert [m.name for m in packed] == ["code/inference.py", "weights.bin"]
    assert {(m.mtime, m.uid, m.uname) for m in packed} == {(0, 0, "")}
    assert [m.name for m in members(kit.get(f"models/{name}/output/output.tar.gz"))] == ["history.json"]
    kit.wait_log(name, "epoch=3 train_loss=0.333", "Training")


def test_a_script_that_raises_leaves_the_exception_as_the_reason(kit: Kit) -> None:
    name = kit.training_job("raise ValueError('learning rate 9 is too large')", {"epochs": "1"})
    job = kit.wait_job(name, "training")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: ValueError: learning rate 9 is too large, exit code: 1"
    kit.wait_log(name, "Traceback (most recent call last):", "Training")


def test_without_a_network_the_code_comes_as_a_channel(kit: Kit) -> None:
    script = "print('from the channel')"
    request = kit.training_request(script)
    address = request["HyperParameters"]["sagemaker_submit_directory"]
    request["HyperParameters"]["sagemaker_submit_directory"] = place = "/opt/ml/input/data/code/sourcedir.tar.gz"
    skip_unless_found(place)
    source = {"S3DataType": "S3Prefix", "S3Uri": address.rpartition("/")[0] + "/"}
    request["InputDataConfig"].append({"ChannelName": "code", "DataSource": {"S3DataSource": source}})
    name = kit.training_job(script, **request, EnableNetworkIsolation=True, EnableInterContainerTrafficEncryption=True)
    job = kit.wait_job(name, "training")
    assert job["TrainingJobStatus"] == "Completed", job
    assert job["EnableNetworkIsolation"]
    assert job["EnableInterContainerTrafficEncryption"]
    kit.wait_log(name, "from the channel", "Training")


def test_the_same_files_make_the_same_archive(kit: Kit) -> None:
    script = "import pathlib, time; pathlib.Path('/opt/ml/model/w').write_bytes(b'w' * 1000); time.sleep(1.1)"
    names = [kit.training_job("", AlgorithmSpecification=plain(kit, script)) for _ in range(2)]
    for name in names:
        assert kit.wait_job(name, "training")["TrainingJobStatus"] == "Completed"
    first, second = (kit.get(f"models/{name}/output/model.tar.gz") for name in names)
    assert first == second


def test_a_failure_file_is_the_reason(kit: Kit) -> None:
    script = "open('/opt/ml/output/failure', 'w').write('no photos'); raise SystemExit(5)"
    job = kit.wait_job(kit.training_job("", AlgorithmSpecification=plain(kit, script)), "training")
    assert job["FailureReason"] == "AlgorithmError: no photos, exit code: 5"


def test_a_stopped_job_keeps_the_model_it_has(kit: Kit) -> None:
    script = """
import pathlib, signal, sys, time
def save(*_):
    pathlib.Path("/opt/ml/model/partial").write_text("epoch 3")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(600)
"""
    name = kit.training_job("", AlgorithmSpecification=plain(kit, script))
    kit.wait_log(name, "ready", "Training")
    kit.sm.stop_training_job(TrainingJobName=name)
    job = kit.wait_job(name, "training")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert [m.name for m in members(kit.get(f"models/{name}/output/model.tar.gz"))] == ["partial"]


def test_max_runtime_ends_a_job_as_documented(kit: Kit) -> None:
    name = kit.training_job(
        "",
        AlgorithmSpecification=plain(kit, "import time; time.sleep(60)"),
        StoppingCondition={"MaxRuntimeInSeconds": 1},
    )
    job = kit.wait_job(name, "training")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_checkpoints_reach_s3_while_the_job_runs_and_come_back_to_the_next(kit: Kit) -> None:
    script = """
import pathlib, sys, time
folder = pathlib.Path("/opt/ml/checkpoints")
if (folder / "epoch-1").exists():
    print("resumed", flush=True)
    sys.exit(0)
(folder / "epoch-1").write_text("state")
time.sleep(600)
"""
    checkpoints = {"S3Uri": kit.uri("checkpoints")}
    first = kit.training_job("", AlgorithmSpecification=plain(kit, script), CheckpointConfig=checkpoints)
    assert soon(lambda: kit.keys("checkpoints/") == ["checkpoints/epoch-1"])
    kit.sm.stop_training_job(TrainingJobName=first)
    kit.wait_job(first, "training")
    spot: dict[str, Any] = {"EnableManagedSpotTraining": True, "StoppingCondition": SPOT}
    second = kit.training_job("", AlgorithmSpecification=plain(kit, script), CheckpointConfig=checkpoints, **spot)
    job = kit.wait_job(second, "training")
    assert job["TrainingJobStatus"] == "Completed"
    assert {name: job[name] for name in spot} == spot
    assert job["CheckpointConfig"] == checkpoints
    kit.wait_log(second, "resumed", "Training")


@pytest.mark.parametrize(
    ("spot", "condition", "words"),
    [
        (False, {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}, "only supported when EnableManagedSpot"),
        (True, {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 30}, "present and be greater than or equal to"),
        (True, {"MaxRuntimeInSeconds": 60}, "present and be greater than or equal to"),
    ],
)
def test_a_time_to_wait_that_aws_does_not_take_is_refused(
    kit: Kit, spot: bool, condition: dict[str, int], words: str
) -> None:
    request = {**kit.training_request(""), "StoppingCondition": condition, "EnableManagedSpotTraining": spot}
    with pytest.raises(ClientError, match=words):
        kit.sm.create_training_job(TrainingJobName=f"{kit.prefix}-spot", **request)


def test_each_host_of_a_job_has_a_process_and_their_models_are_merged(kit: Kit) -> None:
    script = """
import json, pathlib, socket, time
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
me = config["current_host"]
(other,) = set(config["hosts"]) - {me}
listener = socket.create_server((me, 29871))
while True:
    try:
        socket.create_connection((other, 29871))
        break
    except ConnectionRefusedError:
        time.sleep(0.1)
listener.accept()
pathlib.Path(f"/opt/ml/model/{config['hosts'].index(me)}").write_text("seen")
"""
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30}
    name = kit.training_job("", AlgorithmSpecification=plain(kit, script), ResourceConfig=resources)
    job = kit.wait_job(name, "training")
    assert job["TrainingJobStatus"] == "Completed", job
    assert [m.name for m in members(kit.get(f"models/{name}/output/model.tar.gz"))] == ["0", "1"]


def test_a_job_gets_the_first_instances_that_it_would_take(kit: Kit) -> None:
    script = "import json, os\nassert len(json.load(open('/opt/ml/input/config/resourceconfig.json'))['hosts']) == 2\n"
    preferences = [{"InstanceType": "ml.m5.large", "InstanceCount": 2}, {"InstanceType": "ml.m5.xlarge"}]
    resources = {"InstancePreferences": preferences, "VolumeSizeInGB": 30}
    name = kit.training_job("", AlgorithmSpecification=plain(kit, script), ResourceConfig=resources)
    job = kit.wait_job(name, "training")
    assert job["TrainingJobStatus"] == "Completed", job
    # `Estimator.attach` of the SDK takes the key for granted.
    assert job["OutputDataConfig"]["KmsKeyId"] == ""
    selected = {"SelectedInstanceType": "ml.m5.large", "SelectedInstanceCount": 2}
    assert job["ResourceConfig"] == {**resources, **selected}


@pytest.mark.parametrize(
    "resources",
    [
        {"InstanceType": "ml.m5.large"},
        {"InstanceCount": 1},
        {"InstanceType": "ml.m5.large", "InstancePreferences": [{"InstanceType": "ml.m5.large"}]},
    ],
)
def test_instances_are_given_once(kit: Kit, resources: dict[str, Any]) -> None:
    request = kit.training_request("") | {"ResourceConfig": {"VolumeSizeInGB": 30, **resources}}
    with pytest.raises(ClientError, match="resourceConfig: give "):
        kit.sm.create_training_job(TrainingJobName=f"{kit.prefix}-x", **request)


def test_one_host_that_fails_ends_the_others(kit: Kit) -> None:
    script = """
import json, time
config = json.load(open("/opt/ml/input/config/resourceconfig.json"))
if config["current_host"] == config["hosts"][1]:
    raise SystemExit(7)
time.sleep(600)
"""
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30}
    name = kit.training_job("", AlgorithmSpecification=plain(kit, script), ResourceConfig=resources)
    job = kit.wait_job(name, "training")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].endswith("exit code: 7")


def test_pipe_mode_is_refused_by_name(kit: Kit) -> None:
    request = kit.training_request("")
    request["AlgorithmSpecification"]["TrainingInputMode"] = "Pipe"
    with pytest.raises(ClientError, match="does not support the input mode Pipe"):
        kit.sm.create_training_job(TrainingJobName=f"{kit.prefix}-pipe", **request)


@pytest.mark.parametrize(
    ("source", "channel", "words"),
    [
        ({}, {"RecordWrapperType": "RecordIO"}, "'train' with RecordWrapperType RecordIO"),
        ({}, {"CompressionType": "Gzip"}, "'train' with CompressionType Gzip"),
        ({"S3DataType": "AugmentedManifestFile"}, {}, "'train' with a DataSource other than"),
        (
            {"S3DataDistributionType": "ShardedByS3Key"},
            {"ShuffleConfig": {"Seed": 1}},
            "'train' with ShuffleConfig",
        ),
    ],
)
def test_a_channel_of_pipe_mode_is_refused_by_name(
    kit: Kit, source: dict[str, Any], channel: dict[str, Any], words: str
) -> None:
    request = kit.training_request("")
    request["InputDataConfig"][0].update(channel)
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"].update(source)
    with pytest.raises(ClientError, match=words):
        kit.sm.create_training_job(TrainingJobName=f"{kit.prefix}-refused", **request)


def test_fast_file_mode_and_a_shuffle_leave_files_as_they_are(kit: Kit) -> None:
    request = kit.training_request("print(open('/opt/ml/input/data/train/part.txt').read())")
    request["InputDataConfig"][0].update(InputMode="FastFile", ShuffleConfig={"Seed": 1})
    kit.sm.create_training_job(TrainingJobName=kit.prefix, **request)
    job = kit.wait_job(kit.prefix, "training")
    assert job["TrainingJobStatus"] == "Completed", job
    assert "1,2,3" in kit.log(kit.prefix, "Training")


def test_an_ended_job_is_deleted_and_its_name_is_free(kit: Kit) -> None:
    name = kit.training_job("", AlgorithmSpecification=plain(kit, "import time; time.sleep(600)"))
    with pytest.raises(ClientError, match="Delete it when it has ended") as error:
        kit.sm.delete_training_job(TrainingJobName=name)
    assert error.value.response["Error"]["Code"] == "ResourceInUse"
    kit.sm.stop_training_job(TrainingJobName=name)
    kit.wait_job(name, "training")
    kit.sm.delete_training_job(TrainingJobName=name)
    with pytest.raises(ClientError, match="Requested resource not found"):
        kit.sm.delete_training_job(TrainingJobName=name)
    kit.sm.create_training_job(TrainingJobName=name, **kit.training_request("print('again')"))
    assert kit.wait_job(name, "training")["TrainingJobStatus"] == "Completed"


def test_what_would_be_ignored_is_refused_by_name(kit: Kit) -> None:
    request = kit.training_request("")
    with pytest.raises(ClientError, match="does not implement MlflowConfig"):
        kit.sm.create_training_job(
            TrainingJobName=f"{kit.prefix}-x",
            MlflowConfig={"MlflowResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:mlflow-app/a"},
            **request,
        )


def test_an_unknown_job_is_told_in_the_words_of_aws(kit: Kit) -> None:
    with pytest.raises(ClientError, match="Requested resource not found") as error:
        kit.sm.describe_training_job(TrainingJobName="nothing")
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_debugger_profiler_and_their_rules_are_recorded(kit: Kit) -> None:
    place = {"S3OutputPath": kit.uri("debug")}
    rules = [{"RuleConfigurationName": "LossNotDecreasing", "RuleEvaluatorImage": "sagemaker-debugger-rules:latest"}]
    given: dict[str, Any] = {
        "DebugHookConfig": place,
        "DebugRuleConfigurations": rules,
        "ProfilerConfig": place,
        "ProfilerRuleConfigurations": rules,
        "ExperimentConfig": {"TrialComponentDisplayName": "training"},
    }
    job = kit.training_job("", AlgorithmSpecification=plain(kit, "print('trained')"), **given)
    described = kit.wait_job(job, "training")
    assert described["TrainingJobStatus"] == "Completed", described
    assert {name: described[name] for name in ("DebugHookConfig", "ExperimentConfig")} == {
        name: given[name] for name in ("DebugHookConfig", "ExperimentConfig")
    }
    for name in ("DebugRuleConfigurations", "ProfilerRuleConfigurations"):
        assert described[name] == [{"VolumeSizeInGB": 0, **rules[0]}]
    assert described["ProfilerConfig"] == {"ProfilingIntervalInMilliseconds": 500, **place}
    assert described["ProfilingStatus"] == "Enabled"


@pytest.mark.parametrize("path", ["/opt/ml/output/tensorboard", "/opt/ml/boards"])
def test_files_for_tensorboard_are_uploaded(path: str, kit: Kit) -> None:
    script = f"import pathlib; pathlib.Path('{path}/events').write_text('loss')"
    config = {"S3OutputPath": kit.uri("board"), "LocalPath": path}
    job = kit.training_job("", AlgorithmSpecification=plain(kit, script), TensorBoardOutputConfig=config)
    described = kit.wait_job(job, "training")
    assert described["TrainingJobStatus"] == "Completed", described
    assert kit.get(f"board/{job}/tensorboard-output/events") == b"loss"


def test_the_page_is_cut_before_the_status(kit: Kit) -> None:
    kit.wait_job(kit.training_job("raise SystemExit(1)"), "training")
    kit.wait_job(kit.training_job("print('done')"), "training")

    failed = {"NameContains": kit.prefix, "StatusEquals": "Failed", "SortOrder": "Descending", "MaxResults": 1}
    listed = kit.sm.list_training_jobs(**failed)
    rest = kit.sm.list_training_jobs(**failed, NextToken=listed["NextToken"])

    assert listed["TrainingJobSummaries"] == []
    assert [job["TrainingJobStatus"] for job in rest["TrainingJobSummaries"]] == ["Failed"]


def test_a_script_of_the_toolkit_ends_in_order_when_stopped(kit: Kit) -> None:
    script = """
import os, pathlib, signal, sys, time
def save(*_):
    time.sleep(0.3)
    pathlib.Path(os.environ["SM_MODEL_DIR"], "partial").write_text("epoch 3")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(600)
"""
    name = kit.training_job(script)
    kit.wait_log(name, "ready", "Training")
    kit.sm.stop_training_job(TrainingJobName=name)
    job = kit.wait_job(name, "training")
    assert job["TrainingJobStatus"] == "Stopped"
    assert [m.name for m in members(kit.get(f"models/{name}/output/model.tar.gz"))] == ["partial"]
