"""SendPipelineExecutionStepSuccess and SendPipelineExecutionStepFailure: the answers to Callback steps."""

from typing import Any

from localcloud.api import ApiError, operation, validation_error
from localcloud.cloud import Cloud
from localcloud.engine.graph import ACTIVE
from localcloud.engine.outside import TOKEN_KIND
from localcloud.engine.records import STEP


@operation("SendPipelineExecutionStepSuccess")
def send_pipeline_execution_step_success(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """End a Callback step well, with its output parameters. A token takes one answer, which may be repeated."""
    given = request.get("OutputParameters", [])
    values = {item["Name"]: item["Value"] for item in given}
    if len(values) < len(given):
        raise validation_error("An output parameter is given more than once.")
    return _answer(cloud, request, {"outputs": values})


@operation("SendPipelineExecutionStepFailure")
def send_pipeline_execution_step_failure(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Fail a Callback step with a reason. A token takes one answer, which may be repeated."""
    return _answer(cloud, request, {"failure": request.get("FailureReason", "")})


def _answer(cloud: Cloud, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Store the answer to a callback token, once, and tell the engine; the operation's response.

    ApiError if the token is unknown, was answered otherwise, is no longer waited for, or names an output that the step
    does not have.
    """
    token = request["CallbackToken"]
    with cloud.store.transaction():
        waiting = cloud.store.get(TOKEN_KIND, token)
        if waiting is None:
            raise ApiError("ResourceNotFound", f"Callback token '{token}' does not exist.")
        if "answer" in waiting and waiting["answer"] != answer:
            raise ApiError("ConflictException", f"Callback token '{token}' has been answered already.")
        if "answer" not in waiting:
            step = cloud.store.get(STEP, f"{waiting['execution']}/{waiting['step']}") or {}
            if step.get("_token") != token or step["StepStatus"] not in ACTIVE:
                raise ApiError("ConflictException", f"Step {waiting['step']!r} does not wait for '{token}' any more.")
            unknown = sorted(set(answer.get("outputs", {})) - set(waiting["outputs"]))
            if unknown:
                raise validation_error(
                    f"Step {waiting['step']!r} has no output parameter {unknown[0]!r}. "
                    f"It has: {', '.join(waiting['outputs']) or 'none'}."
                )
            cloud.store.update(TOKEN_KIND, token, {"answer": answer})
    cloud.engine.answered(waiting["execution"], waiting["step"])
    return {"PipelineExecutionArn": waiting["execution"]}
