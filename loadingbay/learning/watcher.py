"""What monitoring needs to run by itself: its schedule, the pipeline that this starts, and the endpoint it watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from loadingbay.target import Target
from pipelines import aws, monitoring


@dataclass(frozen=True)
class Watcher:
    """What there is of monitoring in a stage.

    `name` is that of the schedule and of the pipeline, `endpoint` that of what they watch. `expression` is when the
    schedule starts, "" without a schedule; `enabled` whether it does. `pipeline` and `serves` say whether pipeline and
    endpoint exist.
    """

    name: str
    endpoint: str
    expression: str
    enabled: bool
    pipeline: bool
    serves: bool

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps monitoring from running, a sentence each with what to do; none where it runs."""
        found = []
        if not self.expression:
            found.append(
                f"the schedule {self.name} is gone and starts nothing: "
                "deploy another MonitoringSchedule, `loadingbay deploy --parameter 'MonitoringSchedule=rate(2 hours)'`"
            )
        elif not self.enabled:
            found.append(
                f"the schedule {self.name} is switched off and starts nothing: "
                "set its State to ENABLED in EventBridge Scheduler"
            )
        if not self.pipeline:
            found.append(f"there is no pipeline {self.name} for the schedule to start: `loadingbay run` makes it")
        if not self.serves:
            found.append(
                f"there is no endpoint {self.endpoint} to watch: `loadingbay approve VERSION` deploys one; "
                "that of an approved version comes back within the hour, or `loadingbay logs deploy_model` says why not"
            )
        return tuple(found)

    def document(self) -> dict[str, Any]:
        """The state of monitoring as a JSON object, which `status --json` prints."""
        return {
            "schedule": self.expression or None,
            "enabled": self.enabled,
            "pipeline": self.name if self.pipeline else None,
            "missing": list(self.missing),
        }


def read(target: Target, endpoint: str, *, serves: bool) -> Watcher:
    """Look up the stage's schedule and monitoring pipeline; `serves` says whether the endpoint of that name exists."""
    name = f"{target.stage}{monitoring.SUFFIX}"
    schedule = _found(target.client("scheduler").get_schedule, Name=name) or {}
    return Watcher(
        name=name,
        endpoint=endpoint,
        expression=schedule.get("ScheduleExpression", ""),
        enabled=schedule.get("State", "ENABLED" if schedule else "") == "ENABLED",
        pipeline=_found(target.client("sagemaker").describe_pipeline, PipelineName=name) is not None,
        serves=serves,
    )


def _found(ask: Any, **wanted: str) -> dict[str, Any] | None:
    """The answer to a request; None where what it asks for does not exist."""
    try:
        answer: dict[str, Any] = ask(**wanted)
    except ClientError as error:
        if aws.is_missing(error):
            return None
        raise
    return answer
