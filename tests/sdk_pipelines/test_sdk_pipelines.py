"""Pipelines in the shapes that the public builds, written with SDK v2 and SDK v3, run to their end as they are.

`make pipelines` runs all, in environments of their own. The quickest, which needs no more than the tools, is a part of
`make test`.
"""

import csv
import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.sdk_pipelines.sdk_kit import BUCKET, HERE, Execution

Run = Callable[[str, str], Execution]
whole = pytest.mark.pipelines
both = pytest.mark.parametrize("sdk", ["v2", "v3"])


@whole
@both
def test_a_model_is_registered_if_its_error_is_low_enough(execution_of: Run, sdk: str) -> None:
    execution = execution_of(sdk, "conditional_registration")
    registered = {"v2": "Register-RegisterModel", "v3": "Register"}[sdk]
    assert set(execution.statuses) == {"Preprocess", "Train", "Evaluate", "CheckError", registered}
    package = execution.package()
    assert package["ModelApprovalStatus"] == "Approved"
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == execution.job("Train")["ModelArtifacts"]["S3ModelArtifacts"]
    report = json.loads(execution.read(package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]))
    assert 0 < report["regression_metrics"]["mse"]["value"] <= 6


@whole
@both
def test_a_built_in_algorithm_is_trained_and_registered(execution_of: Run, sdk: str) -> None:
    execution = execution_of(sdk, "algorithm_mode")
    metrics = {metric["MetricName"] for metric in execution.job("Train")["FinalMetricDataList"]}
    assert "validation:rmse" in metrics
    (container,) = execution.package()["InferenceSpecification"]["Containers"]
    with tarfile.open(fileobj=io.BytesIO(execution.read(container["ModelDataUrl"]))) as archive:
        assert "xgboost-model" in archive.getnames()
    if sdk == "v2":
        answers = execution.read(f"s3://{BUCKET}/{execution.name}/batch-answers/shells-batch.out")
        assert [0 < float(line) < 40 for line in answers.split()] == [True, True]


@whole
@both
def test_the_best_model_of_a_tuning_job_is_registered(execution_of: Run, sdk: str) -> None:
    execution = execution_of(sdk, "tuning")
    arn, attached = execution.arn.split()
    execution = Execution(execution.cloud, execution.name, arn)
    assert set(execution.statuses.values()) == {"Succeeded"}
    assert attached == "True"
    name = execution.steps["Tune"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]
    sagemaker = execution.cloud.client("sagemaker")
    best = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)["BestTrainingJob"]
    (container,) = execution.package()["InferenceSpecification"]["Containers"]
    assert f"/{best['TrainingJobName']}/" in container["ModelDataUrl"]


@whole
def test_xgboost_reads_what_its_container_reads(execution_of: Run) -> None:
    execution = execution_of("v2", "xgboost_inputs")
    wrong = execution.steps["Wrong"]
    assert {name for name, status in execution.statuses.items() if status != "Succeeded"} == {"Wrong"}
    assert "could not convert string to float" in wrong["FailureReason"]
    errors = {
        name: metric["Value"]
        for name in ("Weighted", "Libsvm", "TwoInstances")
        for metric in execution.job(name)["FinalMetricDataList"]
        if metric["MetricName"] == "train:rmse"
    }
    # The rows are the same, and weights of one change nothing.
    assert max(errors.values()) - min(errors.values()) < 0.01
    # Each of the two instances has one of the two files.
    assert execution.job("Script")["FinalMetricDataList"][0]["Value"] == 100


@whole
@both
def test_a_batch_transform_job_predicts_the_rows_of_a_table(execution_of: Run, sdk: str) -> None:
    execution = execution_of(sdk, "batch_transform")
    text = execution.read(f"s3://{BUCKET}/{execution.name}/predicted/test.csv.out").decode()
    rows = [[float(value) for value in line.split(",")] for line in text.splitlines()]
    # The first column is joined from the input, the second is the model's.
    assert len(rows) == 75
    assert sum(abs(rings - predicted) for rings, predicted in rows) / len(rows) < 2


@whole
def test_a_model_of_two_containers_prepares_and_predicts(execution_of: Run) -> None:
    execution = execution_of("v2", "inference_pipeline")
    arn, answer = execution.arn.split()
    execution = Execution(execution.cloud, execution.name, arn)
    assert set(execution.statuses.values()) == {"Succeeded"}
    assert len(execution.package()["InferenceSpecification"]["Containers"]) == 2
    text = execution.read(f"s3://{BUCKET}/{execution.name}/predicted/unlabelled.csv.out").decode()
    predicted = [float(line) for line in text.split()]
    with (HERE / "shells.csv").open() as table:
        rings = [int(row["rings"]) for row in csv.DictReader(table)]
    assert sum(abs(r - p) for r, p in zip(rings, predicted, strict=True)) / len(rings) < 1
    assert float(answer) == pytest.approx(predicted[0], rel=1e-4)


@whole
def test_many_models_share_an_endpoint(execution_of: Run) -> None:
    answers = json.loads(execution_of("v2", "many_models").arn)
    assert set(answers) == {"F.tar.gz", "I.tar.gz", "M.tar.gz"}
    assert len(set(answers.values())) == 3


@whole
@both
def test_models_are_trained_side_by_side(execution_of: Run, sdk: str) -> None:
    execution = execution_of(sdk, "parallel_models")
    names = [f"Train-Depth{depth}" for depth in (2, 4, 6)]
    errors = [execution.job(name)["FinalMetricDataList"][0]["Value"] for name in names]
    # Trees of two levels fit this table worst.
    assert errors[0] == max(errors)
    steps = [execution.steps[name] for name in names]
    begins = [step["StartTime"] for step in steps]
    running = [sum(step["StartTime"] <= begin < step["EndTime"] for step in steps) for begin in begins]
    assert max(running) == 2


@whole
def test_a_model_is_repacked_with_its_inference_script(execution_of: Run) -> None:
    execution = execution_of("v2", "repack")
    assert [name for name in execution.statuses if "RepackModel" in name]
    (container,) = execution.package()["InferenceSpecification"]["Containers"]
    with tarfile.open(fileobj=io.BytesIO(execution.read(container["ModelDataUrl"]))) as archive:
        assert {"model.joblib", "code/train.py"} <= {name.removeprefix("./") for name in archive.getnames()}


@whole
@both
def test_a_script_of_a_folder_has_its_module_and_requirements(execution_of: Run, sdk: str) -> None:
    execution = execution_of(sdk, "source_folder")
    assert execution.statuses == {"Describe": "Succeeded"}
    (found,) = [key for key in keys(execution) if key.endswith("/summary.csv")]
    rows = list(csv.DictReader(io.StringIO(execution.read(f"s3://{BUCKET}/{found}").decode())))
    assert [row["sex"] for row in rows] == ["F", "I", "M"]


@pytest.mark.parametrize("sdk", [pytest.param("v2", marks=whole), "v3"])
def test_a_function_that_the_sdk_deploys_decides(execution_of: Run, sdk: str) -> None:
    execution = execution_of(sdk, "lambda_step")
    assert execution.outputs("Ask")["verdict"] == "enough"
    assert execution.outputs("Again")["doubled"] == "30"


@whole
@both
def test_a_step_waits_for_the_answer_to_its_message(execution_of: Run, sdk: str) -> None:
    execution = execution_of(sdk, "callback")
    assert execution.outputs("Wait") == {"answer": "42"}
    assert execution.statuses == {"Wait": "Succeeded", "Check": "Succeeded"}


@whole
@both
def test_functions_are_steps_and_jobs(execution_of: Run, sdk: str) -> None:
    # What they return is compared by the program itself.
    assert execution_of(sdk, "functions").statuses == dict.fromkeys(("Double", "Add", "Check"), "Succeeded")


@whole
@both
def test_a_model_worse_than_its_baseline_is_not_registered(execution_of: Run, sdk: str) -> None:
    good, bad = executions(execution_of(sdk, "quality_check"))
    assert set(good.statuses.values()) == {"Succeeded"}
    baseline = good.steps["ModelQuality"]["Metadata"]["QualityCheck"]["BaselineUsedForDriftCheckConstraints"]
    registered = registered_by(good)["DriftCheckBaselines"]["ModelQuality"]["Constraints"]["S3Uri"]
    assert registered == baseline
    # It is that of the execution before, which was the first one.
    assert good.arn.rpartition("/")[2] not in baseline
    assert bad.statuses["ModelQuality"] == "Failed"
    assert not any("Register" in name for name in bad.statuses)
    assert "Quality check failed" in bad.steps["ModelQuality"]["FailureReason"]
    report = json.loads(bad.read(bad.steps["ModelQuality"]["Metadata"]["QualityCheck"]["ViolationReport"]))
    assert {violation["metric_name"] for violation in report["violations"]} == {"mae", "mse", "rmse", "r2"}


@whole
@both
def test_bias_and_explanations_are_checked_with_a_baseline(execution_of: Run, sdk: str) -> None:
    good, bad = executions(execution_of(sdk, "clarify_check"))
    assert set(good.statuses.values()) == {"Succeeded"}
    assert set(registered_by(good)["DriftCheckBaselines"]) == {"Bias", "Explainability"}
    shown = {name: good.steps[name]["Metadata"]["ClarifyCheck"] for name in ("DataBias", "ModelBias", "Explainability")}
    analyses = {name: json.loads(good.read(check["CalculatedBaselineConstraints"])) for name, check in shown.items()}
    assert analyses["DataBias"]["pre_training_bias_metrics"]["label_value_or_threshold"].startswith("(10")
    assert analyses["ModelBias"]["post_training_bias_metrics"]["facets"]
    (shares,) = analyses["Explainability"]["explanations"]["kernel_shap"].values()
    values = shares["global_shap_values"]
    # Weight and length say more about the rings than the sex.
    assert min(values["column1"], values["column4"]) > max(values["column5"], values["column6"], values["column7"])
    assert "Clarify check failed" in bad.steps["DataBias"]["FailureReason"]
    assert not good.cloud.client("sagemaker").list_endpoints()["Endpoints"]


def executions(both_of: Execution) -> list[Execution]:
    """The two executions that a program of a check says in its last line: one that succeeds and one that fails."""
    return [Execution(both_of.cloud, both_of.name, arn) for arn in both_of.arn.split()]


def registered_by(execution: Execution) -> dict[str, Any]:
    """The model package that an execution has registered."""
    (step,) = [step for step in execution.steps.values() if "RegisterModel" in step["Metadata"]]
    sagemaker = execution.cloud.client("sagemaker")
    package: dict[str, Any] = sagemaker.describe_model_package(
        ModelPackageName=step["Metadata"]["RegisterModel"]["Arn"]
    )
    return package


def keys(execution: Execution) -> list[str]:
    """The keys of all objects in the default bucket that have to do with the execution."""
    pages = execution.cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return [item["Key"] for page in pages for item in page.get("Contents", []) if execution.name in item["Key"]]
