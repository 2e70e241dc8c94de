"""What a start by a build takes over from executions before it."""

import pytest

from pipelines import __main__ as command
from pipelines import executions
from tests.fakes.fake_sagemaker import FakeSageMaker

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/loadingbay/execution/"


def having(*executions):
    """A SageMaker with these executions, newest first, each (title, status, learning rate)."""
    sagemaker = FakeSageMaker()
    summaries = [
        {
            "PipelineExecutionArn": f"{ARN}{number}",
            "PipelineExecutionDisplayName": title,
            "PipelineExecutionStatus": status,
        }
        for number, (title, status, _) in enumerate(executions)
    ]
    sagemaker.answer("ListPipelineExecutions", {"PipelineExecutionSummaries": summaries})

    def parameters(PipelineExecutionArn):  # noqa: N803 - AWS names its arguments so
        rate = executions[int(PipelineExecutionArn.removeprefix(ARN))][2]
        return {"PipelineParameters": [{"Name": "LearningRate", "Value": rate}, {"Name": "Gone", "Value": "1"}]}

    sagemaker.answer("ListPipelineParametersForExecution", parameters)
    return sagemaker


@pytest.mark.parametrize(
    ("executions", "rate"),
    [
        ([("a", "Failed", "9"), ("b", "Succeeded", "0.05"), ("c", "Succeeded", "0.1")], "0.05"),
        ([("a", "Failed", "9"), ("b", "Stopped", "8")], "9"),
        ([(f"{executions.TRIAL}x-001", "Succeeded", "9"), ("b", "Succeeded", "0.05")], "0.05"),
    ],
    ids=["the last that succeeded", "the last where none did", "no trial of a search"],
)
def test_the_parameters_are_those_of(executions, rate):
    assert command._last_values(having(*executions), "loadingbay") == {"LearningRate": rate}


def test_the_first_execution_has_the_defaults():
    assert command._last_values(having(), "loadingbay") == {}
