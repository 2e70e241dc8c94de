"""Executions over HTTP: order, conditions, failures, caching, retries, stops, and what the API says of them."""

import json
import time
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import ROLE, Kit, definition, job_of
from tests.waiting import Gate

WRITE = """
import json, pathlib, sys
pathlib.Path("/opt/ml/processing/out/result.json").write_text(json.dumps({"gate": {"accuracy": float(sys.argv[1])}}))
"""
RESULT = [{"PropertyFileName": "Result", "OutputName": "out", "FilePath": "result.json"}]
ACCURACY = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Score.PropertyFiles.Result"}, "Path": "gate.accuracy"}}


def gate(kit: Kit) -> list[dict[str, Any]]:
    """Score -> Gate -> Good | Missed."""
    message = {"Std:Join": {"On": " ", "Values": ["accuracy", ACCURACY, "is below", {"Get": "Parameters.Bar"}]}}
    return [
        kit.processing("Score", WRITE, {"Get": "Parameters.Accuracy"}, PropertyFiles=RESULT),
        {
            "Name": "Gate",
            "Type": "Condition",
            "Arguments": {
                "Conditions": [
                    {"Type": "GreaterThanOrEqualTo", "LeftValue": ACCURACY, "RightValue": {"Get": "Parameters.Bar"}}
                ],
                "IfSteps": [kit.processing("Good", "print('good')")],
                "ElseSteps": [{"Name": "Missed", "Type": "Fail", "Arguments": {"ErrorMessage": message}}],
            },
        },
    ]


BAR: list[dict[str, Any]] = [
    {"Name": "Bar", "Type": "Float", "DefaultValue": 0.85},
    {"Name": "Accuracy", "Type": "String", "DefaultValue": "0.9"},
]


def test_a_condition_that_holds_runs_the_if_steps(kit: Kit) -> None:
    kit.pipeline(*gate(kit), parameters=BAR)
    arn = kit.start()
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    steps = kit.steps(arn)
    assert list(steps) == ["Score", "Gate", "Good"]
    assert steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}


def test_a_fail_step_fails_the_execution_with_its_joined_message(kit: Kit) -> None:
    kit.pipeline(*gate(kit), parameters=BAR)
    arn = kit.start(parameters={"Accuracy": "0.5", "Bar": "0.75"})
    execution = kit.wait(arn)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert execution["FailureReason"] == "Step failure: One or multiple steps failed."
    missed = kit.steps(arn)["Missed"]
    assert missed["FailureReason"] == "accuracy 0.5 is below 0.75"
    assert missed["Metadata"]["Fail"]["ErrorMessage"] == "accuracy 0.5 is below 0.75"


def test_a_joined_outcome_is_written_in_small_letters(kit: Kit) -> None:
    condition = {"Type": "GreaterThan", "LeftValue": {"Get": "Parameters.Bar"}, "RightValue": 0.9}
    outcome = {"Std:Join": {"On": "", "Values": [{"Get": "Steps.Above.Outcome"}]}}
    above = {"Conditions": [condition], "IfSteps": [], "ElseSteps": []}
    said = {"ErrorMessage": {"Std:Join": {"On": " ", "Values": ["above:", outcome]}}}
    kit.pipeline(
        {"Name": "Above", "Type": "Condition", "Arguments": above},
        {"Name": "Say", "Type": "Fail", "Arguments": said},
        parameters=BAR,
    )
    arn = kit.start()
    kit.wait(arn)
    assert kit.steps(arn)["Say"]["FailureReason"] == "above: false"
    assert kit.steps(arn)["Above"]["Metadata"] == {"Condition": {"Outcome": "False"}}


def test_a_selective_execution_runs_the_selected_steps_only_and_says_so(kit: Kit) -> None:
    kit.pipeline(*gate(kit), parameters=BAR)
    selection = {"SelectedSteps": [{"StepName": "Score"}]}
    arn = kit.start(SelectiveExecutionConfig=selection)
    execution = kit.wait(arn)
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    assert execution["SelectiveExecutionConfig"] == selection
    assert list(kit.steps(arn)) == ["Score"]


def test_a_selection_without_what_it_needs_starts_nothing(kit: Kit) -> None:
    kit.pipeline(*gate(kit), parameters=BAR)
    with pytest.raises(ClientError, match="need 'Score', which is not among them"):
        kit.start(SelectiveExecutionConfig={"SelectedSteps": [{"StepName": "Gate"}]})


def test_a_selection_takes_the_rest_from_its_source(kit: Kit) -> None:
    kit.pipeline(*gate(kit), parameters=BAR)
    source = kit.start()
    kit.wait(source)
    selected = [{"StepName": name} for name in ("Gate", "Good", "Missed")]
    arn = kit.start(
        parameters={"Bar": "0.95"},
        SelectiveExecutionConfig={"SourcePipelineExecutionArn": source, "SelectedSteps": selected},
    )
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Failed"
    steps = kit.steps(arn)
    assert steps["Score"]["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": source}
    assert steps["Score"]["Metadata"] == kit.steps(source)["Score"]["Metadata"]
    assert steps["Missed"]["FailureReason"] == "accuracy 0.9 is below 0.95"


def test_a_source_in_which_a_needed_step_did_not_succeed_is_refused(kit: Kit) -> None:
    kit.pipeline(kit.processing("Bad", "raise SystemExit(1)"), kit.processing("After", "pass", DependsOn=["Bad"]))
    source = kit.start()
    kit.wait(source)
    selection = {"SourcePipelineExecutionArn": source, "SelectedSteps": [{"StepName": "After"}]}
    with pytest.raises(ClientError, match="need 'Bad', which is Failed in"):
        kit.start(SelectiveExecutionConfig=selection)


def test_an_execution_records_the_experiment_of_its_definition(kit: Kit) -> None:
    kit.pipeline(kit.processing("A", "pass"))
    arn = kit.start()
    trial = arn.rpartition("/")[2]
    expected = {"ExperimentName": kit.prefix, "TrialName": trial}
    assert kit.wait(arn)["PipelineExperimentConfig"] == expected


def test_an_execution_is_a_trial_that_its_jobs_belong_to(kit: Kit) -> None:
    kit.pipeline(kit.processing("A", "pass"))
    for _ in range(2):
        arn = kit.start()
        kit.wait(arn)
    trial = kit.sm.describe_trial(TrialName=arn.rpartition("/")[2])
    assert (trial["ExperimentName"], trial["Source"]["SourceArn"]) == (kit.prefix, arn)
    assert len(kit.sm.list_trials(ExperimentName=kit.prefix)["TrialSummaries"]) == 2
    (component,) = kit.sm.list_trial_components(TrialName=trial["TrialName"])["TrialComponentSummaries"]
    assert component["TrialComponentName"] == f"{job_of(kit.steps(arn)['A'])}-aws-processing-job"


def test_without_an_experiment_an_execution_is_no_trial(kit: Kit) -> None:
    text = json.loads(definition(kit.processing("A", "pass")))
    text["PipelineExperimentConfig"] = None
    kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinition=json.dumps(text), RoleArn=ROLE)
    arn = kit.start()
    assert "PipelineExperimentConfig" not in kit.wait(arn)
    with pytest.raises(ClientError, match="does not exist"):
        kit.sm.describe_experiment(ExperimentName=kit.prefix)


def test_a_name_that_no_trial_can_have_is_refused_at_the_start(kit: Kit) -> None:
    text = json.loads(definition(kit.processing("A", "pass")))
    text["PipelineExperimentConfig"] = {"ExperimentName": "a_b", "TrialName": "t"}
    kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinition=json.dumps(text), RoleArn=ROLE)
    with pytest.raises(ClientError, match="Value 'a_b' at 'experimentName' failed to satisfy constraint"):
        kit.start()


def test_values_that_must_fit_each_other_may_be_references(kit: Kit) -> None:
    names = {"Spot": "Boolean", "Wait": "Integer", "Place": "String", "Other": "String", "Mode": "String"}
    spot, wait, place, other, mode = ({"Get": f"Parameters.{name}"} for name in names)
    read = kit.processing("Read", "pass", inputs={"a": kit.uri("a"), "b": kit.uri("b")})
    for given, path in zip(read["Arguments"]["ProcessingInputs"][1:], (place, other), strict=True):
        given["S3Input"].update(LocalPath=path, S3InputMode=mode)
    waits = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": wait}
    train = {**kit.training_request(""), "EnableManagedSpotTraining": spot, "StoppingCondition": waits}
    never = {**train, "StoppingCondition": {"MaxRuntimeInSeconds": 600}}
    kit.pipeline(
        read,
        {"Name": "Train", "Type": "Training", "Arguments": train},
        {"Name": "Never", "Type": "Training", "Arguments": never},
        {"Name": "Always", "Type": "Training", "Arguments": {**train, "EnableManagedSpotTraining": True}},
        parameters=[{"Name": name, "Type": kind} for name, kind in names.items()],
    )


def test_independent_steps_run_side_by_side(kit: Kit) -> None:
    with Gate() as gate:
        script = f"{gate.source}pass_gate()"
        kit.pipeline(kit.processing("A", script), kit.processing("B", script))
        arn = kit.start()
        gate.arrived(2)
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    steps = kit.steps(arn)
    assert steps["B"]["StartTime"] < steps["A"]["EndTime"]


def test_max_parallel_execution_steps_is_kept(kit: Kit) -> None:
    kit.pipeline(kit.processing("A", "pass"), kit.processing("B", "pass"))
    arn = kit.start(ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    kit.wait(arn)
    first, second = kit.steps(arn).values()
    assert second["StartTime"] >= first["EndTime"]


def test_a_failed_step_says_why_and_its_dependents_do_not_start(kit: Kit) -> None:
    status, steps = kit.run(
        kit.processing("Bad", "raise ValueError('no photos of bicycles')"),
        kit.processing("After", "pass", DependsOn=["Bad"]),
        kit.processing("Beside", "pass"),
    )
    assert status == "Failed"
    assert set(steps) == {"Bad", "Beside"}
    said = "ClientError: AlgorithmError: ValueError: no photos of bicycles, exit code: 1"
    assert steps["Bad"]["FailureReason"] == said
    assert steps["Beside"]["StepStatus"] == "Succeeded"


def test_a_rerun_with_nothing_changed_runs_no_job(kit: Kit) -> None:
    cache = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30d"}}
    kit.pipeline(
        kit.processing("Score", WRITE, "0.9", PropertyFiles=RESULT, **cache),
        kit.processing("Next", "pass", inputs={"scores": out_of("Score")}, **cache),
    )
    first = kit.start()
    assert kit.wait(first)["PipelineExecutionStatus"] == "Succeeded"
    second = kit.start()
    assert kit.wait(second)["PipelineExecutionStatus"] == "Succeeded"
    for name, step in kit.steps(second).items():
        assert step["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
        assert step["Metadata"] == kit.steps(first)[name]["Metadata"]


def out_of(step: str) -> dict[str, str]:
    return {"Get": f"Steps.{step}.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}


def test_only_what_changed_and_what_follows_runs_again(kit: Kit) -> None:
    cache = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30d"}}

    def steps(rate: str) -> list[dict[str, Any]]:
        return [
            kit.processing("Stage", WRITE, "1", **cache),
            kit.processing("Train", WRITE, rate, inputs={"data": out_of("Stage")}, **cache),
        ]

    kit.pipeline(*steps("0.1"))
    kit.wait(kit.start())
    kit.pipeline(*steps("0.2"))
    again = kit.start()
    kit.wait(again)
    assert "CacheHitResult" in kit.steps(again)["Stage"]
    assert "CacheHitResult" not in kit.steps(again)["Train"]


def test_a_failed_step_is_not_cached(kit: Kit) -> None:
    cache = {"CacheConfig": {"Enabled": True}}
    kit.pipeline(kit.processing("Bad", "raise SystemExit(3)", **cache))
    kit.wait(kit.start())
    arn = kit.start()
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Failed"
    assert kit.steps(arn)["Bad"]["FailureReason"].endswith("exit code: 3")


def test_stopping_an_execution_ends_its_job_with_all_children(kit: Kit) -> None:
    seconds = f"600.{time.time_ns()}"
    script = f"""
import subprocess, time
subprocess.Popen(["sleep", "{seconds}"], start_new_session=True, env={{"PATH": "/usr/bin:/bin"}})
print("started", flush=True)
time.sleep(600)
"""
    kit.pipeline(kit.processing("Slow", script), kit.processing("After", "pass", DependsOn=["Slow"]))
    arn = kit.start()
    while "ProcessingJob" not in kit.steps(arn).get("Slow", {}).get("Metadata", {}):
        time.sleep(0.02)
    job = job_of(kit.steps(arn)["Slow"])
    kit.wait_log(job, "started")
    assert asleep(seconds)
    kit.sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Stopped"
    assert {n: s["StepStatus"] for n, s in kit.steps(arn).items()} == {"Slow": "Stopped"}
    assert kit.wait_job(job)["ProcessingJobStatus"] == "Stopped"
    assert not asleep(seconds)
    with pytest.raises(ClientError, match="cannot be stopped") as error:
        kit.sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    assert error.value.response["Error"]["Code"] == "ConflictException"


def asleep(seconds: str) -> bool:
    """Whether a process `sleep SECONDS` runs on this machine."""
    return any(process.info["cmdline"] == ["sleep", seconds] for process in psutil.process_iter(["cmdline"]))


def test_a_retried_execution_keeps_what_succeeded_and_runs_the_rest(kit: Kit) -> None:
    flaky = "import pathlib; assert pathlib.Path('/opt/ml/processing/flag/ok').exists(), 'not yet'"
    kit.put("flag/other", "")
    kit.pipeline(
        kit.processing("First", "pass"),
        kit.processing("Flaky", flaky, inputs={"flag": kit.uri("flag")}, DependsOn=["First"]),
        kit.processing("Last", "pass", DependsOn=["Flaky"]),
    )
    arn = kit.start()
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Failed"
    first = kit.steps(arn)["First"]
    kit.put("flag/ok", "")
    kit.sm.retry_pipeline_execution(PipelineExecutionArn=arn)
    execution = kit.wait(arn)
    assert execution["PipelineExecutionStatus"] == "Succeeded"
    assert "FailureReason" not in execution
    assert kit.steps(arn)["First"] == first
    assert list(kit.steps(arn)) == ["First", "Flaky", "Last"]


def test_a_retry_that_is_sent_twice_runs_once(kit: Kit) -> None:
    kit.pipeline({"Name": "Say", "Type": "Fail", "Arguments": {"ErrorMessage": "so it is"}})
    arn = kit.start()
    kit.wait(arn)
    kit.sm.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="t" * 32)
    kit.wait(arn)
    before = kit.steps(arn)
    kit.sm.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="t" * 32)
    assert kit.steps(arn) == before


@pytest.mark.parametrize("figure", ["NaN", "1e400"])
def test_a_figure_that_is_no_number_of_json_fails_who_reads_it(kit: Kit, figure: str) -> None:
    write = f"import pathlib; pathlib.Path('/opt/ml/processing/out/report.json').write_text('{{\"loss\": {figure}}}')"
    file = {"PropertyFileName": "Report", "OutputName": "out", "FilePath": "report.json"}
    loss = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Report"}, "Path": "loss"}}
    status, steps = kit.run(
        kit.processing("Evaluate", write, PropertyFiles=[file]),
        {"Name": "Say", "Type": "Fail", "Arguments": {"ErrorMessage": {"Std:Join": {"Values": [loss]}}}},
    )
    assert status == "Failed"
    assert steps["Evaluate"]["StepStatus"] == "Succeeded"
    assert f"report.json is not JSON: {figure} is" in steps["Say"]["FailureReason"]


def test_register_makes_the_group_and_a_version_with_figures(kit: Kit) -> None:
    group = f"{kit.prefix}-models"
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": group,
            "ModelApprovalStatus": "PendingManualApproval",
            "CustomerMetadataProperties": {"accuracy": {"Std:Join": {"On": "", "Values": [ACCURACY]}}},
            "InferenceSpecification": {
                "Containers": [
                    {"Image": "image", "ModelDataUrl": {"Std:Join": {"On": "/", "Values": [out_of("Score"), "m"]}}}
                ],
                "SupportedContentTypes": ["image/png"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            "ModelMetrics": {"Bias": {}, "Explainability": {}},
            "SkipModelValidation": "None",
        },
    }
    kit.pipeline(kit.processing("Score", WRITE, "0.93", PropertyFiles=RESULT), register)
    execution = kit.start()
    assert kit.wait(execution)["PipelineExecutionStatus"] == "Succeeded", kit.steps(execution)
    arn = kit.steps(execution)["Register"]["Metadata"]["RegisterModel"]["Arn"]
    package = kit.sm.describe_model_package(ModelPackageName=arn)
    assert package["ModelPackageVersion"] == 1
    assert package["CustomerMetadataProperties"] == {"accuracy": "0.93"}
    assert package["MetadataProperties"]["GeneratedBy"] == execution
    assert package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == kit.uri("out/Score/m")


def test_register_without_a_group_makes_a_package_of_its_own(kit: Kit) -> None:
    arguments = {
        "InferenceSpecification": {
            "Containers": [{"Image": "image", "ModelDataUrl": kit.uri("model.tar.gz")}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        "ModelApprovalStatus": "Approved",
    }
    status, steps = kit.run({"Name": "Register", "Type": "RegisterModel", "Arguments": arguments})
    assert status == "Succeeded", steps
    arn = steps["Register"]["Metadata"]["RegisterModel"]["Arn"]
    package = kit.sm.describe_model_package(ModelPackageName=arn)
    assert package["ModelPackageName"].startswith("pipelines-")
    assert package["ModelApprovalStatus"] == "Approved"


def test_a_resolved_argument_that_aws_refuses_fails_the_step(kit: Kit) -> None:
    step = kit.processing("Bad", "pass")
    step["Arguments"]["ProcessingResources"]["ClusterConfig"]["InstanceType"] = {"Get": "Parameters.Type"}
    kit.pipeline(step, parameters=[{"Name": "Type", "Type": "String", "DefaultValue": "ml.nonsense"}])
    arn = kit.start()
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Failed"
    reason = kit.steps(arn)["Bad"]["FailureReason"]
    assert reason.startswith("ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: ")
    assert "ml.nonsense" in reason
