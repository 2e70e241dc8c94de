"""Check steps: where their baseline comes from, what they leave to later steps, and when violations fail them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.engine.definition import DefinitionError
from localcloud.engine.validate import read
from tests.localcloud.pipeline_kit import Kit, definition, job_of

# Stands for an analyzer: it says which baseline it was given, and violates it if there is one.
ANALYZER = """
import json, os, pathlib
out = pathlib.Path("/opt/ml/processing/out")
before = os.environ.get("baseline_constraints")
for name in ("statistics.json", "constraints.json", "analysis.json"):
    (out / name).write_text(json.dumps({"model": os.environ.get("predictor_model_name")}))
if before:
    violation = {"feature_name": "x", "constraint_check_type": "data_type_check",
                 "description": pathlib.Path(before).read_text()}
    (out / "constraint_violations.json").write_text(json.dumps({"violations": [violation]}))
"""


def check(kit: Kit, kind: str = "QualityCheck", check_type: str = "DATA_QUALITY", **members: Any) -> dict[str, Any]:
    """A check step, as the SDKs write it: members that are not given are null."""
    step = kit.processing("Check", ANALYZER)
    return {
        **step,
        "Type": kind,
        "CheckType": check_type,
        "ModelPackageGroupName": None,
        "SkipCheck": False,
        "FailOnViolation": True,
        "RegisterNewBaseline": False,
        "SuppliedBaselineConstraints": None,
        **members,
    }


def say(*references: str) -> dict[str, Any]:
    """A Fail step whose message is what the references stand for."""
    message = {"Std:Join": {"On": " ", "Values": [{"Get": reference} for reference in references]}}
    return {"Name": "Say", "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def register(kit: Kit, baselines: dict[str, Any]) -> str:
    """An approved version with these DriftCheckBaselines, in a group of its own; the group's name."""
    group = f"{kit.prefix}-models"
    kit.sm.create_model_package_group(ModelPackageGroupName=group)
    kit.sm.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": "image", "ModelDataUrl": kit.put("m.tar.gz", b"")}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        DriftCheckBaselines=baselines,
    )
    return group


def test_a_first_run_makes_the_baseline_that_is_registered(kit: Kit) -> None:
    uses = ("CalculatedBaselineConstraints", "BaselineUsedForDriftCheckStatistics")
    _, steps = kit.run(
        check(kit, SkipCheck=True, RegisterNewBaseline=True), say(*(f"Steps.Check.{use}" for use in uses))
    )
    assert steps["Check"]["StepStatus"] == "Succeeded", steps
    place = kit.uri("out/Check")
    assert steps["Say"]["FailureReason"] == f"{place}/constraints.json {place}/statistics.json"
    shown = steps["Check"]["Metadata"]["QualityCheck"]
    assert (shown["CheckType"], shown["SkipCheck"], shown["RegisterNewBaseline"]) == ("DATA_QUALITY", True, True)
    assert kit.sm.describe_processing_job(ProcessingJobName=shown["CheckJobArn"].rpartition("/")[2])


def test_violations_of_a_supplied_baseline_fail_the_step(kit: Kit) -> None:
    supplied = kit.put("before/constraints.json", "{}")
    status, steps = kit.run(check(kit, SuppliedBaselineConstraints=supplied))
    report = kit.uri("out/Check/constraint_violations.json")
    assert status == "Failed"
    reason = steps["Check"]["FailureReason"]
    assert reason.startswith(f"ClientError: Quality check failed. See violation report {report}.")
    assert "Violations: 1; the first: x: data_type_check: {}" in reason
    shown = steps["Check"]["Metadata"]["QualityCheck"]
    assert (shown["ViolationReport"], shown["BaselineUsedForDriftCheckConstraints"]) == (report, supplied)


def test_violations_may_be_let_pass(kit: Kit) -> None:
    supplied = kit.put("before/constraints.json", "{}")
    status, steps = kit.run(check(kit, SuppliedBaselineConstraints=supplied, FailOnViolation=False))
    assert status == "Succeeded"
    assert "ViolationReport" in steps["Check"]["Metadata"]["QualityCheck"]


def test_the_baseline_is_that_of_the_last_approved_version(kit: Kit) -> None:
    registered = kit.put("registered/analysis.json", '{"from": "registry"}')
    group = register(kit, {"Bias": {"PostTrainingConstraints": {"S3Uri": registered, "ContentType": "text/json"}}})
    members = {"ModelPackageGroupName": group, "ModelName": "churn"}
    _, steps = kit.run(check(kit, "ClarifyCheck", "MODEL_BIAS", **members))
    assert '{"from": "registry"}' in steps["Check"]["FailureReason"]
    assert steps["Check"]["FailureReason"].startswith("ClientError: Clarify check failed. See violation report")
    assert json.loads(kit.get("out/Check/analysis.json")) == {"model": "churn"}


def test_a_version_without_this_baseline_does_not_do(kit: Kit) -> None:
    group = register(kit, {"ModelQuality": {"Constraints": {"S3Uri": kit.uri("x"), "ContentType": "text/json"}}})
    status, steps = kit.run(check(kit, ModelPackageGroupName=group))
    assert status == "Failed"
    assert f"latest approved version in '{group}' has none" in steps["Check"]["FailureReason"]
    assert "SkipCheck and RegisterNewBaseline" in steps["Check"]["FailureReason"]


def test_switches_and_baselines_may_be_parameters(kit: Kit) -> None:
    parameters: list[dict[str, Any]] = [
        {"Name": "Skip", "Type": "Boolean", "DefaultValue": False},
        {"Name": "Supplied", "Type": "String", "DefaultValue": ""},
    ]
    members: dict[str, Any] = {
        "SkipCheck": {"Get": "Parameters.Skip"},
        "RegisterNewBaseline": True,
        "SuppliedBaselineConstraints": {"Get": "Parameters.Supplied"},
    }
    kit.pipeline(check(kit, **members), parameters=parameters)
    first = kit.start()
    assert kit.wait(first)["PipelineExecutionStatus"] == "Failed"
    assert "needs a baseline of DATA_QUALITY" in kit.steps(first)["Check"]["FailureReason"]
    second = kit.start(parameters={"Skip": "true"})
    assert kit.wait(second)["PipelineExecutionStatus"] == "Succeeded"


def test_a_cached_check_keeps_its_baseline(kit: Kit) -> None:
    step = check(kit, SkipCheck=True, RegisterNewBaseline=True, CacheConfig={"Enabled": True})
    _, first = kit.run(step)
    _, second = kit.run(step)
    assert "CacheHitResult" in second["Check"]
    assert second["Check"]["Metadata"] == first["Check"]["Metadata"]


def refusal(step: dict[str, Any]) -> str:
    with pytest.raises(DefinitionError) as error:
        read(definition(step), lambda *_: None)
    return str(error.value)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "needs a baseline of DATA_QUALITY. It names no ModelPackageGroupName"),
        ({"SkipCheck": True}, "needs a baseline"),
        ({"SkipCheck": "yes", "RegisterNewBaseline": True}, "SkipCheck is 'yes'"),
        ({"CheckType": "DATA_BIAS"}, "CheckType is 'DATA_BIAS'; it must be one of DATA_QUALITY, MODEL_QUALITY"),
        ({"ModelName": "m"}, "Unknown member: 'ModelName'"),
        ({"SuppliedBaselineStatistics": {"Get": "Parameters.None"}}, "there is no 'None'"),
    ],
)
def test_a_check_that_could_not_run_is_refused(kit: Kit, members: dict[str, Any], words: str) -> None:
    assert words in refusal(check(kit, **members))


def test_a_property_that_a_check_has_not_is_refused(kit: Kit) -> None:
    steps = check(kit, SkipCheck=True, RegisterNewBaseline=True), say("Steps.Check.Statistics")
    with pytest.raises(DefinitionError, match="the properties of step 'Check' are: CalculatedBaselineConstraints"):
        read(definition(*steps), lambda *_: None)


def test_an_analysis_that_clarify_cannot_do_is_refused_at_creation(kit: Kit) -> None:
    step = check(kit, "ClarifyCheck", "MODEL_EXPLAINABILITY", SkipCheck=True, RegisterNewBaseline=True, ModelName="m")
    config = kit.put("config/analysis_config.json", '{"dataset_type": "text/csv", "methods": {"pdp": {}}}')
    step["Arguments"]["ProcessingInputs"][0] |= {"InputName": "analysis_config"}
    step["Arguments"]["ProcessingInputs"][0]["S3Input"]["S3Uri"] = config
    step["Arguments"]["AppSpecification"] = {
        "ImageUri": "205585389593.dkr.ecr.us-east-1.amazonaws.com/sagemaker-clarify-processing:1.0"
    }
    with pytest.raises(ClientError, match=r"Step 'Check'.*does not support Clarify's method pdp"):
        kit.pipeline(step)


def test_the_job_of_a_check_is_a_processing_job(kit: Kit) -> None:
    status, steps = kit.run(kit.processing("Before", ""), check(kit, SkipCheck=True, RegisterNewBaseline=True))
    assert status == "Succeeded"
    listed = kit.sm.list_processing_jobs(
        NameContains=job_of(steps["Before"]).split("-")[1], SortOrder="Descending", MaxResults=100
    )["ProcessingJobSummaries"]
    assert len(listed) == 2
