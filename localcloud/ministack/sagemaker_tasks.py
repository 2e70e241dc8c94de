"""SageMaker's operations as tasks of state machines, and jobs that a task waits for (`.sync`).

Source: AWS Step Functions Developer Guide, "Create and manage Amazon SageMaker AI jobs with Step Functions" and
"Learning to use AWS service SDK integrations in Step Functions".
"""

import json
from collections.abc import Callable
from typing import Any

from localcloud.api import ApiError
from localcloud.api.shapes import service_model
from localcloud.ministack.asl import histories, limits, runs
from localcloud.ministack.asl.errors import StoppedError

OPTIMIZED = "arn:aws:states:::sagemaker:"
SDK = "arn:aws:states:::aws-sdk:sagemaker:"

_JOBS = ("TrainingJob", "ProcessingJob", "TransformJob", "HyperParameterTuningJob")
_INTEGRATED = frozenset(
    [*(f"Create{job}" for job in _JOBS), "CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint"]
)
_ENDED = ("Completed", "Failed", "Stopped")
_MODELLED = ("ResourceNotFound", "ResourceInUse", "ResourceLimitExceeded", "ConflictException")
_LOOK_SECONDS = 0.5
_MOST_SHOWN = 10_000

Call = Callable[[str, dict[str, Any]], dict[str, Any]]


def run(call: Call, resource: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The result of a task; `call(operation, request)` asks SageMaker. LookupError(name, cause) fails the task."""
    by_sdk = resource.startswith(SDK)
    action, _, pattern = resource.removeprefix(SDK if by_sdk else OPTIMIZED).partition(".")
    operation = f"{action[:1].upper()}{action[1:]}"
    if not by_sdk and operation not in _INTEGRATED:
        raise LookupError("States.Runtime", f"{resource} is no integration of SageMaker's that Step Functions has.")
    kind = operation.removeprefix("Create")
    if pattern and (pattern != "sync" or by_sdk or kind not in _JOBS):
        raise LookupError("States.Runtime", f"{resource} cannot be waited for.")
    _check_fields(operation, parameters)
    answer = _plain(_asked(call, operation, parameters, by_sdk))
    if not pattern:
        return answer
    histories.submitted(answer)
    return _plain(_awaited(call, kind, parameters[f"{kind}Name"]))


def _check_fields(operation: str, parameters: dict[str, Any]) -> None:
    """LookupError for a parameter that the operation does not have. SageMaker itself passes it over."""
    model = service_model("sagemaker")
    shape = model.operation_model(operation).input_shape if operation in model.operation_names else None
    unknown = [name for name in parameters if shape is not None and name not in shape.members]
    if unknown:
        shown = limits.as_json(parameters)[:_MOST_SHOWN]
        problem = f'The field "{unknown[0]}" is not supported by Step Functions'
        raise LookupError(
            "States.Runtime", f"The Parameters '{shown}' could not be used to start the Task: [{problem}]"
        )


def _asked(call: Call, operation: str, parameters: dict[str, Any], by_sdk: bool) -> dict[str, Any]:
    try:
        return call(operation, parameters)
    except ApiError as error:
        general = "SageMaker.SageMakerException" if by_sdk else "SageMaker.AmazonSageMakerException"
        name = f"SageMaker.{error.code.removesuffix('Exception')}Exception" if error.code in _MODELLED else general
        cause = f"{error.message} (Service: SageMaker, Status Code: {error.status}, Error Code: {error.code})"
        raise LookupError(name, cause) from None


def _awaited(call: Call, kind: str, name: str) -> dict[str, Any]:
    """A job, as Describe tells of it once it has ended; it is stopped with its execution, and with its task's time."""
    named, run_ = {f"{kind}Name": name}, runs.current()
    try:
        while (job := call(f"Describe{kind}", named))[f"{kind}Status"] not in _ENDED:
            run_.wait(_LOOK_SECONDS)
    except StoppedError:
        call(f"Stop{kind}", named)
        raise
    if job[f"{kind}Status"] != "Completed":
        raise LookupError("States.TaskFailed", limits.as_json(_plain(job)))
    return job


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as JSON, with times in milliseconds as Step Functions gives them."""
    made = json.loads(json.dumps(answer, default=str))
    for name, value in made.items():
        if name.endswith("Time") and isinstance(value, int | float):
            made[name] = int(value * 1000)
    return dict(made)
