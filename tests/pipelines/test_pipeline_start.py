"""What a start by a build takes over from executions before it."""

import pytest

from pipelines import __main__ as command
from pipelines import executions


class SageMaker:
    """Executions, newest first, as (title, status, learning rate)."""

    def __init__(self, *executions):
        self.executions = executions

    def list_pipeline_executions(self, **_):
        names = ("PipelineExecutionArn", "PipelineExecutionDisplayName", "PipelineExecutionStatus")
        listed = [(str(n), title, status) for n, (title, status, _) in enumerate(self.executions)]
        return {"PipelineExecutionSummaries": [dict(zip(names, summary, strict=True)) for summary in listed]}

    def list_pipeline_parameters_for_execution(self, **request):
        rate = self.executions[int(request["PipelineExecutionArn"])][2]
        return {"PipelineParameters": [{"Name": "LearningRate", "Value": rate}, {"Name": "Gone", "Value": "1"}]}


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
    assert command._last_values(SageMaker(*executions), "loadingbay") == {"LearningRate": rate}


def test_the_first_execution_has_the_defaults():
    assert command._last_values(SageMaker(), "loadingbay") == {}
