"""AWS JSON 1.1 for SageMaker's control plane: read the request, run the registered operation, answer in AWS's form."""

import asyncio
import contextvars
import errno
import json
import logging
import re
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.model import OperationModel

from localcloud.api import OPERATIONS, ApiError, Handler
from localcloud.api.shapes import check_request, service_model, shape_answer
from localcloud.cloud import SIGNED_BY, Cloud
from localcloud.iam.identities import Identity, authorize
from localcloud.iam.visitors import Visitor
from localcloud.resources.trials import batch_put_metrics

logger = logging.getLogger("localcloud")

TARGET_PREFIX = "SageMaker."
METRICS = "BatchPutMetrics"
"""The one operation of the service SageMaker Metrics, which is a PUT to a path of its name."""
_SMALLER = ("sagemaker-runtime", "sagemaker-featurestore-runtime", "sagemaker-a2i-runtime", "sagemaker-edge")
"""Services that are signed as SageMaker, and whose requests have paths."""
Answer = tuple[int, dict[str, str], bytes]


class Protocol:
    """Answers SageMaker's requests; `handle` has the signature that MiniStack's dispatcher expects of a service."""

    def __init__(
        self,
        cloud: Cloud,
        signed_by: Callable[[Mapping[str, str]], tuple[str, str] | None] = lambda _: None,
        visitor: Callable[[Mapping[str, str]], Visitor | None] = lambda _: None,
    ) -> None:
        """Both functions are given a request's headers.

        `signed_by` gives (ARN, id) of the role or user that signed it, None for the owner; `visitor` the owner of
        another account if such a one signed it.
        """
        self._cloud = cloud
        self._signed_by, self._visitor = signed_by, visitor
        self._model = service_model("sagemaker")
        self._names = set(self._model.operation_names)
        # Operations may block on SQLite, S3 or a process; the event loop must not.
        self._threads = ThreadPoolExecutor(32, thread_name_prefix="sagemaker")

    async def handle(self, method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Answer:
        """Answer one HTTP request with (status, headers, body); whatever fails is answered as an AWS JSON error."""
        target = headers.get("x-amz-target", "")
        name = target.removeprefix(TARGET_PREFIX)
        if (method, path) == ("PUT", f"/{METRICS}"):
            name = METRICS
        elif method != "POST" or not target.startswith(TARGET_PREFIX):
            return error_answer(ApiError("UnknownOperationException", _not_served(method, path), 404))
        try:
            visitor = self._visitor(headers)
            caller = visitor or self._cloud.identities.caller(headers)
            SIGNED_BY.set((visitor.arn, str(visitor.account)) if visitor else self._signed_by(headers))
            context = contextvars.copy_context()
            answer = await asyncio.get_running_loop().run_in_executor(
                self._threads, context.run, self.call_json, name, body, caller
            )
        except ApiError as error:
            return error_answer(error)
        except (sqlite3.OperationalError, OSError) as error:
            if not _disk_refuses(error):
                logger.exception("%s failed", name)
                return error_answer(_internal(name, error))
            # A status that AWS's clients do not try again.
            message = f"{name} was not done, because its state cannot be stored ({error}): free some space."
            return error_answer(ApiError("InsufficientStorage", message, 507))
        except Exception as error:
            logger.exception("%s failed", name)
            return error_answer(_internal(name, error))
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()

    def call_json(self, name: str, body: bytes, caller: Identity | None = None) -> dict[str, Any]:
        """`call` with the request as JSON bytes."""
        try:
            request = json.loads(body, parse_constant=_no_constant) if body else {}
        except ValueError:
            raise ApiError("SerializationException", f"The body of {name} is not JSON.") from None
        return self.call(name, request, caller)

    def call(self, name: str, given: dict[str, Any], caller: Identity | None = None) -> dict[str, Any]:
        """Run one operation, validated as over HTTP, and return its answer; may be called from any thread.

        `caller` must have the permissions that the operation needs; None is the local cloud itself, which has all.
        ApiError if the operation does not exist, the request is invalid or the operation refuses it.
        """
        if name == METRICS:
            metrics = service_model("sagemaker-metrics").operation_model(name)
            return self._run(name, batch_put_metrics, metrics, given, caller)
        handler = OPERATIONS.get(name)
        if handler is None:
            if name in self._names:
                raise ApiError(
                    "UnknownOperationException",
                    f"The local cloud does not implement SageMaker's operation {name}. "
                    f"It implements: {', '.join(sorted(OPERATIONS))}.",
                )
            raise ApiError("UnknownOperationException", f"SageMaker has no operation {name!r}.")
        return self._run(name, handler, self._model.operation_model(name), given, caller)

    def _run(
        self, name: str, handler: Handler, model: OperationModel, given: dict[str, Any], caller: Identity | None
    ) -> dict[str, Any]:
        """Check and authorize a request, run its handler, and return the answer in the model's form."""
        request = check_request(model.input_shape, given)
        if caller is not None:
            authorize(caller, name, request, self._cloud.settings)
        answer = handler(self._cloud, request) or {}
        if model.output_shape is None:
            return {}
        shaped: dict[str, Any] = shape_answer(model.output_shape, answer, self._cloud.settings.strict)
        return shaped

    def close(self) -> None:
        """Let running operations end and start no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _not_served(method: str, path: str) -> str:
    """A sentence that names the operation of SageMaker's smaller services that a request without a target is for."""
    for service in _SMALLER:
        model = service_model(service)
        for name in model.operation_names:
            http = model.operation_model(name).http
            place = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(http["requestUri"].partition("?")[0]))
            if http["method"] == method and re.fullmatch(place, path):
                return f"The local cloud does not implement {name} of {model.metadata['serviceFullName']}."
    return f"{method} {path} is not a SageMaker request: the header X-Amz-Target must name an operation."


def _internal(name: str, error: Exception) -> ApiError:
    return ApiError("InternalFailure", f"{name} failed: {type(error).__name__}: {error}", 500)


def _disk_refuses(error: sqlite3.OperationalError | OSError) -> bool:
    """Whether nothing can be written: the disk is full, broken or read-only."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
    # The last byte is the kind of error, the others say more about it.
    kind = error.sqlite_errorcode & 0xFF
    return kind in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def _no_constant(name: str) -> None:
    """NaN and Infinity, which Python's parser reads, are not JSON."""
    raise ValueError(f"{name} is not JSON")


def error_answer(error: ApiError) -> Answer:
    """An error as AWS JSON 1.1 carries it."""
    body = {"__type": error.code, "message": error.message, **error.members}
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": error.code}
    return error.status, headers, json.dumps(body).encode()
