"""Reads the trials of a search back from SageMaker: each is an execution titled `tune-<study>-<number>`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from loadingbay.errors import NotFoundError
from loadingbay.target import Target
from pipelines import executions
from pipelines.executions import ENDED, Execution
from pipelines.parameters import BY_NAME, PARAMETERS, Value

Objective = Literal["nll", "accuracy"]
METRICS: dict[str, Objective] = {"out-of-fold:nll": "nll", "out-of-fold:accuracy": "accuracy"}
MAX_LISTED = 2000  # executions that are looked through for earlier trials
_STUDY = re.compile(rf"{executions.TRIAL}([0-9a-f]{{8}})-\d+")
_PARALLEL = 8


@dataclass
class Trial:
    """One trial. `figures` are out of fold, and empty until it has succeeded; `failure` says why there are none."""

    number: int
    values: dict[str, Value]
    execution: str
    figures: dict[Objective, float] = field(default_factory=dict)
    seconds: float | None = None
    cached: bool = False
    failure: str = ""

    @property
    def id(self) -> str:
        """The last part of its execution's ARN."""
        return self.execution.rsplit("/", 1)[-1]

    def document(self) -> dict[str, Any]:
        """The trial as a JSON object."""
        return {
            "trial": self.number,
            "parameters": self.values,
            "out_of_fold": self.figures or None,
            "seconds": self.seconds,
            "cached": self.cached,
            "failure": self.failure or None,
            "pipeline_execution_arn": self.execution,
        }


def better_first(trials: list[Trial], objective: Objective) -> list[Trial]:
    """Those that succeeded, the best first, then the others."""
    sign = -1 if objective == "accuracy" else 1
    return sorted(trials, key=lambda t: (not t.figures, sign * t.figures.get(objective, 0), t.number))


def study_of(title: str) -> str:
    """The study that an execution of this title is a trial of; "" when it is none."""
    found = _STUDY.fullmatch(title)
    return found[1] if found else ""


@dataclass(frozen=True)
class Listed:
    """A trial's execution as SageMaker lists it, with the parameters that it was given, as text."""

    number: int
    execution: str
    status: str
    given: Mapping[str, str]


def listed(target: Target, study: str) -> Iterator[Listed]:
    """The executions of a study, the newest first."""
    sagemaker, title = target.client("sagemaker"), f"{executions.TRIAL}{study}-"
    pages = sagemaker.get_paginator("list_pipeline_executions").paginate(
        PipelineName=target.stage, PaginationConfig={"MaxItems": MAX_LISTED}
    )
    for page in pages:
        for summary in page["PipelineExecutionSummaries"]:
            number = summary.get("PipelineExecutionDisplayName", "").removeprefix(title)
            if number.isdecimal():
                arn = summary["PipelineExecutionArn"]
                given = executions.values(sagemaker, arn)
                yield Listed(int(number), arn, summary["PipelineExecutionStatus"], given)
                if number == f"{1:03d}":
                    return


def conclude(target: Target, trial: Trial, execution: Execution, objective: Objective) -> None:
    """Store in the trial the figures, or the failure, of its ended execution."""
    if execution.status != "Succeeded":
        failed = execution.failed
        reason = failed.failure if failed else execution.failure
        trial.failure = " ".join(reason.split()) or f"its execution is {execution.status}"
        return
    train = execution.step("Train")
    if train is None or not train.job:
        trial.failure = "its execution trained nothing"
        return
    job = target.client("sagemaker").describe_training_job(TrainingJobName=train.job.rsplit("/", 1)[-1])
    reported = {item["MetricName"]: float(item["Value"]) for item in job.get("FinalMetricDataList", [])}
    trial.figures = {short: reported[name] for name, short in METRICS.items() if name in reported}
    trial.seconds, trial.cached = train.seconds, train.cached
    if objective not in trial.figures:
        trial.figures = {}
        trial.failure = f"its training job reported no out-of-fold {objective}"


def read(target: Target, study: str, objective: Objective, known: dict[str, Trial]) -> list[Trial]:
    """The trials of a study, the best first, those that still run with neither figures nor failure.

    Their `values` are of the parameters that differ between them. `known` remembers the trials that have ended, by
    study, objective and execution, so that they are read once. Raises NotFoundError when there is no such study.
    """
    found = list(listed(target, study))
    if not found:
        raise NotFoundError(f"there is no search {study[:40]!r}: the page Runs lists the trials of each")
    names = [p.name for p in PARAMETERS if p.searched and len({one.given.get(p.name) for one in found}) > 1]

    def trial(one: Listed) -> Trial:
        key = f"{study}/{objective}/{one.execution}"
        if key in known:
            return known[key]
        values = {name: BY_NAME[name].parse(one.given[name]) for name in names if name in one.given}
        made = Trial(one.number, values, one.execution)
        if one.status in ENDED:
            conclude(target, made, executions.describe(target.client("sagemaker"), one.execution), objective)
            known[key] = made
        return made

    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="trial") as pool:
        return better_first(list(pool.map(trial, found)), objective)
