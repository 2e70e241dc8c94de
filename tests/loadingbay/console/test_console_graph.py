"""The steps of a pipeline in their order, from its definition."""

import json

from loadingbay.console.graph import nodes


def _definition(*steps):
    return json.dumps({"Version": "2020-12-01", "Steps": steps})


def _step(name, kind="Training", **arguments):
    return {"Name": name, "Type": kind, "Arguments": arguments}


def test_a_step_comes_after_what_it_refers_to():
    data = {"Get": "Steps.Stage.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"}
    found = nodes(_definition(_step("Train", data=data), _step("Stage", "Processing")))
    assert [(node.name, node.level) for node in found] == [("Stage", 0), ("Train", 1)]


def test_a_step_comes_after_what_it_depends_on():
    found = nodes(_definition({**_step("B"), "DependsOn": ["A"]}, _step("A")))
    assert [node.name for node in found] == ["A", "B"]


def test_the_steps_inside_a_condition_come_after_it():
    gate = _step("Gate", "Condition", Conditions=[], IfSteps=[_step("Register")], ElseSteps=[_step("Missed", "Fail")])
    found = nodes(_definition(gate))
    assert [(node.name, node.kind, node.level) for node in found] == [
        ("Gate", "Condition", 0), ("Register", "Training", 1), ("Missed", "Fail", 1),
    ]  # fmt: skip


def test_a_circle_is_no_endless_loop():
    found = nodes(_definition({**_step("A"), "DependsOn": ["B"]}, {**_step("B"), "DependsOn": ["A"]}))
    assert {node.name for node in found} == {"A", "B"}


def test_what_is_no_definition_has_no_steps():
    assert nodes("nonsense") == nodes("[]") == []
