"""Asynchronous invocations of Lambda functions, written down until they are done and run again after a kill.

An event that Invoke (InvocationType Event), a rule or a notification gave to a function has been acknowledged.
As on AWS it is delivered at least once: retried when the function fails, then sent to the function's dead letters.
Source: Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous invocation".
"""

import contextvars
import json
import logging
import threading
import time
import uuid
from typing import Any

from localcloud.ministack import function_logs
from localcloud.ministack.database import Database
from localcloud.ministack.private_names import find_names

logger = logging.getLogger("localcloud")

SCHEMA = """
CREATE TABLE IF NOT EXISTS invocations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, region TEXT NOT NULL, function TEXT NOT NULL,
  event TEXT NOT NULL, since REAL NOT NULL);
"""
_RETRIES, _LONGEST_AGE_SECONDS = 2, 21_600
_NAMES = (
    "invoke_async_with_retry", "_execute_function", "_route_async_failure", "_get_func_record_for_ref",
    "_execution_record_for_config", "_account_region_from_function_config", "_LAMBDA_ASYNC_RETRY_BASE_SECONDS",
    "_LAMBDA_ASYNC_RETRY_MAX_SECONDS", "_request_account_id", "_request_region",
)  # fmt: skip


class Invocations:
    """Replaces ministack.services.lambda_svc.invoke_async_with_retry by one that stores each invocation first."""

    def __init__(self, functions: Any, database: Database) -> None:
        find_names(functions, *_NAMES)
        self._functions, self._database = functions, database
        functions.invoke_async_with_retry = self.start
        self._left = list(database.rows("SELECT id, account, region, function, event, since FROM invocations"))

    def start(self, function: dict[str, Any], event: Any) -> None:
        """Invoke a function (a record of MiniStack's) with an event in the background; committed when this returns."""
        config = function.get("config") or function
        account, region = self._functions._account_region_from_function_config(config)
        since = time.time()
        identity = self._database.write(
            "INSERT INTO invocations (account, region, function, event, since) VALUES (?, ?, ?, ?, ?)",
            (account, region, config.get("FunctionArn", ""), json.dumps(event), since),
        ).lastrowid
        function_logs.tell(_request_id(int(identity or 0), since))
        self._run(int(identity or 0), account, region, function, event, since)

    def resume(self) -> int:
        """Run again what was not done when the process ended; how many invocations that are."""
        left, self._left = self._left, []
        for identity, account, region, arn, event, since in left:
            contextvars.copy_context().run(self._resume, identity, account, region, arn, json.loads(event), since)
        return len(left)

    def _resume(self, identity: int, account: str, region: str, arn: str, event: Any, since: float) -> None:
        """Run a stored invocation again; one of a function that no longer exists is dropped."""
        self._functions._request_account_id.set(account)
        self._functions._request_region.set(region)
        function, config, name = self._functions._get_func_record_for_ref(arn)
        if not function or not config:
            logger.warning("Lambda: the function %s of an event no longer exists", name)
            self._done(identity)
            return
        record = self._functions._execution_record_for_config(function, config)
        self._run(identity, account, region, record, event, since)

    def _run(
        self, identity: int, account: str, region: str, function: dict[str, Any], event: Any, since: float
    ) -> None:
        """Invoke the function in a thread for this account and region, then mark the invocation as done."""

        def work() -> None:
            self._functions._request_account_id.set(account)
            self._functions._request_region.set(region)
            self._invoke(function, event, since, _request_id(identity, since))
            self._done(identity)

        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(work,), name="async-invocation", daemon=True).start()

    def _invoke(self, function: dict[str, Any], event: Any, since: float, request_id: str) -> None:
        """Invoke a Lambda function with retries; a final failure goes to its OnFailure destination or DLQ."""
        config = function.get("config") or function
        configs = function.get("event_invoke_configs") or {}
        settings = function.get("event_invoke_config") or configs.get("$LATEST") or {}
        retries = settings.get("MaximumRetryAttempts")
        failed_to = (settings.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination")
        failed_to = failed_to or (config.get("DeadLetterConfig") or {}).get("TargetArn")
        result: dict[str, Any] = {}
        # The time of day may be set meanwhile; an event is not too old for that.
        began = time.monotonic() - max(0.0, time.time() - since)
        for attempt in range(int(_RETRIES if retries is None else retries) + 1):
            if attempt:
                first, most = (
                    self._functions._LAMBDA_ASYNC_RETRY_BASE_SECONDS,
                    self._functions._LAMBDA_ASYNC_RETRY_MAX_SECONDS,
                )
                delay = min(first * 2 ** (attempt - 1), most)
                oldest = int(settings.get("MaximumEventAgeInSeconds") or _LONGEST_AGE_SECONDS)
                if time.monotonic() - began + delay > oldest:
                    break
                time.sleep(delay)
            with function_logs.known_as(request_id):
                result = self._functions._execute_function(function, event)
            if not result.get("error"):
                return
        if failed_to:
            self._functions._route_async_failure(failed_to, config.get("FunctionName", "unknown"), event, result)

    def _done(self, identity: int) -> None:
        self._database.write("DELETE FROM invocations WHERE id = ?", (identity,))


def _request_id(identity: int, since: float) -> str:
    """The request id of a stored invocation, the same for its retries and after a restart."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{identity} {since!r}"))
