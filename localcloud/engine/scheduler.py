"""Runs one execution: starts the steps that may start, waits for those that run, and stores every change of status.

One thread an execution. It waits on a queue of messages: the end of a job, an answer, a stop; or until a retry is due.
"""

from __future__ import annotations

import contextlib
import logging
import queue
from collections.abc import Callable
from typing import Any

from localcloud.cloud import Cloud
from localcloud.engine import checks, deployments, outside
from localcloud.engine import steps as perform
from localcloud.engine.definition import Definition, Step, parse
from localcloud.engine.graph import ACTIVE, dependencies, in_order, plan, restricted
from localcloud.engine.records import FAILED, MAX_FAILURE_REASON, Records, execution_id
from localcloud.engine.retries import classify, delay_before_retry
from localcloud.engine.step_types import JOBS
from localcloud.engine.steps import Context, StepError
from localcloud.jobs.events import announce
from localcloud.jobs.failure import bounded
from localcloud.jobs.service import JobService

logger = logging.getLogger("localcloud")

Document = dict[str, Any]
Message = Callable[[], None]

# Steps that are done while the execution's thread looks on: they take milliseconds.
_AT_ONCE = {
    "Condition": perform.condition,
    "RegisterModel": perform.register,
    "Model": perform.create_model,
    "EndpointConfig": deployments.configure,
}


class ExecutionRun:
    """One execution while it runs. Only `stop` and `close` may be called from other threads."""

    def __init__(self, cloud: Cloud, jobs: JobService, arn: str) -> None:
        self._cloud, self._jobs, self._arn = cloud, jobs, arn
        self._records = Records(cloud, arn)
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._retry_at: dict[str, float] = {}
        self._expires_at: dict[str, float] = {}
        """By Callback step, the epoch seconds at which it fails if it was not answered."""
        self._stopping = False
        """Whether no more steps are started: the execution is being stopped, or a Fail step has run."""
        self._closed = False

    def stop(self) -> None:
        """Stop the running steps and end the execution as Stopped."""
        self._inbox.put(self._stop_all)

    def close(self) -> None:
        """End the thread and leave the execution as it is stored, to be resumed at the next start."""
        self._closed = True
        self._inbox.put(lambda: None)

    def run(self) -> None:
        """Run the execution to its end, from the status of its steps in the store."""
        execution = self._records.execution()
        self._definition: Definition = parse(self._records.definition_text(execution))
        self._steps = self._records.steps()
        self._needs = dependencies(self._definition)
        if selection := execution.get("SelectiveExecutionConfig"):
            names = {selected["StepName"] for selected in selection["SelectedSteps"]} | set(self._steps)
            self._definition, self._needs = restricted(self._definition, names)
        self._order = in_order(self._needs)
        self._position = {name: number for number, name in enumerate(self._definition.steps)}
        self._context = Context(self._cloud, execution, self._steps)
        with contextlib.closing(self._context):
            self._resume(stopping=execution["PipelineExecutionStatus"] == "Stopping")
            while not self._closed:
                self._start_ready()
                if self._ended():
                    self._finish()
                    return
                try:
                    self._inbox.get(timeout=self._seconds_to_wait())()
                except queue.Empty:
                    self._retry_due()

    # Planning

    def _active(self) -> list[str]:
        return [name for name, step in self._steps.items() if step["StepStatus"] in ACTIVE]

    def _plan(self) -> tuple[tuple[str, ...], bool]:
        """Return the names of the steps that may start now, and whether the execution is done."""
        status = {name: step["StepStatus"] for name, step in self._steps.items()}
        outcomes = {
            name: step["Metadata"]["Condition"]["Outcome"] == "True"
            for name, step in self._steps.items()
            if step["_type"] == "Condition" and step["StepStatus"] == "Succeeded"
        }
        planned = plan(self._definition, self._needs, status, outcomes, self._order)
        return planned.ready, planned.done

    def _start_ready(self) -> None:
        """Start the steps that may start, as far as the execution's parallelism allows."""
        while not self._stopping and not self._closed:
            ready, _ = self._plan()
            limit = self._records.execution().get("ParallelismConfiguration", {}).get("MaxParallelExecutionSteps")
            room = len(ready) if limit is None else limit - len(self._active())
            if not ready or room <= 0:
                return
            for name in ready[:room]:
                if not self._stopping:
                    self._start(self._definition.steps[name])

    def _ended(self) -> bool:
        return not self._active() if self._stopping else self._plan()[1]

    def _finish(self) -> None:
        """Store the execution's final status, by those of its steps."""
        statuses = {step["StepStatus"] for step in self._steps.values()}
        if self._records.execution()["PipelineExecutionStatus"] == "Stopping":
            self._stored(lambda: self._records.set_status("Stopped"))
        elif "Failed" in statuses or "Stopped" in statuses:
            self._stored(lambda: self._records.set_status("Failed", FAILED))
        else:
            self._stored(lambda: self._records.set_status("Succeeded"))

    # Starting a step

    def _start(self, step: Step) -> None:
        """Start a step's first attempt; a condition or a failing step ends at once."""
        document: Document = {
            "StepName": step.name,
            "StepDisplayName": step.display_name,
            "StepDescription": step.description,
            "StartTime": self._cloud.clock(),
            "StepStatus": "Starting",
            "Metadata": {},
            "AttemptCount": 1,
            "_type": step.type,
            "_position": self._position[step.name],
        }
        self._begin(step, {name: value for name, value in document.items() if value is not None}, None)

    def _begin(self, step: Step, document: Document, before: str | None) -> None:
        """Begin a step, or its next attempt."""
        self._steps[step.name] = document
        try:
            if step.type in JOBS:
                self._begin_job(step, document, before)
            elif step.type in outside.TYPES:
                self._begin_outside(step, document, before)
            elif step.type == "Fail":
                raise perform.fail(self._context, step)
            else:
                self._put(step, document, before)
                self._succeed(step, {**document, **_AT_ONCE[step.type](self._context, step)}, document["StepStatus"])
        except StepError as error:
            self._failed(step, {**self._steps[step.name], **error.members}, str(error), error.cause)
        if step.type == "Fail":
            self._stop_all()

    def _begin_job(self, step: Step, document: Document, before: str | None) -> None:
        """Begin a step that runs a job: reuse a cached result, else store job and step together and submit the job."""
        name = perform.job_name(execution_id(self._arn), step, self._cloud.new_id(10))
        work = checks.work_of(step)
        job, key = work.make_job(self._context, step, name)
        hit = perform.cached(self._context, step, key)
        if hit is not None:
            self._succeed(step, {**document, **hit}, before)
            return
        running = {"StepStatus": "Executing", "Metadata": work.metadata(step, job)}
        document = {**document, **running, "_job": name, "_cache_key": key}
        document.pop("_last_failure", None)
        job["_step"] = {"execution": self._arn, "name": step.name}

        def store() -> None:
            with self._cloud.store.transaction():
                perform.store_job(self._context, step, dict(job))
                self._records.write_step(document)

        self._stored(store)
        self._steps[step.name] = document
        self._records.announce_step(step, document, before)
        announce(self._cloud, JOBS[step.type].job, job)
        kind = JOBS[step.type].store_kind
        self._jobs.submit(kind, name, lambda: self._inbox.put(lambda: self._job_ended(step, name)))

    def _begin_outside(self, step: Step, document: Document, before: str | None) -> None:
        """Begin a step that waits for something other than a job: reuse a cached result, else send its request."""
        sent = outside.request(self._context, step)
        key = perform.result_key(step, sent)
        hit = perform.cached(self._context, step, key)
        if hit is not None:
            self._succeed(step, {**document, **hit}, before)
            return
        token = document.get("_token") or self._cloud.new_id(10)
        document = {
            **document,
            "StepStatus": "Executing",
            "Metadata": outside.metadata(self._context, step, sent, token),
            "_cache_key": key,
            "_sent": sent,
            "_token": token,
        }
        with_token = step.type == "Callback"

        def store() -> None:
            with self._cloud.store.transaction():
                if with_token:
                    outside.store_token(self._context, step, token)
                self._records.write_step(document)

        self._stored(store)
        self._steps[step.name] = document
        self._records.announce_step(step, document, before)
        if with_token:
            outside.send(self._context, step, sent, token)
            self._put_quietly(step, {**document, "_message_sent": True})
            self._expires_at[step.name] = document["StartTime"] + outside.CALLBACK_SECONDS
        else:
            self._cloud.runner.start(f"step-{step.name}", self._invoke, step, sent, document["AttemptCount"])

    def _invoke(self, step: Step, sent: Document, attempt: int) -> None:
        """Invoke a function or deploy an endpoint, in a thread of its own; its outcome goes to the execution's."""
        outcome = outside.outcome(lambda: outside.invoke(self._context, step, sent))
        self._inbox.put(lambda: self._outside_ended(step, outcome, attempt))

    def answered(self, name: str) -> None:
        """A Callback step has got its answer; may be called from any thread."""
        self._inbox.put(lambda: self._callback_ended(name))

    def _callback_ended(self, name: str) -> None:
        """End a Callback step whose answer is in the store."""
        step, document = self._definition.steps[name], self._steps[name]
        answer = outside.stored_answer(self._context, document)
        if answer is not None:
            outcome = outside.outcome(lambda: outside.answer_of(step, answer))
            self._outside_ended(step, outcome, document["AttemptCount"])

    # A step's end

    def _outside_ended(self, step: Step, outcome: Document | StepError, attempt: int) -> None:
        """End a Lambda, Callback or Endpoint step by its outcome; the outcome of an earlier attempt is ignored."""
        document = self._steps[step.name]
        if self._closed or document["AttemptCount"] != attempt or document["StepStatus"] not in ACTIVE:
            return
        self._expires_at.pop(step.name, None)
        done = outcome if isinstance(outcome, StepError) else outside.finished(document, outcome)
        self._end_as(step, done)

    def _end_as(self, step: Step, outcome: Document | StepError) -> None:
        """Add what a running step has left behind to its document, and set it to Succeeded, or fail it."""
        document = self._steps[step.name]
        if isinstance(outcome, StepError):
            self._failed(step, {**document, **outcome.members}, str(outcome), outcome.cause)
        else:
            self._succeed(step, {**document, **outcome}, document["StepStatus"])

    def _job_ended(self, step: Step, name: str) -> None:
        """Set the step to Succeeded, Stopped or Failed, or retry it, by the final state of its job `name`."""
        document = self._steps[step.name]
        if self._closed or document.get("_job") != name or document["StepStatus"] not in ACTIVE:
            return
        job = self._cloud.store.get(JOBS[step.type].store_kind, name) or {}
        status = job.get(f"{JOBS[step.type].job}JobStatus")
        reason = job.get("FailureReason", "InternalServerError: the job's end could not be stored")
        if status == "Completed":
            self._end_as(step, outside.outcome(lambda: checks.work_of(step).job_result(self._context, step, job)))
        elif self._stopping:
            self._end_step(step, {**document, "StepStatus": "Stopped"}, document["StepStatus"])
        elif status == "Stopped":
            late = job.get("_secondary") == "MaxRuntimeExceeded"
            why = "it ran longer than MaxRuntimeInSeconds" if late else "by request"
            self._failed(step, document, f"ClientError: {step.type} job {name} was stopped: {why}.", None)
        elif job.get("_interrupted"):
            # Not the step's fault, so not one of its retries either.
            self._again(step, document)
        else:
            # SageMaker tells the job's own reason after whose fault it is.
            told = reason if reason.startswith("InternalServerError") else f"ClientError: {reason}"
            self._failed(step, document, told, reason)

    def _succeed(self, step: Step, document: Document, before: str | None) -> None:
        self._end_step(step, {**document, "StepStatus": "Succeeded"}, before)

    def _failed(self, step: Step, document: Document, reason: str, cause: str | None) -> None:
        """Plan the step's next attempt if a retry policy allows one, else end it as failed."""
        now = self._cloud.clock()
        first = document.setdefault("_first_failure", now)
        retries = document.get("_retries", 0)
        kind = classify(cause or "")
        delay = None if self._stopping else delay_before_retry(step.retry_policies, kind, retries, now - first)
        if delay is None:
            before = document["StepStatus"]
            failed = {**document, "StepStatus": "Failed", "FailureReason": bounded(reason, MAX_FAILURE_REASON)}
            self._end_step(step, failed, None if before == "Starting" and "_job" not in document else before)
            return
        self._put_quietly(step, {**document, "_retries": retries + 1, "_last_failure": reason})
        self._retry_at[step.name] = now + delay

    def _end_step(self, step: Step, document: Document, before: str | None) -> None:
        """Store a step that has ended, with its result for the cache, and publish its event."""
        document["EndTime"] = self._cloud.clock()
        self._steps[step.name] = document

        def store() -> None:
            with self._cloud.store.transaction():
                self._records.write_step(document)
                if document["StepStatus"] == "Succeeded" and "CacheHitResult" not in document:
                    perform.remember(self._context, step, document)

        self._stored(store)
        self._records.announce_step(step, document, before)

    def _put_quietly(self, step: Step, document: Document) -> None:
        """Store a step's document without an event."""
        self._steps[step.name] = document
        self._stored(lambda: self._records.write_step(document))

    def _put(self, step: Step, document: Document, before: str | None) -> None:
        self._stored(lambda: self._records.write_step(document))
        self._records.announce_step(step, document, before)

    def _stored(self, write: Callable[[], None]) -> None:
        self._cloud.retried.until_stored(write, lambda: self._closed)

    # Retries, stops, restarts

    def _seconds_to_wait(self) -> float | None:
        """Until the next retry or expiry is due; None if there is none."""
        times = [*self._retry_at.values(), *self._expires_at.values()]
        # A queue waits for at most some weeks.
        return min(3600.0, max(0.0, min(times) - self._cloud.clock())) if times else None

    def _retry_due(self) -> None:
        """Begin the retries that are due, and fail Callback steps that were not answered in time."""
        now = self._cloud.clock()
        for name in [name for name, at in self._retry_at.items() if at <= now]:
            del self._retry_at[name]
            self._again(self._definition.steps[name], self._steps[name])
        for name in [name for name, at in self._expires_at.items() if at <= now]:
            days = outside.CALLBACK_SECONDS // 86_400
            late = StepError(f"ClientError: Callback step {name} was not answered within {days} days.")
            self._outside_ended(self._definition.steps[name], late, self._steps[name]["AttemptCount"])

    def _again(self, step: Step, document: Document) -> None:
        """Begin the next attempt of a step."""
        document = {**document, "AttemptCount": document["AttemptCount"] + 1}
        self._begin(step, document, document["StepStatus"])

    def _stop_all(self) -> None:
        """Stop what runs. A step that waits for a retry ends at once; a job's end arrives in the queue.

        As on AWS, a function that runs is waited for, and so is the answer to a callback, whose queue is told; here an
        endpoint that changes too.
        """
        self._stopping = True
        self._retry_at, waiting = {}, self._retry_at
        for name in self._active():
            step, document = self._definition.steps[name], self._steps[name]
            if name not in waiting and "_sent" in document:
                self._tell_callback(step, document)
                continue
            if name in waiting or "_job" not in document:
                self._end_step(step, {**document, "StepStatus": "Stopped"}, document["StepStatus"])
                continue
            if document["StepStatus"] != "Stopping":
                self._steps[name] = {**document, "StepStatus": "Stopping"}
                self._put(step, self._steps[name], document["StepStatus"])
            self._jobs.stop(JOBS[step.type].store_kind, document["_job"])

    def _tell_callback(self, step: Step, document: Document) -> None:
        """Tell the queue of a Callback step that the execution is being stopped."""
        if step.type != "Callback" or document["StepStatus"] == "Stopping":
            return
        self._steps[step.name] = {**document, "StepStatus": "Stopping"}
        self._put(step, self._steps[step.name], document["StepStatus"])
        try:
            outside.send(self._context, step, document["_sent"], document["_token"], "Stopping")
        except StepError as error:
            logger.warning("the queue of step %s could not be told of the stop: %s", step.name, error)

    def _resume(self, *, stopping: bool) -> None:
        """Resume the steps that were running when the local cloud ended; their jobs have ended with it."""
        for name in self._active():
            step, document = self._definition.steps[name], self._steps[name]
            if stopping:
                self._end_step(step, {**document, "StepStatus": "Stopped"}, document["StepStatus"])
            elif document.get("_message_sent") and not document.get("_last_failure"):
                self._expires_at[name] = document["StartTime"] + outside.CALLBACK_SECONDS
                self._callback_ended(name)
            elif "_job" in document and not document.get("_last_failure"):
                self._job_ended(step, document["_job"])
            else:
                self._again(step, document)
        if any(step["_type"] == "Fail" for step in self._steps.values()) or stopping:
            self._stopping = True
