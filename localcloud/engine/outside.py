"""Steps that wait for something other than a job: a Lambda function's answer, a callback's, an endpoint's deployment.

A Callback step sends a message with a token to an SQS queue; whoever reads it answers the token with
SendPipelineExecutionStepSuccess or SendPipelineExecutionStepFailure, see `localcloud.resources.callbacks`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.api import ApiError
from localcloud.engine import deployments
from localcloud.engine.definition import Step
from localcloud.engine.parameters import ParameterError, typed
from localcloud.engine.references import as_text
from localcloud.engine.steps import Context, Document, StepError, resolved

TYPES = ("Lambda", "Callback", "Endpoint")
TOKEN_KIND = "pipeline-callback"  # noqa: S105  a kind of document
# AWS does not document how long a callback may take; without an end a forgotten one would never be noticed.
CALLBACK_SECONDS = 7 * 86_400
MAX_REASON = 256


def request(context: Context, step: Step) -> Document:
    """Return what a step sends: `target` (ARN of a function, URL of a queue) and `arguments`, references replaced."""
    if step.type == "Endpoint":
        return deployments.request(context, step)
    target = resolved(context, step, step.target)
    if not isinstance(target, str) or not target:
        member = "FunctionArn" if step.type == "Lambda" else "SqsQueueUrl"
        raise StepError(f"ClientError: {member} of step {step.name} is {target!r}; it must be a string.")
    return {"target": target, "arguments": resolved(context, step, step.arguments)}


def metadata(context: Context, step: Step, sent: Document, token: str) -> Document:
    """The member Metadata of the step while it runs."""
    if step.type == "Endpoint":
        return {"Endpoint": {"Arn": context.cloud.arn("endpoint", sent["target"])}}
    if step.type == "Lambda":
        return {"Lambda": {"Arn": sent["target"]}}
    return {"Callback": {"CallbackToken": token, "SqsQueueUrl": sent["target"]}}


def outcome(act: Callable[[], Document]) -> Document | StepError:
    """What `act` returns, or the StepError that it raises."""
    try:
        return act()
    except StepError as error:
        return error


def store_token(context: Context, step: Step, token: str) -> None:
    """Make a token one that can be answered."""
    waiting = {"execution": context.arn, "step": step.name, "outputs": [output.name for output in step.outputs]}
    context.cloud.store.put(TOKEN_KIND, token, waiting, parent=context.arn)


def stored_answer(context: Context, document: Document) -> Document | None:
    """The answer to a Callback step, if there is one yet."""
    answer: Document | None = (context.cloud.store.get(TOKEN_KIND, document.get("_token", "")) or {}).get("answer")
    return answer


def invoke(context: Context, step: Step, sent: Document) -> Document:
    """Invoke the function, or deploy the endpoint, and wait for it; the members that the step's document gets.

    StepError if it fails.
    """
    if step.type == "Endpoint":
        return deployments.deploy(context, step, sent)
    try:
        answer = (
            context.identity()
            .client("lambda")
            .invoke(FunctionName=sent["target"], Payload=json.dumps(sent["arguments"]).encode())
        )
        text = answer["Payload"].read().decode()
        payload = json.loads(text or "null")
    except (ApiError, ClientError, BotoCoreError) as error:
        raise StepError(f"ClientError: Failed to invoke lambda:InvokeFunction. Error Details: {error}") from None
    except (ValueError, RecursionError) as error:
        raise StepError(f"ClientError: The answer of {sent['target']} is not JSON: {error}.") from None
    if answer.get("FunctionError"):
        details = payload if isinstance(payload, dict) else {}
        what = f"{details.get('errorType', 'Error')}: {details.get('errorMessage', text)}"
        raise StepError(f"ClientError: The Lambda function {sent['target']} failed. {what}")
    if step.outputs and not isinstance(payload, dict):
        raise StepError(
            f"ClientError: The Lambda function {sent['target']} must return an object with its OutputParameters."
        )
    return outputs(step, payload if isinstance(payload, dict) else {})


def send(context: Context, step: Step, sent: Document, token: str, status: str = "Executing") -> None:
    """Send the message of a callback; `status` is Stopping when the execution is being stopped meanwhile."""
    body = {
        "token": token,
        "pipelineExecutionArn": context.arn,
        "stepName": step.name,
        "arguments": sent["arguments"],
        "status": status,
    }
    try:
        context.identity().client("sqs").send_message(QueueUrl=sent["target"], MessageBody=json.dumps(body))
    except (ApiError, ClientError, BotoCoreError) as error:
        raise StepError(f"ClientError: Failed to invoke sqs:SendMessage. Error Details: {error}") from None


def outputs(step: Step, given: Mapping[str, Any]) -> Document:
    """Metadata and properties of a step that has got its output parameters; StepError if one is missing or wrong."""
    values: Document = {}
    for output in step.outputs:
        if output.name not in given:
            raise StepError(f"ClientError: The answer has no {output.name!r}, an OutputParameter of step {step.name}.")
        try:
            values[output.name] = typed(output.type, as_text(given[output.name]))
        except ParameterError:
            raise StepError(
                f"ClientError: OutputParameter {output.name!r} of step {step.name} is of type {output.type}; "
                f"{given[output.name]!r} is not."
            ) from None
    listed = [{"Name": name, "Value": as_text(value)[:1024]} for name, value in values.items()]
    return {"_properties": {"OutputParameters": values}, "_outputs": listed}


def finished(document: Document, members: Document) -> Document:
    """The step's document with the output parameters of its answer."""
    listed = members.pop("_outputs")
    (kind,) = document["Metadata"]
    shown = {**document["Metadata"][kind], **({"OutputParameters": listed} if listed else {})}
    return {**document, **members, "Metadata": {kind: shown}}


def answer_of(step: Step, answer: Document) -> Document:
    """The members for a callback that was answered; StepError if the answer is a failure."""
    if "failure" in answer:
        raise StepError(f"ClientError: {answer['failure'] or 'The callback was answered with a failure.'}")
    return outputs(step, answer["outputs"])
