"""The runner: upserts only what changed, and follows an execution to its end."""

from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from pipelines import executions
from pipelines.executions import Execution, Step
from pipelines.training_log import Epoch

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/loadingbay/execution/abcdefghijkl"
PIPELINE = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/loadingbay"
ROLE = "arn:aws:iam::000000000000:role/r"
JOB = "arn:aws:sagemaker:us-east-1:000000000000:training-job/pipelines-abc-Train-xyz"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def sagemaker():
    return boto3.client(
        "sagemaker", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )  # fmt: skip


@pytest.fixture
def stub(sagemaker):
    with Stubber(sagemaker) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def _pipeline(definition):
    return {"PipelineArn": PIPELINE, "PipelineDefinition": definition, "RoleArn": ROLE}


def test_a_pipeline_that_is_not_there_is_created(sagemaker, stub):
    stub.add_client_error("describe_pipeline", "ResourceNotFound")
    stub.add_response("create_pipeline", {"PipelineArn": PIPELINE})
    assert executions.upsert(sagemaker, '{"Version":1}', ROLE) == "created"


def test_a_pipeline_that_is_the_same_is_left_alone(sagemaker, stub):
    stub.add_response("describe_pipeline", _pipeline('{"Version":1}'))
    assert executions.upsert(sagemaker, '{"Version":1}', ROLE) == "unchanged"


def test_a_pipeline_that_differs_is_updated(sagemaker, stub):
    stub.add_response("describe_pipeline", _pipeline('{"Version":0}'))
    stub.add_response(
        "update_pipeline",
        {"PipelineArn": PIPELINE},
        {"PipelineName": "loadingbay", "PipelineDefinition": '{"Version":1}', "RoleArn": ROLE},
    )
    assert executions.upsert(sagemaker, '{"Version":1}', ROLE) == "updated"


def test_an_error_other_than_absence_is_not_taken_for_it(sagemaker, stub):
    stub.add_client_error("describe_pipeline", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        executions.upsert(sagemaker, "{}", ROLE)


def test_parameters_out_of_range_start_nothing(sagemaker, stub):
    with pytest.raises(ValueError, match="--epochs 0"):
        executions.start(
            sagemaker,
            {"InputData": "s3://bucket/x", "Champion": "s3://bucket/y", "LabelledPhotos": "s3://bucket/l", "Epochs": 0},
        )


def test_a_trial_runs_the_steps_it_names_under_its_title(sagemaker, stub):
    values: dict[str, str | int | float] = {
        "InputData": "s3://bucket/x",
        "Champion": "s3://bucket/y",
        "LabelledPhotos": "s3://bucket/l",
    }
    stub.add_response(
        "start_pipeline_execution",
        {"PipelineExecutionArn": ARN},
        {
            "PipelineName": "loadingbay",
            "PipelineParameters": [{"Name": name, "Value": value} for name, value in values.items()],
            "PipelineExecutionDisplayName": "tune-0001",
            "SelectiveExecutionConfig": {"SelectedSteps": [{"StepName": "Stage"}, {"StepName": "Train"}]},
        },
    )
    assert executions.start(sagemaker, values, steps=("Stage", "Train"), title="tune-0001") == ARN


def test_a_step_from_the_cache_is_told_from_one_that_ran(sagemaker, stub):
    source = ARN.replace("abcdefghijkl", "firstfirst11")
    _look(stub, "Executing", _step("Stage", CacheHitResult={"SourcePipelineExecutionArn": source}), _step("Train"))
    stage, train = executions.describe(sagemaker, ARN).steps
    assert (stage.cached, train.cached) == (True, False)
    assert train.job == JOB
    assert train.seconds == 60


def test_a_missed_gate_carries_its_message(sagemaker, stub):
    fail = {"StepName": "GateMissed", "StepStatus": "Failed", "Metadata": {"Fail": {"ErrorMessage": "0.6 below 0.85"}}}
    _look(stub, "Failed", fail)
    failed = executions.describe(sagemaker, ARN).failed
    assert failed.name == "GateMissed"
    assert failed.failure == "0.6 below 0.85"


class Logs:
    """A log that grows by one epoch at each look."""

    def __init__(self):
        self.looks = 0

    def describe_log_streams(self, **_):
        return {"logStreams": [{"logStreamName": "pipelines-abc-Train-xyz/algo-1-1"}]}

    def get_log_events(self, nextToken=None, **_):  # noqa: N803 - AWS's name
        if nextToken == f"t{self.looks}":
            return {"events": [], "nextForwardToken": nextToken}
        self.looks += 1
        line = f"phase=final epoch={self.looks}/3 train_loss=0.5"
        return {"events": [{"message": line}], "nextForwardToken": f"t{self.looks}"}


def test_following_yields_each_epoch_once_and_the_ended_execution_last(sagemaker, stub, monkeypatch):
    _look(stub, "Executing", _step("Stage"))
    _look(stub, "Executing", _step("Train", StepStatus="Executing", EndTime=None))
    _look(stub, "Succeeded", _step("Train"))
    slept = []
    seen = list(executions.follow(sagemaker, Logs(), ARN, interval=7, sleep=slept.append))
    assert isinstance(seen[-1], Execution)
    assert seen[-1].status == "Succeeded"
    epochs = [update.epoch for update in seen if isinstance(update, Epoch)]
    assert epochs == sorted(set(epochs))
    assert epochs
    assert slept == [7, 7]


def test_looks_that_take_long_are_further_apart(sagemaker, stub, monkeypatch):
    clock = iter([0, 2.0, 10, 10.01, 20, 20])  # began and ended, of each look
    monkeypatch.setattr(executions, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    for status in ("Executing", "Executing", "Succeeded"):
        _look(stub, status, _step("Stage"))
    slept = []
    list(executions.follow(sagemaker, Logs(), ARN, interval=0.25, sleep=slept.append))
    assert slept == [18, 0.25]


def test_following_reads_no_log_of_a_cached_training_job(sagemaker, stub):
    source = ARN.replace("abcdefghijkl", "firstfirst11")
    _look(stub, "Succeeded", _step("Train", CacheHitResult={"SourcePipelineExecutionArn": source}))
    seen = list(executions.follow(sagemaker, None, ARN))
    assert [type(update) for update in seen] == [Execution]


def test_an_execution_that_has_ended_is_not_stopped_again(sagemaker, stub):
    _look(stub, "Succeeded")
    assert executions.stop(sagemaker, ARN) == "Succeeded"


def test_stopping_waits_until_the_execution_has_ended(sagemaker, stub):
    _look(stub, "Executing")
    stub.add_response("stop_pipeline_execution", {"PipelineExecutionArn": ARN})
    _look(stub, "Stopping")
    _look(stub, "Stopped")
    assert executions.stop(sagemaker, ARN, interval=0) == "Stopped"


def test_an_output_that_a_step_does_not_have_is_named(sagemaker, stub):
    step = Step("Stage", "ProcessingJob", "Succeeded", NOON, NOON, False, "", "arn:aws:x:y:z:processing-job/stage-1")
    stub.add_response(
        "describe_processing_job",
        {
            "ProcessingJobName": "stage-1",
            "ProcessingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:processing-job/stage-1",
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 30}
            },
            "AppSpecification": {"ImageUri": "image"},
            "ProcessingJobStatus": "Completed",
            "CreationTime": NOON,
            "ProcessingOutputConfig": {
                "Outputs": [{"OutputName": "train", "S3Output": {"S3Uri": "s3://b/t", "S3UploadMode": "EndOfJob"}}]
            },
        },
    )
    with pytest.raises(LookupError, match="Stage has no output photos"):
        executions.output_uri(sagemaker, step, "photos")


def _step(name, **more):
    """A step as ListPipelineExecutionSteps gives it, with these members; None removes one."""
    step = {
        "StepName": name,
        "StepStatus": "Succeeded",
        "StartTime": NOON,
        "EndTime": NOON.replace(minute=1),
        "Metadata": {"TrainingJob": {"Arn": JOB}},
        **more,
    }
    return {key: value for key, value in step.items() if value is not None}


def _look(stub, status, *steps):
    stub.add_response(
        "describe_pipeline_execution", {"PipelineExecutionArn": ARN, "PipelineExecutionStatus": status}
    )  # fmt: skip
    stub.add_response("list_pipeline_execution_steps", {"PipelineExecutionSteps": list(steps)})
