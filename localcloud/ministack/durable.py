"""The stores beside MiniStack's state files, opened together: what is acknowledged all the time is committed at once.

traffic.sqlite   messages of queues, executions of state machines, asynchronous invocations, points of metrics
logs.sqlite      log lines
s3-commits/      puts to S3 on their way
s3-uploads/      uploads to S3 in parts
s3-looked-at     its time is when objects were last looked at for torn ones
s3-folders.json  what a start found in folders of objects, for those that have not changed at the next one
"""

import asyncio
import functools
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localcloud.ministack import (
    execution_store,
    invocations,
    metrics,
    queues,
    s3_commits,
    s3_completion,
    s3_large,
    s3_lists,
    s3_loading,
    s3_paths,
    s3_ranges,
    s3_requests,
    s3_uploads,
)
from localcloud.ministack.clock import Clock
from localcloud.ministack.database import Database
from localcloud.ministack.execution_store import ExecutionStore
from localcloud.ministack.executions import IN_EXECUTION, Executions
from localcloud.ministack.invocations import Invocations
from localcloud.ministack.log_store import LogStore
from localcloud.ministack.logs import Logs
from localcloud.ministack.private_names import find_names
from localcloud.ministack.queues import Queues
from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

_SWEEP_SECONDS = 0.5
_PURGE_SECONDS = 600.0
# Operations of Logs that may read many lines, and their functions: not for the thread that serves all requests.
_LONG_READS = {
    "FilterLogEvents": "_filter_log_events",
    "GetLogEvents": "_get_log_events",
    "StartQuery": "_start_query",
    "GetLogGroupFields": "_get_log_group_fields",
    "DeleteLogGroup": "_delete_log_group",
}


def recover_objects(folder: Path, *, after_crash: bool = False) -> None:
    """Finish and repair puts to S3 that a kill interrupted; before MiniStack, which reads the objects when imported.

    StartError names an object that is damaged; after a crash of the machine their content is looked at too.
    """
    s3_commits.Commits(folder / "s3-commits").recover()
    # Times of files may be some milliseconds behind the clock.
    mark, now = folder / "s3-looked-at", time.time_ns() - 1_000_000_000
    if after_crash:
        (folder / "s3-folders.json").unlink(missing_ok=True)
    since = mark.stat().st_mtime_ns if mark.exists() and not after_crash else 0
    for path in s3_commits.repair(folder / "s3", since, after_crash=after_crash):
        logger.warning("S3: %s was torn by a kill and has been made readable", path)
    mark.touch()
    os.utime(mark, ns=(now, now))


class Durable:
    """Patches MiniStack's services to keep what they acknowledge in stores under `folder`."""

    def __init__(self, folder: Path, app: Any, modules: Mapping[str, Any], expire: Callable[[], None]) -> None:
        """Open the stores below `folder` and patch MiniStack's `modules` to write to them; stored messages are
        restored. `expire()` ends executions that took too long; it is called every half second.
        """
        self._expire = expire
        self._traffic = Database(
            folder / "state" / "traffic.sqlite",
            queues.SCHEMA + execution_store.SCHEMA + invocations.SCHEMA + metrics.SCHEMA,
        )
        self._log_store = LogStore(folder / "state" / "logs.sqlite")
        self.logs = Logs(modules["services.cloudwatch_logs"], self._log_store, IN_EXECUTION.get)
        self._queues = Queues(modules["services.sqs"], self._traffic)
        self._metrics = metrics.Metrics(modules["services.cloudwatch"], self._traffic)
        self.executions = ExecutionStore(self._traffic, self.settle)
        self._runs = Executions(modules["services.stepfunctions"], self.executions, self.settle)
        self._states = modules["services.stepfunctions"]
        self._invocations = Invocations(modules["services.lambda_svc"], self._traffic)
        self._keep_objects(folder, modules["services.s3"], modules["core.responses"])
        self._deliver_in_turn(modules)
        logs = modules["services.cloudwatch_logs"]
        find_names(logs, *_LONG_READS.values())
        find_names(self._states, "_finalize_response")
        self._read_in_threads(app, "logs", {name: getattr(logs, function) for name, function in _LONG_READS.items()})
        reads = {"GetExecutionHistory": "_get_execution_history", "RedriveExecution": "_redrive_execution"}
        self._read_in_threads(
            app, "states", {name: functools.partial(self._of_states, function) for name, function in reads.items()}
        )
        self._stopped = threading.Event()
        threading.Thread(target=self._sweep, name="store-sweeper", daemon=True).start()

    @staticmethod
    def _keep_objects(folder: Path, s3: Any, responses: Any) -> None:
        """Commit objects and parts of uploads in one step, and read them from their files."""
        find_names(responses, "StreamingResponse")
        uploads = s3_uploads.Uploads(folder / "s3-uploads")
        s3_lists.install(s3)
        s3_commits.install(s3, s3_commits.Commits(folder / "s3-commits"))
        s3_loading.load(s3, folder / "s3-folders.json")
        s3_paths.install(s3)
        s3_large.install(s3)
        s3_ranges.install(s3)
        s3_uploads.install(s3, uploads)
        s3_completion.install(s3, uploads)
        s3_requests.install(s3, responses.StreamingResponse)

    def _deliver_in_turn(self, modules: Mapping[str, Any]) -> None:
        """Let EventBridge and SNS, which have threads of their own, add messages to queues one at a time."""
        for module, name in (("services.eventbridge", "_dispatch_to_sqs"), ("services.sns", "_deliver_to_sqs")):
            find_names(modules[module], name)
            setattr(modules[module], name, self._queues.exclusive(getattr(modules[module], name)))

    def _of_states(self, function: str, request: dict[str, Any]) -> Any:
        """An operation of Step Functions that reads or writes a history: with large data some dozens of MB."""
        return self._states._finalize_response(getattr(self._states, function)(request))

    @staticmethod
    def _read_in_threads(app: Any, service: str, reads: Mapping[str, Callable[[dict[str, Any]], Any]]) -> None:
        """Answer long reads of a service, by operation, in threads, so that other requests do not wait for them."""
        handler = app.SERVICE_HANDLERS[service]

        async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
            read = reads.get(headers.get("x-amz-target", "").rpartition(".")[2])
            try:
                request = json.loads(body) if read else None
            except ValueError:
                request = None
            if read is None or not isinstance(request, dict):
                return await handler(method, path, headers, body, query)
            return await asyncio.to_thread(read, request)

        app.SERVICE_HANDLERS[service] = handle

    def settle(self) -> None:
        """Commit messages that services added to queues, and lines that functions wrote.

        DiskError if messages cannot be stored; lines wait on then, as nothing fails for its log.
        """
        self._queues.store_new()
        self._log_store.settle_if_possible()

    def resume(self, scope: Callable[[str, str], Any]) -> None:
        """Go on after a stop: invoke again what was not done, and tell of executions that failed by the stop.

        `scope(account, region)` is a context in which MiniStack acts for them.
        """
        count = self._invocations.resume()
        for (account, region, _), execution in self._runs.interrupted():
            count += 1
            with scope(account, region):
                self._states._emit_execution_status_event(execution)
        if count:
            logger.warning("%d executions and invocations were interrupted by the last stop", count)

    def _sweep(self) -> None:
        """Until stopped: commit what changed, and now and then remove log lines past their retention."""
        purged, clock = time.monotonic() - _PURGE_SECONDS + 5, Clock()
        while not self._stopped.wait(_SWEEP_SECONDS):
            try:
                jump = clock.jumped()
                if jump:
                    logger.warning("the machine's clock was set by %+.0f seconds", jump)
                    self._queues.shift(jump)
                self._expire()
                self.settle()
                self._metrics.store()
                self.executions.sweep()
                if time.monotonic() - purged > _PURGE_SECONDS and not self.logs.purge():
                    self._metrics.purge()
                    purged = time.monotonic()
            except (Exception, DiskError):
                logger.exception("the emulator's stores could not be written; it is tried again")
                self._stopped.wait(5)

    def close(self) -> None:
        """Commit what is left and close the files."""
        self._stopped.set()
        try:
            self.settle()
            self._metrics.store()
            self.executions.sweep()
        except (Exception, DiskError):
            logger.exception("the emulator's stores could not be written")
        self._traffic.close()
        self._log_store.close()
