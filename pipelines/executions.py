"""Creates or updates the pipeline; starts, follows and stops its executions. Clients are arguments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from pipelines import monitoring, pretraining
from pipelines.aws import is_missing, listed
from pipelines.derived import same_definition
from pipelines.monitoring import MonitoringSettings
from pipelines.parameters import Value, as_request
from pipelines.settings import DEFAULT_STAGE
from pipelines.training_log import TRAINING_LOGS, Epoch, LogTail, parse

ENDED = frozenset({"Succeeded", "Failed", "Stopped"})
DESCRIPTION = "Loading Bay: stages photos, trains, evaluates, and registers what passes the gate."
TRIAL = "tune-"  # how the display name of an execution begins that only tries parameters


@dataclass(frozen=True)
class Step:
    """A step of an execution, as last seen. `job` is the ARN of its job, model package or nothing.

    `outcome` is that of a condition that was evaluated, `True` or `False`.
    """

    name: str
    kind: str
    status: str
    started: datetime | None
    ended: datetime | None
    cached: bool
    failure: str
    job: str
    outcome: str = ""

    @property
    def seconds(self) -> float | None:
        """Seconds that the step took; None until it has ended."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


@dataclass(frozen=True)
class Execution:
    """An execution as last seen, its steps in the order in which they started."""

    arn: str
    status: str
    failure: str
    steps: tuple[Step, ...]

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rsplit("/", 1)[-1]

    def step(self, name: str) -> Step | None:
        """The step of that name, if it has started."""
        return next((step for step in self.steps if step.name == name), None)

    @property
    def failed(self) -> Step | None:
        """The first step that failed, or None."""
        return next((step for step in self.steps if step.status == "Failed" or step.kind == "Fail"), None)


def upsert(
    sagemaker: Any, definition: str, role: str, name: str = DEFAULT_STAGE, description: str = DESCRIPTION
) -> Literal["created", "updated", "unchanged"]:
    """Give the pipeline `name` this definition (JSON text) and role (ARN); returns what was done."""
    try:
        now = sagemaker.describe_pipeline(PipelineName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
    else:
        if same_definition(now["PipelineDefinition"], definition) and now["RoleArn"] == role:
            return "unchanged"
        sagemaker.update_pipeline(PipelineName=name, PipelineDefinition=definition, RoleArn=role)
        return "updated"
    sagemaker.create_pipeline(
        PipelineName=name,
        PipelineDefinition=definition,
        RoleArn=role,
        PipelineDescription=description,
    )
    return "created"


def upsert_monitoring(sagemaker: Any, settings: MonitoringSettings) -> Literal["created", "updated", "unchanged"]:
    """Bring the stage's monitoring pipeline up to date; returns what `upsert` returns."""
    return upsert(
        sagemaker,
        monitoring.build(settings),
        settings.role,
        f"{settings.name}{monitoring.SUFFIX}",
        "Loading Bay: looks at what the endpoint was asked and answered, and tells what changed.",
    )


def newest(sagemaker: Any, name: str = DEFAULT_STAGE) -> str:
    """The ARN of the pipeline's newest execution; "" when there is no execution, or no such pipeline."""
    try:
        found = sagemaker.list_pipeline_executions(
            PipelineName=name, SortBy="CreationTime", SortOrder="Descending", MaxResults=1
        )["PipelineExecutionSummaries"]
    except ClientError as error:
        if is_missing(error):
            return ""
        raise
    return str(found[0]["PipelineExecutionArn"]) if found else ""


@dataclass(frozen=True)
class Summary:
    """An execution as ListPipelineExecutions gives it."""

    arn: str
    title: str
    status: str
    started: datetime

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rsplit("/", 1)[-1]


def page(sagemaker: Any, name: str, size: int, token: str = "") -> tuple[list[Summary], str]:
    """At most `size` executions of the pipeline, the newest first, and the token of the next page, "" on the last.

    Nothing when there is no such pipeline.
    """
    more = {"NextToken": token} if token else {}
    try:
        answer = sagemaker.list_pipeline_executions(
            PipelineName=name, SortBy="CreationTime", SortOrder="Descending", MaxResults=size, **more
        )
    except ClientError as error:
        if is_missing(error) and not token:
            return [], ""
        raise
    found = [
        Summary(
            item["PipelineExecutionArn"],
            item.get("PipelineExecutionDisplayName", ""),
            item["PipelineExecutionStatus"],
            item["StartTime"],
        )
        for item in answer["PipelineExecutionSummaries"]
    ]
    return found, answer.get("NextToken", "")


def values(sagemaker: Any, arn: str) -> dict[str, str]:
    """The parameters that the execution was started with, as text by name; what is not there had its default."""
    listed_values = listed(
        sagemaker, "list_pipeline_parameters_for_execution", "PipelineParameters", PipelineExecutionArn=arn
    )
    return {item["Name"]: item["Value"] for item in listed_values}


def start(
    sagemaker: Any, values: dict[str, Value], name: str = DEFAULT_STAGE, *, steps: Sequence[str] = (), title: str = ""
) -> str:
    """Starts an execution of the pipeline of that name; its ARN. ValueError when a value is not allowed.

    With `steps`, a selective execution: these run, and nothing after them. `title` is its display name.
    """
    more: dict[str, Any] = {"PipelineExecutionDisplayName": title} if title else {}
    if steps:
        more["SelectiveExecutionConfig"] = {"SelectedSteps": [{"StepName": step} for step in steps]}
    answer = sagemaker.start_pipeline_execution(PipelineName=name, PipelineParameters=as_request(values), **more)
    return str(answer["PipelineExecutionArn"])


def describe(sagemaker: Any, arn: str) -> Execution:
    """Return the present state of the execution."""
    # Status first: steps listed after it are at least as far.
    execution = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
    request = {"PipelineExecutionArn": arn, "SortOrder": "Ascending"}
    steps = tuple(map(_step, listed(sagemaker, "list_pipeline_execution_steps", "PipelineExecutionSteps", **request)))
    return Execution(arn, execution["PipelineExecutionStatus"], execution.get("FailureReason", ""), steps)


def _step(item: dict[str, Any]) -> Step:
    """Return an element of ListPipelineExecutionSteps as a Step."""
    metadata: dict[str, dict[str, str]] = item.get("Metadata", {})
    kind, detail = next(iter(metadata.items()), ("", {}))
    return Step(
        name=item["StepName"],
        kind=kind,
        status=item["StepStatus"],
        started=item.get("StartTime"),
        ended=item.get("EndTime"),
        cached="CacheHitResult" in item,
        failure=item.get("FailureReason") or detail.get("ErrorMessage", ""),
        job=detail.get("Arn", ""),
        outcome=detail.get("Outcome", ""),
    )


def follow(
    sagemaker: Any, logs: Any, arn: str, *, interval: float = 0.25, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Execution | Epoch]:
    """Yields the execution each time it is looked at, and each epoch of its training once, until it has ended.

    The last thing yielded is the ended execution. `interval` is the least time between looks in seconds: AWS throttles
    callers that look more than about once in five seconds for long. Where a look takes long, on a busy machine, the
    time between is nine times as long, so that looking does not slow down what is looked at.
    """
    tail: LogTail | None = None
    while True:
        began = time.monotonic()
        execution = describe(sagemaker, arn)
        train = execution.step("Train") or execution.step(pretraining.TRAIN)
        if train and train.job and not train.cached:
            tail = tail or LogTail(logs, TRAINING_LOGS, train.job.rsplit("/", 1)[-1])
            yield from filter(None, map(parse, tail.poll()))
        took = time.monotonic() - began
        yield execution
        if execution.status in ENDED:
            return
        sleep(max(interval, 9 * took))


def stop(sagemaker: Any, arn: str, *, timeout: float = 30, interval: float = 0.25) -> str:
    """Stops the execution and waits until it has ended, at most `timeout` seconds; its status then."""
    status = describe(sagemaker, arn).status
    if status not in ENDED:
        sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    deadline = time.monotonic() + timeout
    while status not in ENDED and time.monotonic() < deadline:
        time.sleep(interval)
        status = describe(sagemaker, arn).status
    return status


def output_uri(sagemaker: Any, step: Step, output: str) -> str:
    """Where a processing step put the output of that name. For a cached step: where its first run put it."""
    job = sagemaker.describe_processing_job(ProcessingJobName=step.job.rsplit("/", 1)[-1])
    for item in job["ProcessingOutputConfig"]["Outputs"]:
        if item["OutputName"] == output:
            return str(item["S3Output"]["S3Uri"])
    raise LookupError(f"the step {step.name} has no output {output}")
