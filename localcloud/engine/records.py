"""Executions and their steps in the store. A change is stored before its event is published."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from localcloud.cloud import Cloud
from localcloud.engine.definition import Step
from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

Document = dict[str, Any]
PIPELINE, VERSION, EXECUTION, STEP, CACHE, TOKEN = (
    "pipeline",
    "pipeline-version",
    "pipeline-execution",
    "pipeline-execution-step",
    "pipeline-step-cache",
    "pipeline-token",
)
RUNNING = ("Executing", "Stopping")
FAILED = "Step failure: One or multiple steps failed."
MAX_FAILURE_REASON = 1024


def execution_id(arn: str) -> str:
    """The last part of an execution's ARN."""
    return arn.rpartition("/")[2]


def iso(seconds: float) -> str:
    """A time as AWS writes it in events and execution variables."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Records:
    """Reads and changes the documents of one execution."""

    def __init__(self, cloud: Cloud, arn: str) -> None:
        self._cloud, self._arn = cloud, arn

    def execution(self) -> Document:
        """The execution as it is stored; KeyError if it was deleted."""
        document = self._cloud.store.get(EXECUTION, self._arn)
        if document is None:
            raise KeyError(self._arn)
        return document

    def definition_text(self, execution: Document) -> str:
        """The definition JSON of the pipeline version that this execution was started with."""
        version = self._cloud.store.get(VERSION, f"{execution['_pipeline']}/{execution['PipelineVersionId']}")
        return str((version or {})["PipelineDefinition"])

    def steps(self) -> dict[str, Document]:
        """The steps that have started, by name."""
        return {step["StepName"]: step for step in self._cloud.store.documents(STEP, self._arn)}

    def begin_stopping(self) -> bool:
        """Turn a running execution's status to Stopping; False if it has ended."""
        if self.execution()["PipelineExecutionStatus"] == "Executing":
            self.set_status("Stopping", only_from=RUNNING)
        return bool(self.execution()["PipelineExecutionStatus"] == "Stopping")

    def set_status(self, status: str, failure: str | None = None, only_from: Collection[str] | None = None) -> None:
        """Change the execution's status and announce it, if it is one of `only_from` until then."""
        now, before = self._cloud.clock(), ""

        def edit(document: Document) -> None:
            """Set the status in the document, unless the one before does not allow it."""
            nonlocal before
            before = document["PipelineExecutionStatus"]
            if only_from is not None and before not in only_from:
                return
            document["PipelineExecutionStatus"] = status
            document["LastModifiedTime"] = now
            document.pop("FailureReason", None)
            if failure:
                document["FailureReason"] = failure
            document["_end"] = None if status in RUNNING else now

        document = self._cloud.store.update(EXECUTION, self._arn, edit)
        if before != document["PipelineExecutionStatus"]:
            announce_execution(self._cloud, document, before)

    def write_step(self, document: Document) -> None:
        """Store a step's document; for use inside a transaction, before `announce_step`."""
        self._cloud.store.put(STEP, f"{self._arn}/{document['StepName']}", document, parent=self._arn)

    def announce_step(self, step: Step, document: Document, before: str | None) -> None:
        """Publish the event of a step's new status; nothing if it is the same as `before`."""
        if before == document["StepStatus"]:
            return
        detail: Document = {
            "metadata": {_first_lower(k): {"arn": v["Arn"]} for k, v in document["Metadata"].items() if "Arn" in v},
            "stepName": step.name,
            "stepType": step.type,
            "previousStepStatus": before,
            "currentStepStatus": document["StepStatus"],
            "stepStartTime": iso(document["StartTime"]),
            "stepEndTime": iso(document["EndTime"]) if document.get("EndTime") else None,
            "failureReason": document.get("FailureReason"),
            "pipelineExecutionArn": self._arn,
            "pipelineArn": self._arn.partition("/execution/")[0],
        }
        if "CacheHitResult" in document:
            source = document["CacheHitResult"]["SourcePipelineExecutionArn"]
            detail["cacheHitResult"] = {"sourcePipelineExecutionArn": source}
        _publish(self._cloud, "SageMaker Model Building Pipeline Execution Step Status Change", self._arn, detail)


def announce_execution(cloud: Cloud, document: Document, before: str | None) -> None:
    """Publish the event of an execution's new status."""
    detail = {
        "pipelineExecutionDisplayName": document.get("PipelineExecutionDisplayName"),
        "pipelineExecutionDescription": document.get("PipelineExecutionDescription"),
        "currentPipelineExecutionStatus": document["PipelineExecutionStatus"],
        "previousPipelineExecutionStatus": before,
        "executionStartTime": iso(document["CreationTime"]),
        "executionEndTime": iso(document["_end"]) if document.get("_end") else None,
        "pipelineArn": document["PipelineArn"],
        "pipelineExecutionArn": document["PipelineExecutionArn"],
    }
    arn = document["PipelineExecutionArn"]
    _publish(cloud, "SageMaker Model Building Pipeline Execution Status Change", arn, detail)


def _publish(cloud: Cloud, detail_type: str, arn: str, detail: Document) -> None:
    """Publish an event of an execution or of one of its steps; a failure to publish is logged and not raised."""
    resources = [arn.partition("/execution/")[0], arn]
    try:
        cloud.events.put(detail_type, resources, {name: v for name, v in detail.items() if v is not None})
    except (Exception, DiskError):
        # The work goes on without the event; whoever waits on the API sees the state.
        logger.exception("the event of %s could not be published", arn)


def _first_lower(name: str) -> str:
    return name[:1].lower() + name[1:]
