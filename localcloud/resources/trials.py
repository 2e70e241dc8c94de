"""Trial components of SageMaker Experiments: those made of jobs, their metrics, and the trials they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from localcloud.api import operation, pick, validation_error
from localcloud.cloud import Cloud
from localcloud.resources import tracking
from localcloud.resources.tracking import COMPONENT, EXPERIMENT, TRIAL, Document

_MEMBER = "trial-member"
_STATUS = {"Completed": "Completed", "Failed": "Failed", "Stopped": "Stopped", "Stopping": "Stopping"}


def job_components(cloud: Cloud) -> Iterator[Document]:
    """The trial components that SageMaker makes of jobs by itself."""
    for label in ("Training", "Processing", "Transform"):
        for job in cloud.store.documents(f"{label.lower()}-job"):
            yield _component(cloud, label, job)


def _component(cloud: Cloud, label: str, job: Document) -> Document:
    """The trial component that SageMaker makes of a job, with its parameters and final metrics.

    `label` is the kind of job in the names of its members, such as `Training`.
    """
    name = f"{job[f'{label}JobName']}-aws-{label.lower()}-job"
    arn, status = job[f"{label}JobArn"], job[f"{label}JobStatus"]
    config = job.get("ExperimentConfig", {})
    metrics = [
        {
            "MetricName": metric["MetricName"],
            "SourceArn": arn,
            "TimeStamp": metric["Timestamp"],
            **dict.fromkeys(("Max", "Min", "Last", "Avg"), metric["Value"]),
            "Count": 1,
            "StdDev": 0.0,
        }
        for metric in job.get("FinalMetricDataList", [])
    ]
    times = pick(
        {"StartTime": job.get(f"{label}StartTime"), "EndTime": job.get(f"{label}EndTime")}, "StartTime", "EndTime"
    )
    return {
        "TrialComponentName": name,
        "TrialComponentArn": cloud.arn(COMPONENT.kind, name),
        "DisplayName": config.get("TrialComponentDisplayName", name),
        "Source": {"SourceArn": arn, "SourceType": f"SageMaker{label}Job"},
        "Status": {"PrimaryStatus": _STATUS.get(status, "InProgress"), "Message": status},
        "Parameters": {key: _parameter(value) for key, value in job.get("HyperParameters", {}).items()},
        "CreationTime": job["CreationTime"],
        "LastModifiedTime": job["LastModifiedTime"],
        **times,
        **({"Metrics": metrics} if metrics else {}),
        "_trial": config.get("TrialName"),
    }


def _parameter(value: str) -> Document:
    try:
        return {"NumberValue": float(value)}
    except ValueError:
        return {"StringValue": value}


def trials_of(cloud: Cloud, component: Document) -> set[str]:
    """The names of the trials that a component belongs to."""
    associated = {one["TrialName"] for one in cloud.store.documents(_MEMBER, component["TrialComponentName"])}
    return associated | {component["_trial"]} if component.get("_trial") else associated


def _components_where(cloud: Cloud, request: Document) -> Callable[[Document], bool]:
    """Return the filter of ListTrialComponents by experiment, trial and source."""
    trials: set[str] | None = None
    if request.get("TrialName"):
        trials = {tracking.find(cloud, TRIAL, request["TrialName"])["TrialName"]}
    elif request.get("ExperimentName"):
        name = tracking.find(cloud, EXPERIMENT, request["ExperimentName"])["ExperimentName"]
        trials = {trial["TrialName"] for trial in cloud.store.documents(TRIAL.kind) if trial["ExperimentName"] == name}
    source = request.get("SourceArn")

    def where(component: Document) -> bool:
        if source is not None and component.get("Source", {}).get("SourceArn") != source:
            return False
        return trials is None or bool(trials & trials_of(cloud, component))

    return where


def _trials_where(cloud: Cloud, request: Document) -> Callable[[Document], bool]:
    """Return the filter of ListTrials by trial component."""
    name = request.get("TrialComponentName")
    if not name:
        return lambda trial: True
    names = trials_of(cloud, tracking.find(cloud, COMPONENT, name))
    return lambda trial: trial["TrialName"] in names


def _experiment_of_trial(cloud: Cloud, request: Document) -> None:
    tracking.find(cloud, EXPERIMENT, request["ExperimentName"])


def _no_trials(cloud: Cloud, experiment: Document) -> None:
    name = experiment["ExperimentName"]
    if any(trial["ExperimentName"] == name for trial in cloud.store.documents(TRIAL.kind)):
        raise validation_error(f"Experiment {name} cannot be deleted: delete its trials first.")


def _no_components(cloud: Cloud, trial: Document) -> None:
    name = trial["TrialName"]
    if any(member["TrialName"] == name for member in cloud.store.documents(_MEMBER)):
        raise validation_error(f"Trial {name} cannot be deleted: disassociate its trial components first.")


def _in_no_trial(cloud: Cloud, component: Document) -> None:
    if cloud.store.count(_MEMBER, component["TrialComponentName"]):
        name = component["TrialComponentName"]
        raise validation_error(f"Trial component {name} cannot be deleted: disassociate it from its trials first.")


tracking.EXTRAS.update(
    Experiment=tracking.Extra(before_delete=_no_trials),
    Trial=tracking.Extra(where=_trials_where, before_create=_experiment_of_trial, before_delete=_no_components),
    TrialComponent=tracking.Extra(documents=job_components, where=_components_where, before_delete=_in_no_trial),
)


@operation("AssociateTrialComponent")
def associate_trial_component(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Put a trial component into a trial; it may be in several."""
    trial = tracking.find(cloud, TRIAL, request["TrialName"])
    component = tracking.find(cloud, COMPONENT, request["TrialComponentName"])
    name = component["TrialComponentName"]
    cloud.store.put(_MEMBER, _member_key(name, trial["TrialName"]), pick(trial, "TrialName"), parent=name)
    return {**pick(component, "TrialComponentArn"), **pick(trial, "TrialArn")}


@operation("DisassociateTrialComponent")
def disassociate_trial_component(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Take a trial component out of a trial; nothing happens if it is not in it."""
    component, trial = (request[member].rpartition("/")[2] for member in ("TrialComponentName", "TrialName"))
    cloud.store.delete(_MEMBER, _member_key(component, trial))
    return {"TrialComponentArn": cloud.arn(COMPONENT.kind, component), "TrialArn": cloud.arn(TRIAL.kind, trial)}


def batch_put_metrics(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Add values to the metrics of a trial component, as the operation BatchPutMetrics of SageMaker Metrics."""
    component = tracking.find(cloud, COMPONENT, request["TrialComponentName"])
    arn = component["TrialComponentArn"]

    def add(document: Document) -> None:
        metrics = {metric["MetricName"]: metric for metric in document.get("Metrics", [])}
        for one in request["MetricData"]:
            before = metrics.get(one["MetricName"], {"Count": 0, "Avg": 0.0, "StdDev": 0.0})
            metrics[one["MetricName"]] = _with_value(before, one, arn)
        document["Metrics"] = list(metrics.values())

    with cloud.store.transaction():
        # The component of a job is stored from here on.
        cloud.store.put(COMPONENT.kind, component["TrialComponentName"], component)
        cloud.store.update(COMPONENT.kind, component["TrialComponentName"], add)
    return {"Errors": []}


def _with_value(before: Document, one: Document, arn: str) -> Document:
    """A metric's summary with one more value; mean and deviation are kept up to date by Welford's method."""
    value, count = one["Value"], before["Count"] + 1
    mean = before["Avg"] + (value - before["Avg"]) / count
    squares = before["StdDev"] ** 2 * before["Count"] + (value - before["Avg"]) * (value - mean)
    return {
        "MetricName": one["MetricName"],
        "SourceArn": arn,
        "TimeStamp": one["Timestamp"],
        "Max": max(before.get("Max", value), value),
        "Min": min(before.get("Min", value), value),
        "Last": value,
        "Count": count,
        "Avg": mean,
        "StdDev": (squares / count) ** 0.5,
    }


def _member_key(component: str, trial: str) -> str:
    return f"{component} {trial}"
