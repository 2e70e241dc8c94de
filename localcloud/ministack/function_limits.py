"""Limits of Lambda functions: the size of what they are given and answer, their variables, and their time.

Sources: AWS Lambda Developer Guide, "Lambda quotas" and "Defined runtime environment variables"; API reference, Invoke;
messages of AWS's that are public.
"""

import functools
import json
import re
from collections.abc import Callable
from typing import Any

from localcloud.ministack.private_names import find_names

MOST_REQUEST = 6_291_456
MOST_EVENT = 1_048_576
MOST_ANSWER = 6_291_556
MOST_VARIABLES = 4_096
LONGEST_SECONDS = 900

_KINDS = ("Event", "RequestResponse", "DryRun")
_NAME = re.compile("[a-zA-Z][a-zA-Z0-9_]+")
_RESERVED = frozenset([
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
])  # fmt: skip
_UNCONFIGURED = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided"
)

Answer = tuple[int, dict[str, str], bytes]
Refusal = tuple[str, str, int]
"""Code, message and status."""


def refused_invocation(body: bytes, kind: str) -> Refusal | None:
    """Why Invoke refuses a payload; None if it takes it. `kind` is the InvocationType."""
    if kind and kind not in _KINDS:
        message = (
            f"1 validation error detected: Value '{kind[:100]}' at 'invocationType' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(_KINDS)}]"
        )
        return "ValidationException", message, 400
    if len(body) > MOST_REQUEST:
        message = f"Request must be smaller than {MOST_REQUEST} bytes for the InvokeFunction operation"
        return "RequestEntityTooLargeException", message, 413
    if kind == "Event" and len(body) > MOST_EVENT:
        message = f"{len(body)} byte payload is too large for the Event invocation type (limit {MOST_EVENT} bytes)"
        return "RequestEntityTooLargeException", message, 413
    try:
        json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        return "InvalidRequestContentException", f"Could not parse request body into json: {error}", 400
    return None


def refused_configuration(config: dict[str, Any]) -> Refusal | None:
    """Why a function may not be created or changed so; None if it may."""
    seconds = config.get("Timeout")
    if isinstance(seconds, int) and seconds > LONGEST_SECONDS:
        message = (
            f"1 validation error detected: Value '{seconds}' at 'timeout' failed to satisfy constraint: Member must "
            f"have value less than or equal to {LONGEST_SECONDS}"
        )
        return "ValidationException", message, 400
    environment = config.get("Environment")
    variables = environment.get("Variables") if isinstance(environment, dict) else None
    if not isinstance(variables, dict):
        return None
    wrong = next((name for name in variables if not _NAME.fullmatch(name)), None)
    if wrong is not None:
        message = (
            "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must "
            f"satisfy constraint: [Member must satisfy regular expression pattern: {_NAME.pattern}]: {wrong[:100]}"
        )
        return "ValidationException", message, 400
    if reserved := sorted(_RESERVED & variables.keys()):
        message = (
            f"{_UNCONFIGURED} contains reserved keys that are currently not supported for modification. Reserved keys "
            f"used in this request: {', '.join(reserved)}"
        )
        return "InvalidParameterValueException", message, 400
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode(errors="replace")) > MOST_VARIABLES:
        message = f"{_UNCONFIGURED} exceeded the 4KB limit. String measured: {measured}"
        return "InvalidParameterValueException", message, 400
    return None


def checked_result(result: dict[str, Any]) -> dict[str, Any]:
    """The result of an invocation as the emulator has it; an error in its place if the answer is too large."""
    body = result.get("body")
    if result.get("error") or body is None or isinstance(body, bool | int | float):
        return result
    sent_as_it_is = isinstance(body, bytes) or (isinstance(body, str) and result.get("raw_payload"))
    text = body if sent_as_it_is else json.dumps(body, ensure_ascii=False)
    try:
        size = len(text if isinstance(text, bytes) else text.encode())
    except UnicodeEncodeError as error:
        return _failed(result, "Runtime.MarshalError", f"Unable to marshal response: {error}")
    if size <= MOST_ANSWER:
        return result
    message = f"Response payload size exceeded maximum allowed payload size ({MOST_ANSWER} bytes)."
    return _failed(result, "Function.ResponseSizeTooLarge", message)


def _failed(result: dict[str, Any], kind: str, message: str) -> dict[str, Any]:
    return {**result, "body": {"errorMessage": message, "errorType": kind}, "error": True}


def install(main: Any, service: Any) -> None:
    """Patch `ministack.app` (`main`) and `ministack.services.lambda_svc` (`service`)."""
    find_names(service, "_execute_function", "_create_function", "_update_config", "error_response_json")
    handler, execute = main.SERVICE_HANDLERS["lambda"], service._execute_function

    def answered(refusal: Refusal) -> Answer:
        answer: Answer = service.error_response_json(*refusal)
        return answer

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
        """Answer a request to Lambda; an invocation only within its limits."""
        if method == "POST" and path.rstrip("/").endswith("/invocations"):
            refusal = refused_invocation(body, headers.get("x-amz-invocation-type", ""))
            if refusal:
                return answered(refusal)
        return await handler(method, path, headers, body, query)

    @functools.wraps(execute)
    def execute_within_limits(function: dict[str, Any], event: Any) -> dict[str, Any]:
        return checked_result(execute(function, event))

    def within_limits(work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, which takes a function's configuration last, for those that Lambda takes."""

        @functools.wraps(work)
        def checked(*given: Any) -> Any:
            refusal = refused_configuration(given[-1])
            return answered(refusal) if refusal else work(*given)

        return checked

    main.SERVICE_HANDLERS["lambda"] = handle
    service._execute_function = execute_within_limits
    service._create_function = within_limits(service._create_function)
    service._update_config = within_limits(service._update_config)
