"""Integrations of Task states: functions and events as AWS calls them, and errors under AWS's names.

Source: AWS Step Functions Developer Guide, "Invoke an AWS Lambda function with Step Functions" and "Add EventBridge
events with Step Functions".
"""

import json
import logging
import math
import re
from typing import Any

from localcloud.ministack.asl import limits
from localcloud.ministack.asl.errors import RUNTIME, StateError, StoppedError

logger = logging.getLogger("localcloud")

_SERVICES = ":::"
_INVOKE = ":::lambda:invoke"
_SDK_INVOKE = ":::aws-sdk:lambda:invoke"
_EVENTS = ":::events:putEvents"
_CODE, _MESSAGE = re.compile("<Code>(.*?)</Code>"), re.compile("<Message>(.*?)</Message>", re.DOTALL)
_MOST_SHOWN = 10_000
# How the emulator says that it lacks an integration.
_MISSING = re.compile("MiniStack|not yet implemented")


class Integrations:
    """What the emulator calls for a task's resource, with parameters and errors as on AWS."""

    def __init__(self, states: Any, functions: Any) -> None:
        """`functions` is the emulator's module of Lambda."""
        self._states, self._functions = states, functions

    def send(self, reference: str, payload: Any) -> None:
        """Invoke a function, by name or ARN, asynchronously."""
        function, config, name = self._functions._get_func_record_for_ref(reference)
        if not function or not config:
            raise StateError("Lambda.ResourceNotFoundException", f"Function not found: {name}")
        record = self._functions._execution_record_for_config(function, config)
        self._functions.invoke_async_with_retry(record, payload)

    def invoke(self, resource: str, given: Any) -> Any:
        """The result of the task. StateError for parameters that do not fit, and for what the service refuses."""
        if _SERVICES not in resource:
            return self._states._invoke_resource(resource, given)
        if not isinstance(given, dict):
            raise _unfit(given, "The parameters must be an object")
        for ending, call in ((_INVOKE, self._function), (_SDK_INVOKE, self._function), (_EVENTS, self._events)):
            if resource.endswith(ending):
                return call(resource, given)
        try:
            return self._states._invoke_resource(resource, given)
        except StoppedError:
            raise
        except StateError as error:
            if _MISSING.search(error.cause):
                raise StateError(RUNTIME, f"The integration {resource} is not served by this local cloud.") from None
            raise _named(error) from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            logger.warning("%s could not be called", resource, exc_info=True)
            raise _unfit(given, str(error)) from error

    def longest(self, resource: str, given: Any) -> float:
        """After how many seconds a call ends by itself: that of a function at the function's time-out."""
        if not (_SERVICES in resource and resource.endswith(_INVOKE) and isinstance(given, dict)):
            return math.inf
        _, config, _ = self._functions._get_func_record_for_ref(str(given.get("FunctionName")))
        return float((config or {}).get("Timeout", math.inf))

    def _function(self, resource: str, given: dict[str, Any]) -> dict[str, Any]:
        """`lambda:invoke`; by the SDK with payloads as text."""
        name = given.get("FunctionName")
        if not isinstance(name, str) or not name:
            raise _unfit(given, "The value for the field 'FunctionName' must be a STRING")
        qualifier = given.get("Qualifier")
        reference = f"{name}:{qualifier}" if qualifier else name
        reference = self._states._resolve_lambda_function_ref(reference, optimized=True)
        payload = given.get("Payload", {})
        as_text = resource.endswith(_SDK_INVOKE)
        if as_text and isinstance(payload, str):
            try:
                payload = json.loads(payload or "{}")
            except ValueError as error:
                message = f"Could not parse request body into json: {error}"
                raise StateError("Lambda.InvalidRequestContentException", message) from None
        answer = {"ExecutedVersion": str(qualifier or "$LATEST")}
        if given.get("InvocationType") == "Event":
            self._states._send_event(reference, payload)
            return {**answer, "Payload": "", "StatusCode": 202}
        try:
            result = self._states._call_lambda(reference, payload)
        except StateError as error:
            if not as_text or error.error.startswith("Lambda."):
                raise
            return {**answer, "FunctionError": "Unhandled", "Payload": error.cause, "StatusCode": 200}
        return {**answer, "Payload": limits.as_json(result) if as_text else result, "StatusCode": 200}

    def _events(self, resource: str, given: dict[str, Any]) -> Any:
        """`events:putEvents`, where an event's detail may be an object; it fails if one of them does."""
        entries = given.get("Entries")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise _unfit(given, "The value for the field 'Entries' must be an array of objects")
        sent = [
            {**entry, "Detail": limits.as_json(entry["Detail"])} if isinstance(entry.get("Detail"), dict) else entry
            for entry in entries
        ]
        try:
            result = self._states._invoke_resource(resource, {**given, "Entries": sent})
        except StateError as error:
            raise _named(error) from None
        if result.get("FailedEntryCount"):
            raise StateError("EventBridge.FailedEntry", limits.as_json(result))
        return result


def _unfit(given: Any, problem: str) -> StateError:
    shown = json.dumps(given, default=str)[:_MOST_SHOWN]
    return StateError(RUNTIME, f"The Parameters '{shown}' could not be used to start the Task: [{problem}]")


def _named(error: StateError) -> StateError:
    """The error under the name of the SDK's exception: SQS.QueueDoesNotExistException."""
    name, cause = error.error, error.cause
    if cause.startswith("<ErrorResponse") and (code := _CODE.search(cause)):
        told = _MESSAGE.search(cause)
        name, cause = f"{name.partition('.')[0]}.{code[1]}", told[1] if told else cause
    if "." in name and not name.startswith("States.") and not name.endswith("Exception"):
        name += "Exception"
    return StateError(name, cause)
