"""Where the references of one execution get their values: parameters, execution variables, what earlier steps left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.api import ApiError
from localcloud.cloud import Cloud
from localcloud.engine.records import execution_id, iso
from localcloud.engine.references import UnknownReferenceError
from localcloud.jobs.failure import JobError
from localcloud.jobs.transfer import Location, Transfer

Document = dict[str, Any]


class ExecutionScope:
    """Implements `localcloud.engine.references.Scope` for one execution.

    `steps` are the documents of the execution's steps so far, kept up to date by the caller. `s3()` returns a boto3
    client with the permissions of the pipeline's role; ApiError if the role cannot be assumed. `job_name` is the name
    of the job whose arguments are resolved.
    """

    def __init__(
        self,
        cloud: Cloud,
        execution: Document,
        steps: Mapping[str, Document],
        s3: Callable[[], Any],
        job_name: str | None = None,
    ) -> None:
        self._cloud, self._execution, self._steps, self._job_name = cloud, execution, steps, job_name
        self._s3 = s3

    def parameter(self, name: str) -> Any:
        return self._execution["_parameters"][name]

    def execution(self, name: str) -> Any:
        """An execution variable, such as PipelineExecutionId; UnknownReferenceError for one that does not exist."""
        arn = self._execution["PipelineExecutionArn"]
        values = {
            "StartDateTime": iso(self._execution["CreationTime"]),
            "CurrentDateTime": iso(self._cloud.clock()),
            "PipelineName": self._execution["_pipeline"],
            "PipelineArn": self._execution["PipelineArn"],
            "PipelineExecutionId": execution_id(arn),
            "PipelineExecutionArn": arn,
            "TrainingJobName": self._job_name,
            "ProcessingJobName": self._job_name,
        }
        if values.get(name) is None:
            raise UnknownReferenceError(f"Execution.{name} has no value here.")
        return values[name]

    def experiment(self, name: str) -> Any:
        config = self._execution.get("PipelineExperimentConfig") or {}
        if name not in config:
            raise UnknownReferenceError(f"PipelineExperimentConfig.{name} has no value here.")
        return config[name]

    def properties(self, step: str) -> Any:
        return self._document(step).get("_properties", {})

    def property_file(self, step: str, name: str) -> Any:
        file = self._document(step).get("_files", {}).get(name, {"problem": f"step {step!r} left no such file"})
        if "problem" in file:
            raise UnknownReferenceError(f"Property file {name!r}: {file['problem'].rstrip('.')}.")
        return file["content"]

    def json_object(self, uri: str) -> Any:
        try:
            return Transfer(self._s3()).read_json(Location.parse(uri))
        except (ApiError, JobError) as error:
            raise UnknownReferenceError(str(error)) from None

    def _document(self, step: str) -> Document:
        if step not in self._steps:
            raise UnknownReferenceError(f"Step {step!r} has not run.")
        return self._steps[step]
