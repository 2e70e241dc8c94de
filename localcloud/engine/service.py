"""The executions of one local cloud that run: started, stopped, and resumed when the cloud starts again."""

from __future__ import annotations

import logging
import threading

from localcloud.cloud import Cloud
from localcloud.engine.graph import ACTIVE
from localcloud.engine.records import EXECUTION, MAX_FAILURE_REASON, RUNNING, Records
from localcloud.engine.scheduler import ExecutionRun
from localcloud.engine.step_types import JOBS
from localcloud.jobs.failure import bounded
from localcloud.jobs.service import JobService

logger = logging.getLogger("localcloud")


class Engine:
    """Runs executions, each in a thread of its own. All methods may be called from any thread."""

    def __init__(self, cloud: Cloud, jobs: JobService) -> None:
        self._jobs = jobs
        self._cloud = cloud
        self._lock = threading.Lock()
        self._runs: dict[str, tuple[ExecutionRun, threading.Thread]] = {}
        self._closed = False

    def start(self, arn: str) -> None:
        """Start the thread of an execution that is stored as Executing or Stopping."""
        with self._lock:
            ending = self._runs.get(arn)
        if ending is not None:
            # A retry may come before the thread of the run that has just ended is gone.
            ending[1].join(5)
        with self._lock:
            if self._closed or arn in self._runs:
                return
            run = ExecutionRun(self._cloud, self._jobs, arn)
            thread = threading.Thread(target=self._run, args=(run, arn), name=f"execution-{arn[-12:]}", daemon=True)
            self._runs[arn] = (run, thread)
            thread.start()

    def _run(self, run: ExecutionRun, arn: str) -> None:
        """Run an execution to its end; one that raises is stored as failed, unless the cloud is closing."""
        try:
            run.run()
        except Exception as error:
            logger.exception("execution %s cannot go on", arn)
            if not self._closed:
                self._abandon(arn, error)
        finally:
            with self._lock:
                self._runs.pop(arn, None)

    def _abandon(self, arn: str, error: Exception) -> None:
        """Stop the running steps of an execution and store it as failed, because of a fault of the engine itself."""
        records = Records(self._cloud, arn)
        reason = bounded(f"InternalServerError: {error!r}", MAX_FAILURE_REASON)
        for name, document in records.steps().items():
            if document["StepStatus"] in ACTIVE:
                if "_job" in document:
                    self._jobs.stop(JOBS[document["_type"]].store_kind, document["_job"])
                document.update(StepStatus="Failed", FailureReason=reason, EndTime=self._cloud.clock())
                records.write_step(document)
                logger.error("step %s is failed with it", name)
        records.set_status("Failed", reason)

    def stop(self, arn: str) -> None:
        """Stop an execution that is stored as Stopping."""
        with self._lock:
            entry = self._runs.get(arn)
        if entry is not None:
            entry[0].stop()

    def answered(self, arn: str, step: str) -> None:
        """A Callback step of an execution has got an answer, which is stored."""
        with self._lock:
            entry = self._runs.get(arn)
        if entry is not None:
            entry[0].answered(step)

    def recover(self) -> None:
        """After a start: mark jobs that were interrupted as failed, and resume the executions that were running."""
        self._jobs.recover()
        for execution in self._cloud.store.having(EXECUTION, "PipelineExecutionStatus", RUNNING):
            self.start(execution["PipelineExecutionArn"])

    def close(self) -> None:
        """Stop all jobs and threads; executions stay stored as they are, and the next start resumes them."""
        with self._lock:
            self._closed = True
            entries = list(self._runs.values())
        for run, _ in entries:
            run.close()
        self._jobs.close()
        for _, thread in entries:
            thread.join(5)
