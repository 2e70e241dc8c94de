"""What a rerun executes: nothing when nothing changed, else only the steps that depend on the change."""

from typing import Any

import pytest

pytestmark = pytest.mark.aws


def _cached(bay: Any, summary: dict[str, Any]) -> dict[str, bool]:
    steps = bay.steps(summary["pipeline_execution_arn"])
    assert all(step["StepStatus"] == "Succeeded" for step in steps.values())
    return {name: "CacheHitResult" in steps[name] for name in ("Stage", "Train", "Evaluate")}


def test_a_rerun_with_nothing_changed_runs_no_job_and_registers_none(bay: Any, story: dict[str, Any]) -> None:
    sagemaker = bay.client("sagemaker")

    def jobs() -> set[str]:
        trained = sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
        processed = sagemaker.list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
        return {j["TrainingJobName"] for j in trained} | {j["ProcessingJobName"] for j in processed}

    def versions() -> list[str]:
        listed = sagemaker.list_model_packages(ModelPackageGroupName="loadingbay", MaxResults=100)
        return [item["ModelPackageArn"] for item in listed["ModelPackageSummaryList"]]

    before = jobs(), versions()
    again = bay.run()
    assert (jobs(), versions()) == before
    assert again["model_package_arn"] == story["model_package_arn"]
    assert _cached(bay, again) == {"Stage": True, "Train": True, "Evaluate": True}
    assert again["accuracy"] == story["accuracy"]


def test_a_new_learning_rate_trains_anew_and_stages_nothing(bay: Any, second_run: dict[str, Any]) -> None:
    assert _cached(bay, second_run) == {"Stage": True, "Train": False, "Evaluate": False}
