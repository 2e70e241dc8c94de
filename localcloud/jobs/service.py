"""Queues jobs, limits how many run at once, and stores each new state before it is published."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localcloud.cloud import Cloud
from localcloud.jobs.events import announce
from localcloud.jobs.processing import Processing
from localcloud.jobs.removal import Remover
from localcloud.jobs.run import INTERRUPTED, JobRun, Kind, end_orphans
from localcloud.jobs.training import Training
from localcloud.jobs.transform import Transform
from localcloud.jobs.tuning import TuningRun, mark_interrupted
from localcloud.jobs.tuning_requests import KIND as TUNING
from localcloud.sandbox.process import Launchers
from localcloud.sandbox.sandbox import Sandbox

logger = logging.getLogger("localcloud")

Document = dict[str, Any]
OnEnd = Callable[[], None]
KINDS: dict[str, Kind] = {kind.store_kind: kind for kind in (Processing(), Training(), Transform())}
_FINAL = ("Completed", "Failed", "Stopped")


class JobService:
    """The jobs of one local cloud. All methods may be called from any thread."""

    def __init__(self, cloud: Cloud, max_jobs: int, sandbox: Sandbox, launchers: Launchers) -> None:
        self._cloud = cloud
        self._sandbox, self._launchers = sandbox, launchers
        self._remover = Remover(cloud.settings.jobs_dir / "removed")
        self._pool = ThreadPoolExecutor(max_jobs, thread_name_prefix="job")
        self._lock = threading.Lock()
        self._runs: dict[tuple[str, str], JobRun] = {}
        self._listeners: dict[tuple[str, str], OnEnd] = {}
        self._tunings: dict[str, TuningRun] = {}
        self._closed = False

    def submit(self, store_kind: str, name: str, on_end: OnEnd | None = None) -> None:
        """Queue a job whose document is in the store. `on_end` is called after its final state was stored."""
        with self._lock:
            if self._closed:
                return
            if store_kind == TUNING:
                # In a thread of its own: what it starts needs room among the jobs.
                run = self._tunings[name] = TuningRun(self._cloud, self, name)
                self._cloud.runner.start(f"tuning-{name}", self._tune, run, on_end)
                return
            self._runs[store_kind, name] = self._new_run(store_kind, name)
            if on_end is not None:
                self._listeners[store_kind, name] = on_end
            self._pool.submit(self._run, store_kind, name)

    def _tune(self, run: TuningRun, on_end: OnEnd | None) -> None:
        """Run a tuning job to its end, then call `on_end`."""
        try:
            run.run()
        finally:
            with self._lock:
                self._tunings.pop(run.name, None)
            if on_end is not None:
                on_end()

    def metric_values(self, name: str, metric: str) -> list[float]:
        """The values of a metric that a running training job has logged so far; empty if it does not run."""
        with self._lock:
            run = self._runs.get(("training-job", name))
        reader = run.notes.get("metrics") if run is not None else None
        return reader.history(metric) if reader is not None else []

    def _new_run(self, store_kind: str, name: str) -> JobRun:
        """Return a run of the job that has not begun."""
        kind = KINDS[store_kind]
        return JobRun(
            self._cloud,
            self._sandbox,
            self._launchers,
            kind,
            name,
            lambda status, members: self._change(kind, name, status, members),
            self._remover.remove,
        )

    def _run(self, store_kind: str, name: str) -> None:
        """Run a job, and again as long as its end is one that its RetryStrategy takes for none."""
        try:
            # A job that was stopped while it was queued already has its final status.
            while (job := self._in_progress(store_kind, name)) is not None and not self._closed:
                self._runs[store_kind, name].run(job)
                with self._lock:
                    self._runs[store_kind, name] = self._new_run(store_kind, name)
        except Exception:
            # The job stays InProgress and is marked at the next start.
            logger.exception("the end of job %s could not be stored", name)
        finally:
            with self._lock:
                self._runs.pop((store_kind, name), None)
                listener = self._listeners.pop((store_kind, name), None)
            if listener is not None:
                listener()

    def _in_progress(self, store_kind: str, name: str) -> Document | None:
        """The job's document if it is to run; one that was stopped between two tries ends here."""
        kind = KINDS[store_kind]
        job = self._cloud.store.get(store_kind, name)
        if job is not None and job[f"{kind.label}JobStatus"] == "Stopping":
            self._change(kind, name, "Stopped", {"secondary": "Stopped"})
        return job if job is not None and job[f"{kind.label}JobStatus"] == "InProgress" else None

    def stop(self, store_kind: str, name: str) -> None:
        """Stop a job that is queued or running; no effect on one that has ended."""
        if store_kind == TUNING:
            self._stop_tuning(name)
            return
        kind = KINDS[store_kind]
        with self._lock:
            if (store_kind, name) not in self._runs:
                return
        job = self._cloud.store.get(store_kind, name)
        if job is None or job[f"{kind.label}JobStatus"] != "InProgress":
            return
        status = "Stopped" if job.get("_secondary") == "Pending" else "Stopping"
        self._change(kind, name, status, {"secondary": status})
        # Looked up now: a try that begins later finds the job stopped or Stopping. One that has just begun is stopped.
        with self._lock:
            run = self._runs.get((store_kind, name))
        if run is not None:
            run.stop()

    def _stop_tuning(self, name: str) -> None:
        """Stop a tuning job that runs."""
        with self._lock:
            run = self._tunings.get(name)
        if run is not None:
            self._cloud.store.update(TUNING, name, {"HyperParameterTuningJobStatus": "Stopping"})
            run.stop()

    def _change(self, kind: Kind, name: str, status: str, members: Document) -> None:
        """Store a change of state, then publish it to EventBridge if the status changed."""
        if status == "Failed":
            again = _next_try(self._cloud.store.get(kind.store_kind, name) or {}, members)
            if again is not None:
                status, members = "InProgress", again
        now = self._cloud.clock()
        changed = False

        def edit(job: Document) -> None:
            """Write the status and `members` into the stored job, unless it has ended; `changed` says whether the
            status did.
            """
            nonlocal changed
            before = job[f"{kind.label}JobStatus"]
            after = "Stopping" if before == "Stopping" and status == "InProgress" else status
            if before in _FINAL:
                return
            changed = before != after
            secondary = members.get("secondary", after)
            job.update({key: value for key, value in members.items() if key != "secondary"})
            job[f"{kind.label}JobStatus"] = after
            job["LastModifiedTime"] = now
            job["_secondary"] = secondary
            if after in _FINAL:
                job[f"{kind.label}EndTime"] = now
            if kind.label == "Training":
                _secondary_status(job, secondary if after != "Stopping" else "Stopping", now)

        store = self._cloud.store
        # Only a final status is retried: the job's files are removed by then, so that the disk may have room again.
        final = status in _FINAL
        job = self._cloud.retried.until_stored(
            lambda: store.update(kind.store_kind, name, edit), lambda: self._closed or not final
        )
        if changed:
            announce(self._cloud, kind.label, job)

    def recover(self) -> None:
        """At the start: end processes left by an earlier local cloud, and set their jobs to Failed or Stopped."""
        ended = end_orphans(self._cloud.settings.jobs_dir, self._remover.remove)
        if ended:
            logger.warning("ended %d processes of jobs that a killed local cloud left behind", ended)
        for kind in KINDS.values():
            running = self._cloud.store.having(kind.store_kind, f"{kind.label}JobStatus", ("Stopping", "InProgress"))
            for job in running:
                status = job[f"{kind.label}JobStatus"]
                if status == "Stopping":
                    self._change(kind, job[f"{kind.label}JobName"], "Stopped", {})
                elif status == "InProgress":
                    name = job[f"{kind.label}JobName"]
                    reason = {"FailureReason": f"InternalServerError: {INTERRUPTED}", "_interrupted": True}
                    if job["_secondary"] != "Restarting":
                        self._change(kind, name, "Failed", reason)
                    if self._in_progress(kind.store_kind, name):
                        self.submit(kind.store_kind, name)
        mark_interrupted(self._cloud)

    def close(self) -> None:
        """Kill all jobs, and wait until each is stored as interrupted."""
        for tuning in list(self._tunings.values()):
            tuning.close()
        with self._lock:
            self._closed = True
            runs = list(self._runs.values())
        for run in runs:
            run.interrupt()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._remover.close()


def _next_try(job: Document, members: Document) -> Document | None:
    """What changes before a failed job is tried again, as its RetryStrategy asks for; None if it is not.

    SageMaker tries again what failed of an InternalServerError. An interrupted job of a pipeline is left to its step,
    which starts another one.
    """
    tried = job.get("_retries", 0)
    if tried >= job.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0):
        return None
    if not members.get("FailureReason", "").startswith("InternalServerError"):
        return None
    if members.get("_interrupted") and "_step" in job:
        return None
    return {"secondary": "Restarting", "_retries": tried + 1}


def _secondary_status(job: Document, secondary: str, now: float) -> None:
    """Update SecondaryStatus and its transitions in `job`, and after the end also TrainingTimeInSeconds."""
    transitions = job.setdefault("SecondaryStatusTransitions", [])
    if not transitions or transitions[-1]["Status"] != secondary:
        if transitions:
            transitions[-1].setdefault("EndTime", now)
        transitions.append(
            {"Status": secondary, "StartTime": now, "StatusMessage": _MESSAGES.get(secondary, secondary)}
        )
    job["SecondaryStatus"] = secondary
    if job["TrainingJobStatus"] in _FINAL:
        transitions[-1]["EndTime"] = now
        if job.get("FailureReason"):
            transitions[-1]["StatusMessage"] = job["FailureReason"]
        if job.get("TrainingStartTime"):
            seconds = max(1, round(now - job["TrainingStartTime"]))
            job["TrainingTimeInSeconds"] = job["BillableTimeInSeconds"] = seconds


_MESSAGES = {
    "Pending": "Waiting for other jobs to end",
    "Restarting": "Restarting the training job after an internal error",
    "Downloading": "Downloading the training data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds",
    "Completed": "Training job completed",
}
