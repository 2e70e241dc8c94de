"""Functions and events as tasks, and errors under the names that AWS has."""

import json
from typing import Any

import pytest

from localcloud.ministack.asl.errors import StateError
from localcloud.ministack.asl.integrations import Integrations

INVOKE = "arn:aws:states:::lambda:invoke"


class Emulator:
    """Stands for the emulator's modules: what was called, and what that raises or gives."""

    def __init__(self, outcome: Any = None) -> None:
        self.outcome, self.calls = outcome, list[tuple[Any, ...]]()

    def _call(self, *given: Any) -> Any:
        self.calls.append(given)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    _invoke_resource = _call_lambda = _send_event = _call

    def _resolve_lambda_function_ref(self, reference: str, optimized: bool) -> str:
        return reference


def called(resource: str, given: Any, outcome: Any = None) -> tuple[Any, list[tuple[Any, ...]]]:
    """The result of a task, and the calls of the emulator."""
    emulator = Emulator(outcome)
    return Integrations(emulator, emulator).invoke(resource, given), emulator.calls


def failed(resource: str, given: Any, outcome: Any = None) -> StateError:
    with pytest.raises(StateError) as error:
        called(resource, given, outcome)
    return error.value


def test_a_function_is_given_its_payload_or_nothing() -> None:
    result, calls = called(INVOKE, {"FunctionName": "f", "Qualifier": "2", "Payload": {"a": 1}}, "done")
    _, bare = called(INVOKE, {"FunctionName": "f"})

    assert result == {"ExecutedVersion": "2", "Payload": "done", "StatusCode": 200}
    assert (calls, bare) == ([("f:2", {"a": 1})], [("f", {})])


def test_a_function_may_be_sent_an_event() -> None:
    result, calls = called(INVOKE, {"FunctionName": "f", "InvocationType": "Event", "Payload": 1})

    assert (result["StatusCode"], result["Payload"], calls) == (202, "", [("f", 1)])


def test_the_sdk_gives_and_takes_text() -> None:
    resource = "arn:aws:states:::aws-sdk:lambda:invoke"

    result, calls = called(resource, {"FunctionName": "f", "Payload": '{"a":1}'}, {"b": 2})
    error, _ = called(resource, {"FunctionName": "f"}, StateError("ValueError", '{"errorType":"ValueError"}'))

    assert (result["Payload"], calls) == ('{"b":2}', [("f", {"a": 1})])
    assert (error["FunctionError"], error["Payload"]) == ("Unhandled", '{"errorType":"ValueError"}')
    assert failed(resource, {"FunctionName": "f", "Payload": "{"}).error == "Lambda.InvalidRequestContentException"


@pytest.mark.parametrize(
    ("resource", "given", "problem"),
    [
        (INVOKE, {}, "'FunctionName' must be a STRING"),
        (INVOKE, {"FunctionName": 5}, "'FunctionName' must be a STRING"),
        (INVOKE, [1], "The parameters must be an object"),
        ("arn:aws:states:::events:putEvents", {"Entries": "x"}, "'Entries' must be an array of objects"),
    ],
)
def test_parameters_that_do_not_fit_are_named(resource: str, given: Any, problem: str) -> None:
    error = failed(resource, given)

    assert error.error == "States.Runtime"
    assert error.cause.startswith(f"The Parameters '{json.dumps(given)}' could not be used to start the Task: [")
    assert problem in error.cause


def test_a_failure_of_the_emulators_own_is_one_of_the_parameters() -> None:
    error = failed("arn:aws:states:::sns:publish", {"Message": 5}, AttributeError("'int' object has no ..."))

    assert error.error == "States.Runtime"
    assert "could not be used to start the Task: ['int' object" in error.cause


@pytest.mark.parametrize(
    ("raised", "name", "cause"),
    [
        (StateError("SQS.QueueDoesNotExist", "gone"), "SQS.QueueDoesNotExistException", "gone"),
        (StateError("Sfn.InvalidArnException", "bad"), "Sfn.InvalidArnException", "bad"),
        (StateError("States.Runtime", "missing"), "States.Runtime", "missing"),
        (
            StateError("SNS.PublishFailed", "<ErrorResponse><Error><Code>NotFound</Code><Message>x</Message></Error>"),
            "SNS.NotFoundException",
            "x",
        ),
    ],
)
def test_errors_have_the_names_of_the_sdks_exceptions(raised: StateError, name: str, cause: str) -> None:
    error = failed("arn:aws:states:::sqs:sendMessage", {}, raised)

    assert (error.error, error.cause) == (name, cause)


def test_an_event_that_fails_fails_the_task() -> None:
    resource, entry = "arn:aws:states:::events:putEvents", {"Source": "s", "Detail": {"a": 1}}

    _, calls = called(resource, {"Entries": [entry]}, {"FailedEntryCount": 0, "Entries": []})
    error = failed(resource, {"Entries": [entry]}, {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "x"}]})

    assert calls[0][1]["Entries"] == [{"Source": "s", "Detail": '{"a":1}'}]
    assert (error.error, json.loads(error.cause)["FailedEntryCount"]) == ("EventBridge.FailedEntry", 1)
