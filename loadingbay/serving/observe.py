"""Reads the state of a stage as JSON, runs monitoring on demand, and reads logs of steps, endpoints and Lambdas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.errors import UsageError, WorkError
from loadingbay.learning import watcher
from loadingbay.registry import history
from loadingbay.registry import versions as registry
from loadingbay.serving import monitoring
from loadingbay.stack import local_cloud
from loadingbay.stack.deploy import outputs
from loadingbay.target import Target
from pipelines import aws, executions
from pipelines.executions import Execution
from pipelines.training_log import PROCESSING_LOGS, TRAINING_LOGS, LogTail

_JOB_LOGS = {"processing-job": PROCESSING_LOGS, "training-job": TRAINING_LOGS}
_ENDPOINT_LOGS = "/aws/sagemaker/Endpoints"
_LAMBDA_LOGS = "/aws/lambda"


def last_execution(target: Target) -> Execution | None:
    """The newest execution of the pipeline, if there was one."""
    sagemaker = target.client("sagemaker")
    arn = executions.newest(sagemaker, target.stage)
    return executions.describe(sagemaker, arn) if arn else None


def alarms(target: Target) -> list[dict[str, Any]]:
    """The stage's CloudWatch alarms, those that ring first: name, state, since when, what it watches, and why."""
    cloudwatch, prefix = target.client("cloudwatch"), f"{target.stage}-"
    found = [
        {
            "name": alarm["AlarmName"].removeprefix(prefix),
            "state": alarm["StateValue"],
            "since": alarm["StateUpdatedTimestamp"],
            "about": alarm.get("AlarmDescription", ""),
            "why": alarm.get("StateReason", ""),
        }
        for alarm in aws.listed(cloudwatch, "describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix)
    ]
    return sorted(found, key=lambda alarm: (alarm["state"] != "ALARM", alarm["name"]))


def status_of(target: Target) -> dict[str, Any]:
    """What runs, as JSON. A local cloud that does not run is a status, not an error."""
    document: dict[str, Any] = {"cloud": {"name": target.kind, "endpoint_url": target.endpoint_url, "running": True}}
    if target.kind == "local" and local_cloud.running(target) is None:
        document["cloud"]["running"] = False
        return document
    try:
        stack: dict[str, str] | None = outputs(target)
    except WorkError:
        stack = None
    document["stack"] = {"name": target.stage, "outputs": stack}
    execution = last_execution(target)
    document["pipeline"] = execution and {
        "arn": execution.arn,
        "status": execution.status,
        "failure": execution.failure or None,
        "steps": [
            {"name": s.name, "status": s.status, "cached": s.cached, "seconds": s.seconds} for s in execution.steps
        ],
    }
    document["versions"] = [version.document() for version in registry.versions(target, limit=10)]
    now = registry.endpoint(target, stack["EndpointName"]) if stack else None
    document["endpoint"] = now and {
        "name": now.name,
        "status": now.status,
        "failure": now.failure or None,
        "model_package_arn": now.serves or None,
        "shadow_model_package_arn": now.shadow or None,
    }
    # An endpoint that is gone is told above.
    watches = watcher.read(target, stack["EndpointName"], serves=True) if stack else None
    document["monitoring"] = watches and watches.document()
    return document


def monitor_now(target: Target, root: Path, *, waiting: Callable[[str], None]) -> tuple[monitoring.Report, bool]:
    """Monitors what the version in service answered lately, into a folder below `runs/`.

    Returns the report, and whether the model knows drawn samples.
    """
    stack = outputs(target)
    now = registry.endpoint(target, stack["EndpointName"])
    version = registry.registered(target, now.serves) if now else None
    # With microseconds, as two may begin in one second.
    place = root / "runs" / f"monitor-{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}"
    report = monitoring.monitor(
        target,
        stack=stack,
        folder=place,
        evaluation=version.evaluation if version else "",
        since=history.in_service_since(target, stack["BucketName"], stack["EndpointName"]),
        waiting=waiting,
    )
    return report, version is not None and version.metadata.get("data_label") == "drawn samples"


def logs_of(target: Target, step: str | None) -> Iterator[str]:
    """The lines of the log of that step, job, endpoint, Lambda, or of the local cloud itself.

    Raises UsageError that says what there is, when it is none of these.
    """
    if step == "cloud":
        yield from _own_log(target)
    elif step == "monitor":
        yield from _job_lines(target, PROCESSING_LOGS, _newest_monitor(target))
    elif step in {"endpoint", "verification"}:
        name = outputs(target)["EndpointName"]
        name = aws.verification_endpoint(name) if step == "verification" else name
        yield from _group_lines(target, f"{_ENDPOINT_LOGS}/{name}")
    else:
        yield from _of_step_or_lambda(target, step)


def _of_step_or_lambda(target: Target, step: str | None) -> Iterator[str]:
    """Yield the log lines of a step or Lambda by name; without a name those of the steps that failed, else of all."""
    execution = last_execution(target)
    known = {s.name.lower(): s for s in execution.steps if log_group(s.job)} if execution else {}
    if step is None:
        if not known:
            raise WorkError("no step has run yet: `loadingbay run` runs the pipeline")
        failed = [s for s in known.values() if s.status == "Failed"]
        for found in failed or known.values():
            yield f"--- {found.name}"
            yield from _job_lines(target, log_group(found.job), found.job.rsplit("/", 1)[-1])
    elif step.lower() in known:
        job = known[step.lower()].job
        yield from _job_lines(target, log_group(job), job.rsplit("/", 1)[-1])
    else:
        group = _lambda_group(target, step)
        if group is None:
            steps = ", ".join(s.name for s in known.values()) or "none yet"
            raise UsageError(
                f"logs {step}: there is no such log; steps of the last execution: {steps}; "
                "else monitor, endpoint, verification, cloud, or the name of a Lambda such as deploy_model"
            )
        yield from _group_lines(target, group)


def _own_log(target: Target) -> Iterator[str]:
    """Yield the lines of the local cloud's own log; WorkError when it has written none."""
    place = local_cloud.log_file(target)
    if not place.is_file():
        raise WorkError(f"the local cloud has written no log yet: there is no {place}")
    with place.open(errors="replace") as lines:
        yield from (line.rstrip("\n") for line in lines)


def log_group(job: str) -> str:
    """The log group of the job with this ARN; "" when it is no job."""
    kind = job.split(":")[-1].split("/")[0]
    return _JOB_LOGS.get(kind, "")


def _job_lines(target: Target, group: str, job: str) -> list[str]:
    lines = LogTail(target.client("logs"), group, job).poll()
    if not lines:
        raise WorkError(f"the job {job} has written nothing to {group}")
    return lines


def _newest_monitor(target: Target) -> str:
    """Return the name of the stage's newest monitoring job; WorkError when none has run."""
    # AWS cuts a page before it filters it: the newest may be on a later one.
    pages = (
        target.client("sagemaker")
        .get_paginator("list_processing_jobs")
        .paginate(NameContains=f"{target.stage}-monitor", SortBy="CreationTime", SortOrder="Descending")
    )
    for page in pages:
        for job in page["ProcessingJobSummaries"]:
            return str(job["ProcessingJobName"])
    raise WorkError("no monitoring job has run yet: `loadingbay monitor` runs one")


def _lambda_group(target: Target, name: str) -> str | None:
    """Return the log group of the stage's first Lambda with a word that begins so; None when there is none.

    `deploy_model`, `deploy-model` and `deploy` name the same one; the step `Train` is not the Lambda `retrain`.
    """
    plain = name.lower().replace("_", "").replace("-", "")
    ours = f"{_LAMBDA_LOGS}/{target.stage}-"  # an account has other projects' Lambdas, too
    for group in aws.listed(target.client("logs"), "describe_log_groups", "logGroups", logGroupNamePrefix=ours):
        found = str(group["logGroupName"])
        words = found.removeprefix(ours).lower().replace("_", "-").split("-")
        if plain and any("".join(words[start:]).startswith(plain) for start in range(len(words))):
            return found
    return None


def _group_lines(target: Target, group: str) -> Iterator[str]:
    """Yield the lines of all streams of a group; WorkError when there is none."""
    nothing = WorkError(f"nothing was written to {group} yet")
    empty = True
    try:
        for event in aws.listed(target.client("logs"), "filter_log_events", "events", logGroupName=group):
            empty = False
            yield event["message"].rstrip("\n")
    except ClientError as error:
        if not aws.is_missing(error):
            raise
        raise nothing from error
    if empty:
        raise nothing
