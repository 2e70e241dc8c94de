"""Search: training and tuning jobs, experiments, models, endpoints, the registry and pipelines, by their properties.

A filter names a property by its path (`HyperParameters.epochs`, `Tags.team`, `Metrics.rmse`, `Parents.TrialName`). Its
value is text; it is compared as a number or a time where the property is one. Source: "Search" and "Filter" in the
SageMaker API reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localcloud.api import OPERATIONS, operation, page, pick, refuse, validation_error
from localcloud.api.shapes import service_model
from localcloud.api.tags import KIND as TAGS
from localcloud.cloud import Cloud
from localcloud.engine.conditions import COMPARISONS
from localcloud.resources import tracking, trials

Document = dict[str, Any]


@dataclass(frozen=True)
class _Searched:
    """A resource that can be searched: the record's member, what it is stored as, and how it is described."""

    record: str
    kind: str
    describe: str
    name: str
    arn: str


SEARCHED = {
    "TrainingJob": _Searched("TrainingJob", "training-job", "DescribeTrainingJob", "TrainingJobName", "TrainingJobArn"),
    "HyperParameterTuningJob": _Searched(
        "HyperParameterTuningJob",
        "hyper-parameter-tuning-job",
        "DescribeHyperParameterTuningJob",
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobArn",
    ),
    "Endpoint": _Searched("Endpoint", "endpoint", "DescribeEndpoint", "EndpointName", "EndpointArn"),
    "Model": _Searched("Model", "model", "DescribeModel", "ModelName", "ModelArn"),
    # A version has no name: it is described by its ARN.
    "ModelPackage": _Searched(
        "ModelPackage", "model-package", "DescribeModelPackage", "ModelPackageName", "ModelPackageArn"
    ),
    "ModelPackageGroup": _Searched(
        "ModelPackageGroup",
        "model-package-group",
        "DescribeModelPackageGroup",
        "ModelPackageGroupName",
        "ModelPackageGroupArn",
    ),
    "ModelCard": _Searched("ModelCard", "model-card", "DescribeModelCard", "ModelCardName", "ModelCardArn"),
    "Pipeline": _Searched("Pipeline", "pipeline", "DescribePipeline", "PipelineName", "PipelineArn"),
    "PipelineExecution": _Searched(
        "PipelineExecution",
        "pipeline-execution",
        "DescribePipelineExecution",
        "PipelineExecutionArn",
        "PipelineExecutionArn",
    ),
}
_TRACKED = {
    "Experiment": tracking.EXPERIMENT,
    "ExperimentTrial": tracking.TRIAL,
    "ExperimentTrialComponent": tracking.COMPONENT,
}


@operation("Search")
def search(cloud: Cloud, request: dict[str, Any]) -> dict[str, Any]:
    """Find resources by a search expression over their properties, changed last first by default."""
    refuse(request, "VisibilityConditions")
    resource = request["Resource"]
    if resource not in SEARCHED and resource not in _TRACKED:
        raise validation_error(
            f"The local cloud does not search {resource}; it searches: {', '.join([*SEARCHED, *_TRACKED])}."
        )
    record = SEARCHED[resource].record if resource in SEARCHED else _TRACKED[resource].label
    expression = request.get("SearchExpression") or {}
    members = service_model("sagemaker").shape_for("SearchRecord").members[record].members
    # A model's record holds the model, and its properties may be named without it.
    if resource != "Model":
        _check_names(expression, {*members, "Metrics"})
    found = [document for document in _documents(cloud, resource) if _holds(expression, document)]
    by = request.get("SortBy") or "LastModifiedTime"
    for document in found:
        values = sorted(_values(document, by.split(".")), key=str)
        value = values[0] if values else None
        number = isinstance(value, int | float) and not isinstance(value, bool)
        document["_sortTime"], document["_sortText"] = (value, "") if number else (0.0, str(value or ""))
    field = "_sortTime" if any(document["_sortTime"] for document in found) else "_sortText"
    answer = page(
        {name: request.get(name) for name in ("Resource", "NextToken", "MaxResults", "SortOrder")},
        found,
        member="Results",
        summary=lambda document: {record: pick(document, *members)},
        name="_arn",
        identity="_arn",
        sort={field: field},
        default_sort=field,
    )
    return {**answer, "TotalHits": {"Value": len(found), "Relation": "EqualTo"}}


def _documents(cloud: Cloud, resource: str) -> Iterator[Document]:
    """Yield every resource of a kind as Describe answers it, with its tags and, under `_arn`, its ARN."""
    if resource in _TRACKED:
        tracked = _TRACKED[resource]
        experiments = {t["TrialName"]: t["ExperimentName"] for t in cloud.store.documents(tracking.TRIAL.kind)}
        for found in tracking.documents(cloud, tracked):
            document = {**found, "_arn": found[tracked.arn], **_tags(cloud, found[tracked.arn])}
            if tracked is tracking.COMPONENT:
                names = sorted(trials.trials_of(cloud, found))
                document["Parents"] = [
                    {"TrialName": name, **({"ExperimentName": experiments[name]} if name in experiments else {})}
                    for name in names
                ]
            yield document
        return
    searched = SEARCHED[resource]
    for stored in cloud.store.documents(searched.kind):
        described = (
            OPERATIONS[searched.describe](cloud, {searched.name: stored.get(searched.name, stored[searched.arn])}) or {}
        )
        document = {**described, **_tags(cloud, stored[searched.arn])}
        if resource == "Model":
            document = {"Model": document}
        yield {**document, "_arn": stored[searched.arn]}


def _tags(cloud: Cloud, arn: str) -> Document:
    tags = cloud.store.get(TAGS, arn) or {}
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


# Expressions


def _check_names(expression: Document, known: set[str]) -> None:
    """ValidationException in AWS's words for a filter of a property that the resource does not have."""
    for test in expression.get("Filters", []):
        if test["Name"].partition(".")[0] not in known:
            raise validation_error(f"Unknown property name: {test['Name']}")
    for inner in expression.get("SubExpressions", []):
        _check_names(inner, known)


def _holds(expression: Document, document: Document) -> bool:
    """Whether a document meets a search expression."""
    parts: list[Callable[[], bool]] = [
        *(lambda f=f: _passes(f, _values(document, f["Name"].split("."))) for f in expression.get("Filters", [])),
        *(lambda n=n: _nested(n, document) for n in expression.get("NestedFilters", [])),
        *(lambda e=e: _holds(e, document) for e in expression.get("SubExpressions", [])),
    ]
    together = any if expression.get("Operator") == "Or" else all
    return not parts or together(part() for part in parts)


def _nested(nested: Document, document: Document) -> bool:
    """Whether one element of a list has all that the filters ask for."""
    path = nested["NestedPropertyName"]
    for element in _values(document, path.split("."), whole=True):
        names = [(f, f["Name"].removeprefix(f"{path}.").split(".")) for f in nested["Filters"]]
        if all(_passes(f, _values(element, name)) for f, name in names):
            return True
    return False


def _values(value: Any, path: list[str], *, whole: bool = False) -> list[Any]:
    """What lies at a path; lists are looked into, and a map's key may hold dots.

    `whole`: objects are values too.
    """
    if isinstance(value, list):
        if path and value and isinstance(value[0], dict):
            for key, held in (("Key", "Value"), ("MetricName", "Value")):
                # Tags and final metrics are lists of names with values.
                named = [one[held] for one in value if one.get(key) == ".".join(path) and held in one]
                if named:
                    return named
        return [found for one in value for found in _values(one, path, whole=whole)]
    if isinstance(value, dict):
        if not path:
            # A parameter of a trial component holds one value under the name of its type.
            return [value] if whole else [value[name] for name in ("NumberValue", "StringValue") if name in value]
        for count in range(len(path), 0, -1):
            name = ".".join(path[:count])
            if name in value:
                return _values(value[name], path[count:], whole=whole)
        if path[0] == "Metrics" and "FinalMetricDataList" in value:
            return _values(value["FinalMetricDataList"], path[1:])
        metrics = [one for one in value.get("Metrics", []) if path[0] == one.get("MetricName")]
        return _values(metrics, path[1:] or ["Last"]) if metrics else []
    return [] if path else [value]


def _passes(test: Document, values: list[Any]) -> bool:
    """Whether one of the values that were found at a filter's path meets the filter `test`."""
    how, wanted = test.get("Operator", "Equals"), test.get("Value")
    if how in ("Exists", "NotExists"):
        return bool(values) is (how == "Exists")
    if wanted is None:
        raise validation_error(f"The filter {test['Name']} with {how} needs a Value.")
    if how == "NotEquals":
        return all(not _compared("Equals", value, wanted) for value in values)
    if how == "In":
        return any(_compared("Equals", value, one.strip()) for value in values for one in wanted.split(","))
    return any(_compared(how, value, wanted) for value in values)


def _compared(how: str, value: Any, wanted: str) -> bool:
    """Whether a value compares to the filter's text: as booleans, numbers or times where both are, else as texts."""
    if how == "Contains":
        return wanted.lower() in str(value).lower()
    if isinstance(value, bool):
        return how == "Equals" and str(value).lower() == wanted.lower()
    number = _number(wanted)
    numeric = value if isinstance(value, int | float) else _number(value) if isinstance(value, str) else None
    if numeric is not None and number is not None:
        return COMPARISONS[how](numeric, number)
    return isinstance(value, str) and bool(COMPARISONS[how](value, wanted))


def _number(text: str) -> float | None:
    """A number, or the epoch seconds of a time such as 2026-11-26T01:00:00Z; None for other text."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
