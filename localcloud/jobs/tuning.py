"""Runs tuning jobs: starts training jobs with proposed hyperparameters, reads their objective, and keeps the best."""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from localcloud.api import ApiError
from localcloud.cloud import Cloud
from localcloud.jobs.events import announce
from localcloud.jobs.failure import bounded
from localcloud.jobs.requests import insert, training_job
from localcloud.jobs.run import INTERRUPTED
from localcloud.jobs.search_space import Search, Trial, better
from localcloud.jobs.tuning_requests import KIND, LABEL, definitions, objective, ranges, training_request

logger = logging.getLogger("localcloud")

Document = dict[str, Any]
_TRAINING = "training-job"
_LOOK_SECONDS = 0.5
# When the first ones all fail, the others would too.
_FAILURES_ENOUGH = 5


class TrainingJobs(Protocol):
    """What a tuning job needs of the service that runs training jobs."""

    def submit(self, store_kind: str, name: str, on_end: Callable[[], None] | None = None) -> None:
        """Queue a job."""

    def stop(self, store_kind: str, name: str) -> None:
        """Stop a job."""

    def metric_values(self, name: str, metric: str) -> list[float]:
        """The figures of a running training job so far."""


class TuningRun:
    """One tuning job. `run` blocks until it has ended; `stop` may come from any thread."""

    def __init__(self, cloud: Cloud, jobs: TrainingJobs, name: str) -> None:
        self._cloud, self._jobs, self.name = cloud, jobs, name
        self._stopping = threading.Event()
        self._closed = threading.Event()
        self._ended: queue.Queue[str] = queue.Queue()
        self._running: dict[str, tuple[Search, Trial]] = {}
        self._started = self._failures = self._since_best = 0
        self._best: float | None = None

    def stop(self) -> None:
        """Start no more training jobs, and stop those that run."""
        self._stopping.set()

    def close(self) -> None:
        """Give up because the local cloud is closing; the job is marked at the next start."""
        self._closed.set()
        self._stopping.set()

    def run(self) -> None:
        """Tune to the end, and store the final status; any error becomes the job's FailureReason."""
        job = self._cloud.store.get(KIND, self.name)
        if job is None:
            return
        try:
            self._tune(job)
            status, reason = self._outcome()
        except ApiError as error:
            status, reason = "Failed", f"ClientError: {error.message}"
        except Exception as error:
            logger.exception("tuning job %s failed", self.name)
            status, reason = "Failed", f"InternalServerError: {error!r}"
        if not self._closed.is_set():
            self._write(status, reason)

    def _outcome(self) -> tuple[str, str | None]:
        """Return the final status of the tuning job, and its FailureReason or None."""
        if self._stopping.is_set():
            return "Stopped", None
        done = [one for one in trained(self._cloud, self.name) if one["TrainingJobStatus"] in ("Completed", "Stopped")]
        if done:
            return "Completed", None
        return "Failed", "ClientError: All training jobs failed; see the FailureReason of each."

    def _tune(self, job: Document) -> None:
        """Start training jobs and collect their results until the search is complete, stopped or out of time."""
        config = job["HyperParameterTuningJobConfig"]
        limits = config["ResourceLimits"]
        most = limits.get("MaxNumberOfTrainingJobs", 10**9)
        deadline = time.monotonic() + limits.get("MaxRuntimeInSeconds", 10**9)
        searches = [
            (Search(ranges(job, one), objective(job, one), config, config.get("RandomSeed")), one)
            for one in definitions(job)
        ]
        self._warm_up(job, [search for search, _ in searches])
        turn = 0
        while not self._closed.is_set():
            while searches and self._goes_on(config, deadline) and self._started < most:
                if len(self._running) >= limits["MaxParallelTrainingJobs"]:
                    break
                search, definition = searches[turn % len(searches)]
                trial = search.propose()
                if trial is None:
                    searches.remove((search, definition))
                    continue
                turn += 1
                self._start(job, search, definition, trial)
            if not self._running:
                return
            try:
                self._end(self._ended.get(timeout=_LOOK_SECONDS))
            except queue.Empty:
                self._look(stop_all=self._stopping.is_set() or time.monotonic() > deadline)

    def _goes_on(self, config: Document, deadline: float) -> bool:
        """Whether to start more training jobs; not once a completion criterion or the time limit is reached."""
        if self._stopping.is_set() or time.monotonic() > deadline:
            return False
        if self._failures >= _FAILURES_ENOUGH and self._best is None:
            return False
        criteria = config.get("TuningJobCompletionCriteria", {})
        target = criteria.get("TargetObjectiveMetricValue")
        goal = config.get("HyperParameterTuningJobObjective")
        if target is not None and goal and self._best is not None and not better(goal, target, self._best):
            return False
        patience = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
        return patience is None or self._since_best < patience

    def _warm_up(self, job: Document, searches: list[Search]) -> None:
        """Teach the searches what the parent tuning jobs found; ApiError when a parent does not exist."""
        parents = job.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
        for parent in parents:
            name = parent["HyperParameterTuningJobName"]
            if self._cloud.store.get(KIND, name) is None:
                raise ApiError("ValidationException", f"The parent tuning job {name!r} is not there.")
            for summary in summaries(self._cloud, name):
                found = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
                if found is not None:
                    for search in searches:
                        search.learn(summary["TunedHyperParameters"], found["Value"])

    def _start(self, job: Document, search: Search, definition: Document, trial: Trial) -> None:
        """Create and submit the training job of a trial."""
        self._started += 1
        name = f"{self.name}-{self._started:03d}-{secrets.token_hex(4)}"
        document = training_job(self._cloud, training_request(job, definition, trial.parameters, name))
        document["TuningJobArn"] = job["HyperParameterTuningJobArn"]
        document["_tuned"] = {"parameters": trial.parameters, "definition": definition.get("DefinitionName")}
        insert(self._cloud, _TRAINING, "Training", document)
        announce(self._cloud, "Training", document)
        self._running[name] = search, trial
        self._write("InProgress")
        self._jobs.submit(_TRAINING, name, lambda: self._ended.put(name))

    def _look(self, *, stop_all: bool) -> None:
        for name, (search, trial) in list(self._running.items()):
            values = self._jobs.metric_values(name, search.objective["MetricName"])
            if stop_all or search.hopeless(trial, values):
                self._jobs.stop(_TRAINING, name)

    def _end(self, name: str) -> None:
        """Take the result of a training job that has ended into the search, and store the counters."""
        search, trial = self._running.pop(name)
        job = self._cloud.store.get(_TRAINING, name) or {}
        value = figure(job, search.objective["MetricName"])
        self._failures += job.get("TrainingJobStatus") == "Failed"
        self._since_best += 1
        if value is not None and (self._best is None or better(search.objective, value, self._best)):
            self._best, self._since_best = value, 0
        search.ended(trial, value)
        self._write("InProgress")

    def _write(self, status: str, reason: str | None = None) -> None:
        """Store counters, the best training job and the status; publish a new status."""
        now = self._cloud.clock()
        shown = summaries(self._cloud, self.name)
        best = next((one for one in shown if "FinalHyperParameterTuningJobObjectiveMetric" in one), None)
        changed = False

        def edit(job: Document) -> None:
            """Write status, counters, best training job and reason into the document."""
            nonlocal changed
            before = job["HyperParameterTuningJobStatus"]
            after = "Stopping" if before == "Stopping" and status == "InProgress" else status
            changed = before != after
            job.update(_counters(shown), HyperParameterTuningJobStatus=after, LastModifiedTime=now)
            if best is not None:
                job["BestTrainingJob"] = best
            if reason is not None:
                job["FailureReason"] = bounded(reason)
            if after in ("Completed", "Failed", "Stopped"):
                job["HyperParameterTuningEndTime"] = now
                job["ConsumedResources"] = {"RuntimeInSeconds": round(now - job["CreationTime"])}

        job = self._cloud.store.update(KIND, self.name, edit)
        if changed:
            announce(self._cloud, LABEL, job)


def mark_interrupted(cloud: Cloud) -> None:
    """Set tuning jobs that an earlier local cloud left running to Failed; a step of a pipeline starts another."""
    for job in cloud.store.having(KIND, "HyperParameterTuningJobStatus", ("Stopping", "InProgress")):
        name = job["HyperParameterTuningJobName"]
        ended = {"HyperParameterTuningJobStatus": "Failed", "HyperParameterTuningEndTime": cloud.clock()}
        reason = {"FailureReason": f"InternalServerError: {INTERRUPTED}", "_interrupted": True}
        cloud.store.update(KIND, name, {**ended, **reason, **_counters(summaries(cloud, name))})


def trained(cloud: Cloud, name: str) -> list[Document]:
    """The training jobs of a tuning job."""
    found: list[Document] = cloud.store.having(_TRAINING, "TuningJobArn", (cloud.arn(KIND, name),))
    return found


def figure(training: Document, metric: str) -> float | None:
    """The last figure of a metric in a training job's document; None if it logged none."""
    metrics = training.get("FinalMetricDataList", [])
    return next((float(one["Value"]) for one in metrics if one["MetricName"] == metric), None)


def summaries(cloud: Cloud, name: str) -> list[Document]:
    """The HyperParameterTrainingJobSummary of each training job of a tuning job, the best objective first."""
    job = cloud.store.get(KIND, name) or {}
    goals = {one.get("DefinitionName"): objective(job, one) for one in definitions(job)}
    shown = [_summary(one, goals[one["_tuned"]["definition"]]) for one in trained(cloud, name)]
    return sorted(shown, key=_rank)


def _rank(summary: Document) -> tuple[bool, float, float]:
    found = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
    sign = -1 if found and found["Type"] == "Maximize" else 1
    return found is None, sign * found["Value"] if found else 0.0, summary["CreationTime"]


def _summary(training: Document, goal: Document) -> Document:
    """Return the HyperParameterTrainingJobSummary of a training job, for the objective metric `goal`."""
    value = figure(training, goal["MetricName"])
    status = training["TrainingJobStatus"]
    running = status in ("InProgress", "Stopping")
    known = (
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingStartTime",
        "TrainingEndTime",
        "FailureReason",
    )
    return {
        **{name: training[name] for name in known if name in training},
        "TrainingJobStatus": status,
        "TunedHyperParameters": training["_tuned"]["parameters"],
        "ObjectiveStatus": "Pending" if running else "Failed" if value is None else "Succeeded",
        **({"TrainingJobDefinitionName": training["_tuned"]["definition"]} if training["_tuned"]["definition"] else {}),
        **(
            {"FinalHyperParameterTuningJobObjectiveMetric": {**goal, "Value": value}}
            if value is not None and not running
            else {}
        ),
    }


def _counters(shown: list[Document]) -> Document:
    """DescribeHyperParameterTuningJob's counters of jobs by status and by whether they reported the objective."""

    def count(member: str, *values: str) -> int:
        return sum(one[member] in values for one in shown)

    return {
        "TrainingJobStatusCounters": {
            "Completed": count("TrainingJobStatus", "Completed"),
            "InProgress": count("TrainingJobStatus", "InProgress", "Stopping"),
            "RetryableError": 0,
            "NonRetryableError": count("TrainingJobStatus", "Failed"),
            "Stopped": count("TrainingJobStatus", "Stopped"),
        },
        "ObjectiveStatusCounters": {
            name: count("ObjectiveStatus", name) for name in ("Succeeded", "Pending", "Failed")
        },
    }
