"""Looking: status of what is there, and the right log for each name."""
# ruff: noqa: N803 - AWS names its arguments so

import time
from datetime import UTC, datetime

import boto3
import pytest
from moto import mock_aws

from loadingbay.errors import UsageError, WorkError
from loadingbay.serving import observe
from loadingbay.serving.observe import logs_of
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import FakeSageMaker

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/loadingbay/execution/abcdefghijkl"
JOBS = "arn:aws:sagemaker:us-east-1:000000000000"


def _sagemaker():
    """One execution: Stage (from the cache) done, Train failed; no registry, no endpoint."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    stage = {"ProcessingJob": {"Arn": f"{JOBS}:processing-job/stage-1"}}
    train = {"TrainingJob": {"Arn": f"{JOBS}:training-job/train-1"}}
    steps = [
        {
            "StepName": "Stage",
            "StepStatus": "Succeeded",
            "Metadata": stage,
            "CacheHitResult": {},
            "StartTime": at,
            "EndTime": at,
        },
        {"StepName": "Train", "StepStatus": "Failed", "Metadata": train, "StartTime": at, "EndTime": at},
    ]
    sagemaker = FakeSageMaker()
    sagemaker.answer("ListPipelineExecutions", {"PipelineExecutionSummaries": [{"PipelineExecutionArn": ARN}]})
    sagemaker.answer(
        "DescribePipelineExecution", {"PipelineExecutionStatus": "Failed", "FailureReason": "Train failed"}
    )
    sagemaker.answer("ListPipelineExecutionSteps", {"PipelineExecutionSteps": steps})
    sagemaker.answer("ListProcessingJobs", {"ProcessingJobSummaries": []})
    sagemaker.answer("DescribePipeline", {"PipelineName": "loadingbay-monitoring"})
    return sagemaker


class Stack:
    def describe_stacks(self, StackName):
        outputs = [{"OutputKey": "EndpointName", "OutputValue": "loadingbay"}]
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]}


@pytest.fixture
def target(tmp_path, monkeypatch):
    """A stage with the logs of two jobs and a function, on moto's AWS."""
    with mock_aws():
        logs = boto3.client("logs", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        scheduler = boto3.client("scheduler", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
        clients = {"logs": logs, "sagemaker": _sagemaker(), "cloudformation": Stack(), "scheduler": scheduler}
        target = Target("endpoint", "http://127.0.0.1:1", "us-east-1", clients=clients)
        for group, stream, line in (
            ("/aws/sagemaker/ProcessingJobs", "stage-1/algo-1-1", "staged 1,100 photos"),
            ("/aws/sagemaker/TrainingJobs", "train-1/algo-1-1", "ValueError: no photos"),
            ("/aws/lambda/loadingbay-deploy-model", "2026/1", "Version 1 is live."),
        ):
            logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
            event = {"timestamp": time.time_ns() // 1_000_000, "message": line}
            logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
        logs.create_log_group(logGroupName="/aws/lambda/loadingbay-retrain")
        yield target


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("Stage", ["staged 1,100 photos"]),
        ("train", ["ValueError: no photos"]),
        ("deploy_model", ["Version 1 is live."]),
        ("deploy-model", ["Version 1 is live."]),
        ("model", ["Version 1 is live."]),
        (None, ["--- Train", "ValueError: no photos"]),
    ],
)
def test_a_name_leads_to_its_log_and_no_name_to_the_step_that_failed(target, name, lines):
    assert list(logs_of(target, name)) == lines


def test_a_name_without_a_log_says_which_there_are(target):
    with pytest.raises(UsageError, match=r"logs nonsense: .* steps of the last execution: Stage, Train; else monitor"):
        list(logs_of(target, "nonsense"))


def test_a_step_that_has_not_run_is_not_taken_for_a_lambda(target):
    target.client("sagemaker").answer("ListPipelineExecutions", {"PipelineExecutionSummaries": []})
    with pytest.raises(UsageError, match=r"logs Train: .* steps of the last execution: none yet"):
        list(logs_of(target, "Train"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("monitor", "`loadingbay monitor` runs one"),
        ("endpoint", "nothing was written to /aws/sagemaker/Endpoints/loadingbay yet"),
        ("verification", "Endpoints/loadingbay-verify"),
        ("retrain", "nothing was written to /aws/lambda/loadingbay-retrain yet"),
    ],
)
def test_a_log_that_is_still_empty_says_so(target, name, says):
    with pytest.raises(WorkError, match=says):
        list(logs_of(target, name))


def test_status_is_whole_when_half_of_it_is_not_there_yet(target):
    document = observe.status_of(target)
    assert document["pipeline"]["status"] == "Failed"
    assert [s["cached"] for s in document["pipeline"]["steps"]] == [True, False]
    assert document["versions"] == []
    assert document["endpoint"] is None
    assert document["stack"]["outputs"] == {"EndpointName": "loadingbay"}
    assert document["monitoring"]["schedule"] is None
    assert "the schedule loadingbay-monitoring is gone" in document["monitoring"]["missing"][0]
