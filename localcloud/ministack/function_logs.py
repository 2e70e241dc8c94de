"""What an invocation of a Lambda function wrote, between the platform's lines: in CloudWatch Logs and in its answer.

Source: AWS Lambda Developer Guide, "Sending Lambda function logs to CloudWatch Logs"; API reference, Invoke, LogType.
"""

import functools
import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from localcloud.ministack.private_names import find_names
from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

Answer = tuple[int, dict[str, Any], bytes]

_ASKED: ContextVar[dict[str, str]] = ContextVar("asked")
"""What Invoke is told of the invocation that it waits for."""
_INVOCATION = "x-localcloud-invocation"
"""A header, until the request's own id is replaced by what it has."""


_IDENTITY: ContextVar[str] = ContextVar("identity")
"""The request id of an asynchronous invocation, which is known before it is carried out; retries have the same."""


def tell(request_id: str) -> None:
    """Have the Invoke that is being answered, if it is one, answered with this request id."""
    if (asked := _ASKED.get(None)) is not None:
        asked[_INVOCATION] = request_id


@contextmanager
def known_as(request_id: str) -> Iterator[None]:
    """Functions that are invoked inside of the `with` have this request id."""
    token = _IDENTITY.set(request_id)
    try:
        yield
    finally:
        _IDENTITY.reset(token)


def install(
    main: Any, service: Any, put: Callable[[dict[str, Any], list[str]], None], usage: Callable[[], tuple[float, int]]
) -> None:
    """Patch `ministack.app` and `ministack.services.lambda_svc`; `put(configuration, lines)` writes a function's lines.

    `usage()` gives the milliseconds and megabytes of the invocation that this thread made. LogType=Tail answers with
    the same lines, and the answer's request id is the one that they have.
    """
    find_names(main, "_dispatch_service_request")
    find_names(service, "_emit_lambda_logs", "_execute_function_dispatch", "_invoke")
    answer_request = main._dispatch_service_request
    dispatch, invoke, written = service._execute_function_dispatch, service._invoke, threading.local()

    def write(
        func: dict[str, Any],
        request_id: str,
        text: str,
        error: bool,
        duration_ms: int,
        *,
        log_source: str | None = None,
    ) -> None:
        """Write the lines of one invocation; a failure to write is only logged."""
        config = func.get("config") or func
        took, megabytes = usage()
        memory = f"{config.get('MemorySize', 128)} MB\tMax Memory Used: {megabytes} MB"
        times = f"Duration: {took:.2f} ms\tBilled Duration: {math.ceil(took)} ms"
        written.lines = [
            f"START RequestId: {request_id} Version: {config.get('Version', '$LATEST')}",
            *(text or "").splitlines(),
            f"END RequestId: {request_id}",
            f"REPORT RequestId: {request_id}\t{times}\tMemory Size: {memory}",
        ]
        try:
            put(config, written.lines)
        except (Exception, DiskError):
            # As on AWS, an invocation does not fail for its log.
            logger.exception("the log of %s could not be written", config.get("FunctionName"))

    @functools.wraps(dispatch)
    def execute(func: dict[str, Any], config: dict[str, Any], event: Any, request_id: str, started: float) -> Any:
        """The result of an invocation; its `log` is all that was written, which Invoke cuts for LogType=Tail."""
        written.lines = []
        request_id = _IDENTITY.get(request_id)
        result = dispatch(func, config, event, request_id, started)
        tell(request_id)
        return {**result, "log": "".join(f"{line}\n" for line in written.lines)} if written.lines else result

    @functools.wraps(invoke)
    async def invoke_with_id(*given: Any, **named: Any) -> Answer:
        asked: dict[str, str] = {}
        token = _ASKED.set(asked)
        try:
            status, headers, body = await invoke(*given, **named)
        finally:
            _ASKED.reset(token)
        return status, {**headers, **asked}, body

    @functools.wraps(answer_request)
    async def answer_with_id(*request: Any) -> Answer:
        status, headers, body = await answer_request(*request)
        if identity := headers.pop(_INVOCATION, None):
            headers["x-amzn-requestid"] = identity
        return status, headers, body

    main._dispatch_service_request = answer_with_id
    service._emit_lambda_logs, service._execute_function_dispatch, service._invoke = write, execute, invoke_with_id
