"""Validates CreateHyperParameterTuningJob requests, and makes the requests of a tuning job's training jobs. Pure."""

from __future__ import annotations

from typing import Any

from localcloud.api import refuse, validation_error
from localcloud.cloud import Cloud
from localcloud.jobs.requests import training_job
from localcloud.jobs.search_space import SearchError, check_ranges

Document = dict[str, Any]
KIND = "hyper-parameter-tuning-job"
LABEL = "HyperParameterTuning"
_OF_DEFINITION = (
    "RoleArn",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "RetryStrategy",
    "Environment",
)
_NO_COUNTS = {
    "TrainingJobStatusCounters": dict.fromkeys(
        ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped"), 0
    ),
    "ObjectiveStatusCounters": dict.fromkeys(("Succeeded", "Pending", "Failed"), 0),
}


def tuning_job(cloud: Cloud, request: Document) -> Document:
    """Return the document of a new tuning job. `request` was already validated against botocore's model.

    ApiError if it, or one of the training jobs that it would start, is not supported or invalid.
    """
    refuse(request, "Autotune")
    config = request["HyperParameterTuningJobConfig"]
    refuse(config.get("TuningJobCompletionCriteria", {}), "ConvergenceDetected")
    if bool(request.get("TrainingJobDefinition")) == bool(request.get("TrainingJobDefinitions")):
        raise validation_error("Give either TrainingJobDefinition or TrainingJobDefinitions.")
    if config["Strategy"] != "Grid" and "MaxNumberOfTrainingJobs" not in config["ResourceLimits"]:
        raise validation_error("ResourceLimits.MaxNumberOfTrainingJobs is required for this strategy.")
    described = []
    for definition in definitions(request):
        refuse(ranges(request, definition), "AutoParameters")
        try:
            check_ranges(ranges(request, definition), config["Strategy"])
        except SearchError as error:
            raise validation_error(str(error)) from None
        made = training_job(cloud, training_request(request, definition, {}, "any"))
        metric = objective(request, definition)["MetricName"]
        metrics = made["AlgorithmSpecification"].get("MetricDefinitions", [])
        known = [one["Name"] for one in metrics]
        if metric not in known:
            raise validation_error(
                f"The objective metric {metric!r} is none of the MetricDefinitions: {', '.join(known) or 'none'}."
            )
        described.append(_described(request, definition, metrics))
    now = cloud.clock()
    several = "TrainingJobDefinitions" in request
    return {
        **{name: value for name, value in request.items() if name != "Tags"},
        **({"TrainingJobDefinitions": described} if several else {"TrainingJobDefinition": described[0]}),
        "_tags": request.get("Tags"),
        "HyperParameterTuningJobArn": cloud.arn(KIND, request["HyperParameterTuningJobName"]),
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": now,
        "LastModifiedTime": now,
        **_NO_COUNTS,
    }


def _described(request: Document, definition: Document, metrics: list[Document]) -> Document:
    """A training job definition as it is described: with a ResourceConfig, the objective metric, and all metrics.

    `HyperparameterTuner.attach` of the SDK, which need not send them, relies on all three.
    """
    algorithm = {**definition["AlgorithmSpecification"], "MetricDefinitions": metrics}
    shown = {"AlgorithmSpecification": algorithm, "StaticHyperParameters": _static(request, definition)}
    return {**_resources(definition), **definition, **shown}


def _static(job: Document, definition: Document) -> dict[str, str]:
    metric = objective(job, definition)["MetricName"]
    return {"_tuning_objective_metric": metric, **definition.get("StaticHyperParameters", {})}


def definitions(job: Document) -> list[Document]:
    """The training job definitions of a tuning job."""
    return job.get("TrainingJobDefinitions") or [job["TrainingJobDefinition"]]


def ranges(job: Document, definition: Document) -> Document:
    """What is tuned for a definition."""
    found: Document = definition.get("HyperParameterRanges") or job["HyperParameterTuningJobConfig"].get(
        "ParameterRanges", {}
    )
    return found


def objective(job: Document, definition: Document) -> Document:
    """The objective of a definition; ApiError if there is none."""
    config = job["HyperParameterTuningJobConfig"]
    found: Document | None = definition.get("TuningObjective") or config.get("HyperParameterTuningJobObjective")
    if found is None:
        raise validation_error("The tuning job needs a HyperParameterTuningJobObjective.")
    return found


def training_request(job: Document, definition: Document, tuned: dict[str, str], name: str) -> Document:
    """The CreateTrainingJob request of one training job with the tuned hyperparameters."""
    algorithm = {"TrainingImage": "", **definition["AlgorithmSpecification"]}
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": algorithm,
        "HyperParameters": {**_static(job, definition), **tuned},
        **{member: definition[member] for member in _OF_DEFINITION if member in definition},
        **_resources(definition),
    }


def _resources(definition: Document) -> Document:
    """The ResourceConfig of a training job. Where several instances are named, AWS may take any: this is the first."""
    given = definition.get("HyperParameterTuningResourceConfig")
    if given is None:
        return {}
    first = (given.get("InstanceConfigs") or [given])[0]
    members = ("InstanceType", "InstanceCount", "VolumeSizeInGB")
    config = {name: first[name] for name in members if name in first}
    return {"ResourceConfig": {"VolumeSizeInGB": 30, **config}}
