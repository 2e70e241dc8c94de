"""SageMaker's operations as tasks of state machines, and jobs that a task waits for."""

import json
from typing import Any

import pytest

from localcloud.api import ApiError
from localcloud.ministack.sagemaker_tasks import OPTIMIZED, SDK, run
from tests.localcloud.ministack.asl.conftest import Machines
from tests.localcloud.pipeline_kit import ROLE, Kit


@pytest.fixture
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


@pytest.fixture
def machines(cloud: Any) -> Machines:
    return Machines(cloud)


class SageMaker:
    """Stands for SageMaker: what it is asked, and its answers, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), list[str]()

    def __call__(self, operation: str, request: dict[str, Any]) -> Any:
        self.asked.append(operation)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def failed(resource: str, *answers: Any) -> tuple[str, str]:
    with pytest.raises(LookupError) as error:
        run(SageMaker(*answers), resource, {"TrainingJobName": "j"})
    return error.value.args[0], error.value.args[1]


def test_an_operation_is_asked_by_its_name() -> None:
    sagemaker = SageMaker({"CreationTime": 1.5, "Models": []})

    assert run(sagemaker, f"{SDK}listModels", {}) == {"CreationTime": 1500, "Models": []}
    assert sagemaker.asked == ["ListModels"]


def test_a_job_is_waited_for() -> None:
    ended = {"TrainingJobStatus": "Completed", "TrainingJobName": "j"}
    sagemaker = SageMaker({"TrainingJobArn": "arn"}, {"TrainingJobStatus": "InProgress"}, ended)

    assert run(sagemaker, f"{OPTIMIZED}createTrainingJob.sync", {"TrainingJobName": "j"}) == ended
    assert sagemaker.asked == ["CreateTrainingJob", "DescribeTrainingJob", "DescribeTrainingJob"]


def test_a_job_that_fails_is_described_in_the_cause() -> None:
    name, cause = failed(
        f"{OPTIMIZED}createTrainingJob.sync", {}, {"TrainingJobStatus": "Failed", "FailureReason": "x"}
    )

    assert (name, json.loads(cause)["FailureReason"]) == ("States.TaskFailed", "x")


@pytest.mark.parametrize(
    ("resource", "code", "name"),
    [
        (f"{OPTIMIZED}createTrainingJob", "ResourceInUse", "SageMaker.ResourceInUseException"),
        (f"{OPTIMIZED}createTrainingJob", "ValidationException", "SageMaker.AmazonSageMakerException"),
        (f"{SDK}createTrainingJob", "ValidationException", "SageMaker.SageMakerException"),
    ],
)
def test_a_refusal_has_the_name_of_the_sdks_exception(resource: str, code: str, name: str) -> None:
    assert failed(resource, ApiError(code, "no")) == (
        name,
        f"no (Service: SageMaker, Status Code: 400, Error Code: {code})",
    )


@pytest.mark.parametrize(
    "resource", [f"{OPTIMIZED}listModels", f"{OPTIMIZED}createModel.sync", f"{SDK}createTrainingJob.sync"]
)
def test_what_step_functions_lacks_is_refused(resource: str) -> None:
    assert failed(resource)[0] == "States.Runtime"


@pytest.mark.parametrize("resource", [f"{OPTIMIZED}createModel", f"{SDK}createModel"])
def test_a_field_that_the_operation_lacks_is_refused(resource: str) -> None:
    with pytest.raises(LookupError) as error:
        run(SageMaker(), resource, {"ModelName": "m", "S3Operations": {}})
    assert error.value.args[0] == "States.Runtime"
    assert '[The field "S3Operations" is not supported by Step Functions]' in error.value.args[1]


def test_a_state_machine_runs_a_job(kit: Kit, machines: Machines) -> None:
    request = kit.processing("job", "open('/opt/ml/processing/out/done', 'w').write('yes')")["Arguments"]
    parameters = {"ProcessingJobName.$": "$.name", "RoleArn": ROLE, **request}
    state = {"Type": "Task", "Resource": f"{OPTIMIZED}createProcessingJob.sync", "Parameters": parameters}

    ended = machines.ended(machines.start(state, {"name": f"{kit.prefix}-task"}))

    assert json.loads(ended["output"])["ProcessingJobStatus"] == "Completed", ended
    assert kit.get("out/job/done") == b"yes"


def test_a_job_is_stopped_with_the_time_of_its_task(kit: Kit, machines: Machines) -> None:
    request = kit.processing("job", "import time; time.sleep(600)")["Arguments"]
    parameters = {"ProcessingJobName": f"{kit.prefix}-late", "RoleArn": ROLE, **request}
    state = {"Type": "Task", "Resource": f"{OPTIMIZED}createProcessingJob.sync", "Parameters": parameters}

    ended = machines.ended(machines.start({**state, "TimeoutSeconds": 4}))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    assert kit.wait_job(f"{kit.prefix}-late")["ProcessingJobStatus"] == "Stopped"
