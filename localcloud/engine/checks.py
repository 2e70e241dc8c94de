"""QualityCheck and ClarifyCheck steps: which baseline their job is given, what they leave behind, and how they fail.

A check step runs a processing job, whose image analyzes data or a model. The job always calculates a new baseline; it
compares with an earlier one unless the step skips that. Source: "Baseline calculation, drift detection and lifecycle
with ClarifyCheck and QualityCheck steps" in the SageMaker developer guide.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from localcloud.api import ApiError
from localcloud.engine import steps
from localcloud.engine.baselines import CALCULATED, REGISTERED, SWITCHES, missing
from localcloud.engine.definition import Step
from localcloud.engine.steps import Context, Document, StepError, new_job, resolved, result_key
from localcloud.jobs.failure import JobError
from localcloud.jobs.transfer import Location, Transfer
from localcloud.sandbox.sandbox import OPT_ML

TYPES = ("QualityCheck", "ClarifyCheck")
VIOLATIONS = "constraint_violations.json"


def work_of(step: Step) -> ModuleType:
    """The module with the functions make_job, metadata and job_result of a step that runs a job."""
    return sys.modules[__name__] if step.type in TYPES else steps


def make_job(context: Context, step: Step, name: str) -> tuple[Document, str | None]:
    """The document of the step's job, which is not stored yet, and the key of the step's result in the cache.

    StepError if the step needs a baseline and there is none.
    """
    arguments = resolved(context, step, step.arguments, name)
    settings = _settings(resolved(context, step, step.check), step)
    baseline = _baseline(context, step, settings)
    if "Constraints" not in baseline and not (settings["SkipCheck"] and settings["RegisterNewBaseline"]):
        raise StepError(f"ClientError: {missing(step.name, settings)}")
    job = new_job(context, step, name, _with_baseline(arguments, settings, baseline))
    job["_check"] = {"settings": settings, "baseline": baseline}
    return job, result_key(step, {**arguments, **settings, "Baseline": baseline})


def metadata(step: Step, job: Document) -> Document:
    """The member Metadata of the step while its job runs."""
    settings = job["_check"]["settings"]
    shown = ("CheckType", "ModelPackageGroupName", "SkipCheck", "RegisterNewBaseline")
    return {
        step.type: {
            **{member: settings[member] for member in shown if member in settings},
            "CheckJobArn": job["ProcessingJobArn"],
        }
    }


def job_result(context: Context, step: Step, job: Document) -> Document:
    """What a completed check leaves to later steps; StepError if it found violations that are to fail it."""
    settings, baseline = job["_check"]["settings"], job["_check"]["baseline"]
    (output,) = job["ProcessingOutputConfig"]["Outputs"][:1]
    place = Location.parse(output["S3Output"]["S3Uri"])
    calculated = {part: str(place.join(file)) for part, file in CALCULATED[step.type].items()}
    used = calculated if settings["RegisterNewBaseline"] else baseline
    properties = {f"CalculatedBaseline{part}": uri for part, uri in calculated.items()}
    properties |= {f"BaselineUsedForDriftCheck{part}": uri for part, uri in used.items()}
    shown = {**metadata(step, job)[step.type], **properties}
    if settings["SkipCheck"]:
        return {"Metadata": {step.type: shown}, "_properties": properties}
    report = place.join(VIOLATIONS)
    found = _violations(context, step, report)
    if found:
        shown["ViolationReport"] = str(report)
    members = {"Metadata": {step.type: shown}, "_properties": properties}
    if found and settings["FailOnViolation"]:
        kind = step.type.removesuffix("Check")
        raise StepError(
            f"ClientError: {kind} check failed. See violation report {report}. Violations: {len(found)}; the first: "
            f"{_sentence(found[0])}",
            members=members,
        )
    return members


def _sentence(violation: Document) -> str:
    subject = next((violation[name] for name in ("feature_name", "facet", "metric_name") if name in violation), "")
    return f"{subject}: {violation.get('constraint_check_type')}: {violation.get('description')}"


def _violations(context: Context, step: Step, report: Location) -> list[Document]:
    """Return the violations in a check's report; StepError when the report cannot be read."""
    try:
        found: list[Document] = Transfer(context.s3()).read_json(report).get("violations", [])
    except (ApiError, JobError) as error:
        raise StepError(f"ClientError: The violation report of step {step.name} cannot be read: {error}") from None
    return found


def _settings(given: Document, step: Step) -> Document:
    """The step's settings with their defaults; StepError if a switch is neither true nor false."""
    settings = {member: value for member, value in given.items() if value not in (None, "")}
    for member, default in SWITCHES.items():
        value = settings.get(member, default)
        if not isinstance(value, bool):
            if str(value).lower() not in ("true", "false"):
                raise StepError(f"ClientError: {member} of step {step.name} is {value!r}; it must be true or false.")
            value = str(value).lower() == "true"
        settings[member] = value
    return settings


def _baseline(context: Context, step: Step, settings: Document) -> dict[str, str]:
    """The S3 URIs of the parts of the baseline to compare with: supplied ones before registered ones."""
    parts = CALCULATED[step.type]
    supplied = {part: settings[f"SuppliedBaseline{part}"] for part in parts if f"SuppliedBaseline{part}" in settings}
    if "Constraints" in supplied or "ModelPackageGroupName" not in settings:
        return supplied
    return {**_registered(context, settings), **supplied}


def _registered(context: Context, settings: Document) -> dict[str, str]:
    """The baseline in the latest approved version of the settings' group; empty if there is none."""
    role = context.identity()
    request = {
        "ModelPackageGroupName": settings["ModelPackageGroupName"],
        "ModelApprovalStatus": "Approved",
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
        "MaxResults": 1,
    }
    try:
        listed = context.cloud.call("ListModelPackages", request, role)["ModelPackageSummaryList"]
        if not listed:
            return {}
        arn = listed[0]["ModelPackageArn"]
        package = context.cloud.call("DescribeModelPackage", {"ModelPackageName": arn}, role)
    except ApiError as error:
        if error.code == "AccessDeniedException":
            raise StepError(f"ClientError: {error.message}", cause=f"{error.code}: {error.message}") from None
        return {}
    member, names = REGISTERED[settings["CheckType"]]
    sources: dict[str, Any] = (package.get("DriftCheckBaselines") or {}).get(member) or {}
    return {part: sources[name]["S3Uri"] for part, name in names.items() if name in sources}


def _with_baseline(arguments: Document, settings: Document, baseline: dict[str, str]) -> Document:
    """The arguments of a job that is to compare with the baseline: it finds it by environment variables."""
    inputs, variables = list(arguments.get("ProcessingInputs", [])), dict(arguments.get("Environment", {}))
    for part, uri in baseline.items() if not settings["SkipCheck"] else ():
        folder, name = f"{OPT_ML}/processing/baseline/{part.lower()}", f"baseline_{part.lower()}"
        source = {"S3Uri": uri, "LocalPath": folder, "S3DataType": "S3Prefix", "S3InputMode": "File"}
        inputs.append({"InputName": name, "S3Input": source})
        variables[name] = f"{folder}/{uri.rpartition('/')[2]}"
    if "ModelName" in settings:
        variables["predictor_model_name"] = settings["ModelName"]
    return {**arguments, "ProcessingInputs": inputs, **({"Environment": variables} if variables else {})}
