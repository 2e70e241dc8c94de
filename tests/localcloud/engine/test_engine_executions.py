"""Executions over HTTP: order, conditions, failures, caching, retries, stops, and what the API says of them."""

import json
import time
import uuid
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import ROLE, Kit, definition, job_of

WRITE = """
import json, pathlib, sys
pathlib.Path("/opt/ml/processing/out/result.json").write_text(json.dumps({"gate": {"accuracy": float(sys.argv[1])}}))
"""
RESULT = [{"PropertyFileName": "Result", "OutputName": "out", "FilePath": "result.json"}]
ACCURACY = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Score.PropertyFiles.Result"}, "Path": "gate.accuracy"}}


@pytest.fixture
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


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


def test_independent_steps_run_side_by_side(kit: Kit) -> None:
    status, steps = kit.run(
        kit.processing("A", "import time; time.sleep(1)"), kit.processing("B", "import time; time.sleep(1)")
    )
    assert status == "Succeeded"
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
    assert steps["Bad"]["FailureReason"] == "AlgorithmError: ValueError: no photos of bicycles, exit code: 1"
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


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"Nonsense": "1"}, "has no parameter 'Nonsense'. It has: Epochs, Mode"),
        ({"Epochs": "many"}, "'Epochs' is of type Integer; 'many' is not"),
        ({"Epochs": "1.5"}, "'Epochs' is of type Integer; '1.5' is not"),
        ({"Mode": "slow"}, "'Mode' must be one of fast, exact; 'slow' is not"),
    ],
)
def test_a_parameter_that_does_not_fit_is_refused_by_name(kit: Kit, given: dict[str, str], words: str) -> None:
    kit.pipeline(
        kit.processing("A", "pass"),
        parameters=[
            {"Name": "Epochs", "Type": "Integer", "DefaultValue": 1},
            {"Name": "Mode", "Type": "String", "DefaultValue": "fast", "EnumValues": ["fast", "exact"]},
        ],
    )
    with pytest.raises(ClientError, match=words) as error:
        kit.start(parameters=given)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_the_same_token_starts_one_execution(kit: Kit) -> None:
    kit.pipeline(kit.processing("A", "pass"))
    token = uuid.uuid4().hex
    assert kit.start(ClientRequestToken=token) == kit.start(ClientRequestToken=token)


def test_an_execution_tells_its_parameters_and_keeps_its_definition(kit: Kit) -> None:
    parameters = [{"Name": "Rate", "Type": "Float", "DefaultValue": 0.5}]
    kit.pipeline(kit.processing("A", "pass"), parameters=parameters)
    arn = kit.start(parameters={"Rate": "0.25"}, PipelineExecutionDisplayName="quarter")
    kit.pipeline(kit.processing("B", "pass"))
    kit.wait(arn)
    answer = kit.sm.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    assert answer["PipelineParameters"] == [{"Name": "Rate", "Value": "0.25"}]
    text = kit.sm.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)["PipelineDefinition"]
    assert [step["Name"] for step in json.loads(text)["Steps"]] == ["A"]
    (summary,) = kit.sm.list_pipeline_executions(PipelineName=kit.prefix)["PipelineExecutionSummaries"]
    assert summary["PipelineExecutionDisplayName"] == "quarter"


def test_a_second_create_says_that_the_pipeline_exists(kit: Kit) -> None:
    kit.pipeline(kit.processing("A", "pass"))
    with pytest.raises(ClientError, match="already exists") as error:
        kit.sm.create_pipeline(
            PipelineName=kit.prefix, PipelineDefinition=definition(kit.processing("A", "pass")), RoleArn=ROLE
        )
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_definition_that_cannot_run_is_refused_when_it_is_created(kit: Kit) -> None:
    step = {"Name": "L", "Type": "EMR", "Arguments": {}}
    with pytest.raises(ClientError, match=r"Unable to parse pipeline definition\. Step 'L' is of type 'EMR'") as error:
        kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinition=definition(step), RoleArn=ROLE)
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_definition_may_lie_in_s3(kit: Kit) -> None:
    kit.put("pipeline.json", definition(kit.processing("A", "pass")))
    place = {"Bucket": "kit-bucket", "ObjectKey": f"{kit.prefix}/pipeline.json"}
    kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinitionS3Location=place, RoleArn=ROLE)
    assert kit.wait(kit.start())["PipelineExecutionStatus"] == "Succeeded"


def test_a_pipeline_is_deleted_with_its_executions_unless_one_runs(kit: Kit) -> None:
    kit.pipeline(kit.processing("Slow", "import time; time.sleep(60)"))
    arn = kit.start()
    with pytest.raises(ClientError, match="while executions run"):
        kit.sm.delete_pipeline(PipelineName=kit.prefix)
    kit.sm.stop_pipeline_execution(PipelineExecutionArn=arn)
    kit.wait(arn)
    kit.sm.delete_pipeline(PipelineName=kit.prefix)
    with pytest.raises(ClientError, match="does not exist") as error:
        kit.sm.describe_pipeline_execution(PipelineExecutionArn=arn)
    assert error.value.response["Error"]["Code"] == "ResourceNotFound"


def test_lists_come_in_pages(kit: Kit) -> None:
    kit.pipeline(*(kit.processing(name, "pass") for name in "ABC"))
    arn = kit.start()
    kit.wait(arn)
    pages = kit.sm.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=arn, PaginationConfig={"PageSize": 1}
    )
    assert sorted(p["PipelineExecutionSteps"][0]["StepName"] for p in pages) == ["A", "B", "C"]


def test_events_tell_of_executions_steps_and_jobs(kit: Kit) -> None:
    sqs, events = kit.cloud.client("sqs"), kit.cloud.client("events")
    queue = sqs.create_queue(QueueName=kit.prefix)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=kit.prefix, EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    events.put_targets(Rule=kit.prefix, Targets=[{"Id": "1", "Arn": arn}])
    kit.pipeline(kit.processing("A", "pass"))
    execution = kit.start()
    kit.wait(execution)
    seen: list[tuple[str, str]] = []
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not any(
        "Pipeline Execution Status" in k and s == "Succeeded" for k, s in seen
    ):
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(message["Body"])
            detail = event["detail"]
            if detail.get("pipelineExecutionArn", execution) == execution:
                status = detail.get("currentPipelineExecutionStatus") or detail.get("currentStepStatus")
                seen.append((event["detail-type"], status or detail["ProcessingJobStatus"]))
    events.remove_targets(Rule=kit.prefix, Ids=["1"])
    events.delete_rule(Name=kit.prefix)
    prefix = "SageMaker Model Building Pipeline Execution"
    assert {
        (f"{prefix} Status Change", "Executing"),
        (f"{prefix} Step Status Change", "Executing"),
        ("SageMaker Processing Job State Change", "InProgress"),
        ("SageMaker Processing Job State Change", "Completed"),
        (f"{prefix} Step Status Change", "Succeeded"),
        (f"{prefix} Status Change", "Succeeded"),
    } <= set(seen)
