"""Steps whose work is done outside of SageMaker's jobs: models, Lambda functions, callbacks."""

import io
import json
import tarfile
import uuid
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import waiting
from tests.localcloud.pipeline_kit import ROLE, Kit
from tests.waiting import Gate, soon

ANSWERS = """
def handler(event, context):
    if event.get("fail"):
        raise ValueError("no " + event["fail"])
    return {"statusCode": 200, "doubled": event["number"] * 2, "ratio": 0.5, "unused": None}
"""


@pytest.fixture
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


def function(kit: Kit, source: str = ANSWERS) -> str:
    """A deployed function; its ARN."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", source)
    created = kit.cloud.client("lambda").create_function(
        FunctionName=f"f-{uuid.uuid4().hex[:10]}",
        Runtime="python3.11",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=300,
    )
    arn: str = created["FunctionArn"]
    return arn


def lambda_step(name: str, arn: str, outputs: dict[str, str], **step: Any) -> dict[str, Any]:
    listed = [{"OutputName": output, "OutputType": kind} for output, kind in outputs.items()]
    return {"Name": name, "Type": "Lambda", "FunctionArn": arn, "OutputParameters": listed, **step}


def failing(message: Any, **step: Any) -> dict[str, Any]:
    """A Fail step: what its message says is what its references stood for."""
    return {"Name": "Say", "Type": "Fail", "Arguments": {"ErrorMessage": message}, **step}


def test_a_function_gets_arguments_and_leaves_typed_outputs(kit: Kit) -> None:
    arn = function(kit)
    outputs = {"statusCode": "String", "doubled": "Integer", "ratio": "Float"}
    message = {
        "Std:Join": {"On": " ", "Values": [{"Get": f"Steps.Call.OutputParameters['{name}']"} for name in outputs]}
    }
    call = lambda_step("Call", arn, outputs, Arguments={"number": {"Get": "Parameters.N"}})
    kit.pipeline(call, failing(message), parameters=[{"Name": "N", "Type": "Integer", "DefaultValue": 21}])
    execution = kit.start()
    kit.wait(execution)
    steps = kit.steps(execution)
    assert steps["Call"]["Metadata"]["Lambda"] == {
        "Arn": arn,
        "OutputParameters": [
            {"Name": "statusCode", "Value": "200"},
            {"Name": "doubled", "Value": "42"},
            {"Name": "ratio", "Value": "0.5"},
        ],
    }
    assert steps["Say"]["FailureReason"] == "200 42 0.5"


@pytest.mark.parametrize(
    ("arguments", "outputs", "reason"),
    [
        ({"fail": "photos"}, {}, "failed. ValueError: no photos"),
        ({"number": 1}, {"missing": "String"}, "The answer has no 'missing', an OutputParameter of step Call."),
        ({"number": 1}, {"ratio": "Integer"}, "'ratio' of step Call is of type Integer; 0.5 is not."),
    ],
)
def test_a_function_that_fails_fails_the_step(kit: Kit, arguments: Any, outputs: Any, reason: str) -> None:
    status, steps = kit.run(lambda_step("Call", function(kit), outputs, Arguments=arguments))
    assert status == "Failed"
    assert reason in steps["Call"]["FailureReason"]


def test_a_function_that_is_not_there_fails_the_step(kit: Kit) -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:absent"
    status, steps = kit.run(lambda_step("Call", arn, {}, Arguments={}))
    assert status == "Failed"
    assert steps["Call"]["FailureReason"].startswith("ClientError: Failed to invoke lambda:InvokeFunction.")


def test_a_function_does_not_hold_up_steps_beside_it(kit: Kit) -> None:
    with Gate() as gate:
        slow = function(kit, f"{gate.source}\ndef handler(event, context):\n    pass_gate()\n    return {{}}\n")
        kit.pipeline(lambda_step("Slow", slow, {}, Arguments={}), kit.processing("Beside", "pass"))
        arn = kit.start()
        gate.arrived()
        assert soon(lambda: kit.steps(arn).get("Beside", {}).get("StepStatus") == "Succeeded")
        assert kit.steps(arn)["Slow"]["StepStatus"] == "Executing"
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Succeeded"


def test_the_answer_of_a_function_is_cached(kit: Kit) -> None:
    cache = {"Enabled": True, "ExpireAfter": "30d"}
    kit.pipeline(lambda_step("Call", function(kit), {"doubled": "Integer"}, Arguments={"number": 1}, CacheConfig=cache))
    first = kit.start()
    kit.wait(first)
    second = kit.start()
    kit.wait(second)
    step = kit.steps(second)["Call"]
    assert step["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert step["Metadata"] == kit.steps(first)["Call"]["Metadata"]


def queue(kit: Kit) -> str:
    url: str = kit.cloud.client("sqs").create_queue(QueueName=f"q-{uuid.uuid4().hex[:10]}")["QueueUrl"]
    return url


def callback(url: str, **step: Any) -> dict[str, Any]:
    """A Callback step that sends to the queue at `url`."""
    return {
        "Name": "Ask",
        "Type": "Callback",
        "SqsQueueUrl": url,
        "Arguments": {"question": "sharp?"},
        "OutputParameters": [{"OutputName": "score", "OutputType": "Float"}],
        **step,
    }


def message(kit: Kit, url: str) -> dict[str, Any]:
    """The next message of a queue, as JSON."""
    body: dict[str, Any] = json.loads(waiting.message(kit.cloud.client("sqs"), url))
    return body


def score(value: str) -> list[dict[str, str]]:
    return [{"Name": "score", "Value": value}]


def test_a_callback_waits_for_the_answer_to_its_token(kit: Kit) -> None:
    url = queue(kit)
    kit.pipeline(callback(url), failing({"Get": "Steps.Ask.OutputParameters['score']"}))
    arn = kit.start()
    asked = message(kit, url)
    assert (asked["pipelineExecutionArn"], asked["arguments"], asked["status"]) == (
        arn,
        {"question": "sharp?"},
        "Executing",
    )
    assert kit.steps(arn)["Ask"]["Metadata"]["Callback"]["CallbackToken"] == asked["token"]
    for _ in range(2):
        answer = kit.sm.send_pipeline_execution_step_success(
            CallbackToken=asked["token"], OutputParameters=score("0.75")
        )
        assert answer["PipelineExecutionArn"] == arn
    kit.wait(arn)
    steps = kit.steps(arn)
    assert steps["Ask"]["Metadata"]["Callback"]["OutputParameters"] == score("0.75")
    assert steps["Say"]["FailureReason"] == "0.75"
    with pytest.raises(ClientError, match="has been answered already") as error:
        kit.sm.send_pipeline_execution_step_failure(CallbackToken=asked["token"], FailureReason="late")
    assert error.value.response["Error"]["Code"] == "ConflictException"


def test_a_callback_can_be_answered_with_a_failure(kit: Kit) -> None:
    url = queue(kit)
    kit.pipeline(callback(url))
    arn = kit.start()
    kit.sm.send_pipeline_execution_step_failure(CallbackToken=message(kit, url)["token"], FailureReason="too blurred")
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Failed"
    assert kit.steps(arn)["Ask"]["FailureReason"] == "ClientError: too blurred"


def test_answers_that_do_not_fit_are_refused(kit: Kit) -> None:
    url = queue(kit)
    kit.pipeline(callback(url))
    arn = kit.start()
    token = message(kit, url)["token"]
    with pytest.raises(ClientError, match="has no output parameter 'scor'"):
        kit.sm.send_pipeline_execution_step_success(
            CallbackToken=token, OutputParameters=[{"Name": "scor", "Value": "1"}]
        )
    with pytest.raises(ClientError, match="'absent0000' does not exist") as error:
        kit.sm.send_pipeline_execution_step_success(CallbackToken="absent0000")
    assert error.value.response["Error"]["Code"] == "ResourceNotFound"
    kit.sm.send_pipeline_execution_step_success(CallbackToken=token)
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Failed"
    assert "has no 'score'" in kit.steps(arn)["Ask"]["FailureReason"]


def test_a_stop_tells_the_queue_and_waits_for_the_answer(kit: Kit) -> None:
    url = queue(kit)
    kit.pipeline(callback(url))
    arn = kit.start()
    token = message(kit, url)["token"]
    kit.sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    told = message(kit, url)
    assert (told["token"], told["status"]) == (token, "Stopping")
    assert kit.sm.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"] == "Stopping"
    kit.sm.send_pipeline_execution_step_failure(CallbackToken=token, FailureReason="stopped")
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Stopped"


def asked(cloud: Any) -> tuple[str, str]:
    """An execution that waits for the answer to its message, and the message's token."""
    kit = Kit(cloud)
    url = queue(kit)
    kit.pipeline(callback(url))
    arn = kit.start()
    return arn, message(kit, url)["token"]


@pytest.mark.restarted(asked, "kill")
def test_a_callback_survives_a_kill(restarted: tuple[Any, tuple[str, str]]) -> None:
    again, (arn, token) = Kit(restarted[0]), restarted[1]
    again.sm.send_pipeline_execution_step_success(CallbackToken=token, OutputParameters=score("1"))
    assert again.wait(arn)["PipelineExecutionStatus"] == "Succeeded"


def model_step(kit: Kit, url: Any, **arguments: Any) -> dict[str, Any]:
    """A step that creates a model of the artifact at `url`."""
    container = {"Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/x:1", "ModelDataUrl": url}
    return {
        "Name": "Make",
        "Type": "Model",
        "Arguments": {"ExecutionRoleArn": ROLE, "PrimaryContainer": container, **arguments},
    }


def test_a_model_step_creates_a_model_with_a_name_of_its_own(kit: Kit) -> None:
    packed = io.BytesIO()
    tarfile.open(fileobj=packed, mode="w:gz").close()
    url = kit.put("model.tar.gz", packed.getvalue())
    kit.pipeline(model_step(kit, url), failing({"Get": "Steps.Make.ModelName"}))
    arn = kit.start()
    kit.wait(arn)
    steps = kit.steps(arn)
    name = steps["Say"]["FailureReason"]
    assert name.startswith(f"pipelines-{arn.rpartition('/')[2]}-Make-")
    assert steps["Make"]["Metadata"]["Model"]["Arn"] == kit.sm.describe_model(ModelName=name)["ModelArn"]


def test_a_model_whose_artifact_is_missing_fails_the_step(kit: Kit) -> None:
    status, steps = kit.run(model_step(kit, kit.uri("absent.tar.gz")))
    assert status == "Failed"
    assert (
        "Failed to invoke sagemaker:CreateModel. Error Details: Could not find model data"
        in (steps["Make"]["FailureReason"])
    )


def test_what_no_model_could_be_made_of_is_refused_at_creation(kit: Kit) -> None:
    step = model_step(kit, kit.uri("m.tar.gz"))
    step["Arguments"]["PrimaryContainer"]["InferenceSpecificationName"] = "other"
    with pytest.raises(ClientError, match=r"Step 'Make': .*InferenceSpecificationName"):
        kit.pipeline(step)
