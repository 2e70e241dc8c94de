"""The inference state machine: its shape, its retries, and its agreement with the Lambdas and the template."""

import ast
import json
import re
from typing import Any

import cfnlint.api
import pytest

from tests.workflow.application import BULK_MACHINE, MACHINE, ROOT, machine, resources

STATES = machine()["States"]
TASKS = sorted(name for name, state in STATES.items() if state["Type"] == "Task")
LAMBDA_TRANSIENT = {
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
}
FOLDERS = {
    "SerializeImage": "serialize_image",
    "ClassifyImage": "classify_image",
    "CheckConfidence": "check_confidence",
}


def conditions(folder: str) -> dict[str, str]:
    """The exceptions that a Lambda names, with the condition that each stands for."""
    tree = ast.parse((ROOT / "lambdas" / folder / "app.py").read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]
    return {node.name: ast.get_docstring(node) or "" for node in classes}


def retried(task: str) -> set[str]:
    return {error for retrier in STATES[task].get("Retry", []) for error in retrier["ErrorEquals"]}


def linted(definition: dict[str, Any]) -> list[str]:
    """What cfn-lint, which knows the States Language's schema, says about a definition; its mere advice left out."""
    properties = {"RoleArn": "arn:aws:iam::000000000000:role/r", "Definition": definition}
    wrapped = {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}}
    found = cfnlint.api.lint_all(json.dumps(wrapped))
    return [f"{match.rule.id}: {match.message}" for match in found if match.rule.severity != "informational"]


@pytest.mark.parametrize("file", [MACHINE, BULK_MACHINE])
def test_aws_own_linter_finds_nothing(file):
    filled = file.read_text().replace("${Partition}", "aws")
    assert linted(json.loads(re.sub(r"\$\{\w+\}", "x", filled))) == []


def test_the_linter_would_find_a_task_that_does_nothing():
    assert any(
        "'Resource' is a required" in said for said in linted({"StartAt": "A", "States": {"A": {"Type": "Task"}}})
    )


def test_every_state_can_be_reached_and_every_way_leads_to_one():
    reached, waiting = set(), [machine()["StartAt"]]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [STATES[name]["Next"]] if "Next" in STATES[name] else []
            waiting += [catcher["Next"] for catcher in STATES[name].get("Catch", [])]
    assert reached == set(STATES)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_timeout(task):
    assert 0 < STATES[task]["TimeoutSeconds"] < machine()["TimeoutSeconds"]


@pytest.mark.parametrize("task", TASKS)
def test_every_retry_backs_off_with_full_jitter_and_a_ceiling(task):
    for retrier in STATES[task]["Retry"]:
        assert retrier["BackoffRate"] > 1
        assert retrier["JitterStrategy"] == "FULL"
        assert retrier["MaxDelaySeconds"] <= 20
        assert retrier["MaxAttempts"] <= 5


@pytest.mark.parametrize("task", sorted(FOLDERS))
def test_an_error_is_retried_exactly_when_worth_another_try(task):
    worth_it = {name for name, said in conditions(FOLDERS[task]).items() if "worth another try" in said}
    assert retried(task) - LAMBDA_TRANSIENT == worth_it


@pytest.mark.parametrize("task", sorted(FOLDERS))
def test_what_is_wrong_with_lambda_itself_is_retried(task):
    assert retried(task) >= LAMBDA_TRANSIENT


def test_a_refusal_is_caught_by_its_name_and_ends_as_a_failure_of_it():
    (catcher,) = STATES["CheckConfidence"]["Catch"]
    assert catcher["ErrorEquals"] == ["ConfidenceThresholdNotMet", "NotAVehicleWeKnow", "SeveralVehicles"]
    assert set(catcher["ErrorEquals"]) <= set(conditions("check_confidence"))
    assert STATES["ReadCause"]["Parameters"]["error.$"] == "$.failure.Error"
    state = STATES[catcher["Next"]]
    while "Next" in state:
        state = STATES[state["Next"]]
    assert (state["Type"], state["ErrorPath"]) == ("Fail", "$.error")


def test_nothing_is_caught_that_has_no_name():
    caught = {error for state in STATES.values() for c in state.get("Catch", []) for error in c["ErrorEquals"]}
    assert not {error for error in caught if error.startswith("States.")}


def test_the_photo_is_dropped_once_it_is_classified():
    assert "image.$" not in json.dumps([STATES[name] for name in ("CheckConfidence", "QueueForReview")])
    assert STATES["ClassifyImage"]["OutputPath"] == "$.Payload"


@pytest.mark.parametrize(("file", "name"), [(MACHINE, "Inference"), (BULK_MACHINE, "BulkInference")])
def test_the_template_fills_in_every_placeholder_and_no_other(file, name):
    wanted = set(re.findall(r"\$\{(\w+)\}", file.read_text()))
    assert wanted == set(resources("AWS::StepFunctions::StateMachine")[name]["DefinitionSubstitutions"])
