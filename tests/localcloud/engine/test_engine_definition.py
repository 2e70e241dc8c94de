"""Definitions: what parses, what is refused by name, and one made by the SageMaker SDK v3."""

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.engine.definition import DefinitionError, parse
from localcloud.engine.graph import dependencies
from localcloud.engine.validate import check, sagemaker_model

SDK = (Path(__file__).parent / "definitions" / "sdk-v3.json").read_text()


def edited(edit: Any) -> str:
    document = json.loads(SDK)
    edit(document)
    return json.dumps(document)


def test_a_definition_of_the_sdk_parses_and_passes_every_check() -> None:
    definition = parse(SDK)
    check(definition, sagemaker_model())
    assert list(definition.steps) == ["Stage", "Train", "Evaluate", "Gate", "Register", "GateMissed"]
    needs = dependencies(definition)
    assert needs["Train"] == {"Stage"}
    assert needs["Gate"] == {"Evaluate"}
    assert needs["Register"] == {"Gate", "Evaluate", "Train"}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d.update(Version="2019-01-01"), "Version is '2019-01-01'"),
        (lambda d: d.update(Steps=[]), "has no steps"),
        (lambda d: d["Steps"].append(d["Steps"][0]), "'Stage' occurs more than once"),
        (lambda d: d["Steps"][0].update(Type="Tuning"), "Step 'Stage' is of type 'Tuning', which the local cloud does"),
        (lambda d: d["Steps"][0].update(Name="a b"), "the name 'a b' may hold only"),
        (lambda d: d["Steps"][0].pop("Arguments"), "Step 'Stage' Arguments must be an object"),
        (lambda d: d["Steps"][0].update(DependsOn=["Nobody"]), "depends on 'Nobody', which is not in the definition"),
        (lambda d: d["Steps"][0].update(DependsOn=["Train"]), "in a circle: "),
        (lambda d: d["Steps"][0]["CacheConfig"].update(ExpireAfter="30 days"), "'30 days' is not an ISO 8601 duration"),
        (lambda d: d["Steps"][0].update(RetryPolicies=[{"ExceptionType": ["X"]}]), "ExceptionType is ['X']"),
        (lambda d: d["Parameters"][0].update(DefaultValue="many"), "Parameter 'Epochs': 'many' is not of type Integer"),
        (lambda d: d["Parameters"].pop(0), "Unknown property reference 'Parameters.Epochs'"),
        (lambda d: argument(d, "Train")["HyperParameters"].update(x={"Get": "Steps.Foo.Bar"}), "there is no 'Foo'"),
        (lambda d: argument(d, "Train")["HyperParameters"].update(x={"Get": "Steps.Stage.Bar"}), "there is no 'Bar'"),
        (lambda d: argument(d, "Train")["HyperParameters"].update(x={"Get": "Execution.Bar"}), "there is no 'Bar'"),
        (lambda d: channel(d).update(S3Uri=output("nothing")), "there is no 'nothing'"),
        (lambda d: argument(d, "Stage").pop("AppSpecification"), "'appSpecification' failed to satisfy constraint"),
        (
            lambda d: argument(d, "Train")["ResourceConfig"].update(InstanceType="ml.huge"),
            "'ml.huge' at 'resourceConfig",
        ),
        (lambda d: d["Steps"][2]["PropertyFiles"][0].update(OutputName="x"), "property file 'Evaluation' is of output"),
        (lambda d: d["Steps"][2].pop("PropertyFiles"), "step 'Evaluate' has no such property file"),
        (lambda d: argument(d, "Gate")["Conditions"][0].update(Type="Like"), "Condition type 'Like' is not one of"),
    ],
)
def test_what_cannot_run_is_refused_by_name(edit: Any, words: str) -> None:
    with pytest.raises(DefinitionError) as error:
        check(parse(edited(edit)), sagemaker_model())
    assert words in str(error.value)


def argument(document: dict[str, Any], name: str) -> dict[str, Any]:
    arguments: dict[str, Any] = next(step for step in document["Steps"] if step["Name"] == name)["Arguments"]
    return arguments


def channel(document: dict[str, Any]) -> dict[str, Any]:
    source: dict[str, Any] = argument(document, "Train")["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    return source


def output(name: str) -> dict[str, str]:
    return {"Get": f"Steps.Stage.ProcessingOutputConfig.Outputs['{name}'].S3Output.S3Uri"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"Version": NaN}', "is not JSON: NaN"),
        ("[" * 100_000, "nested too deeply"),
        (" " * 1_048_577, "the limit is 1,048,576"),
    ],
)
def test_what_is_no_definition_at_all_is_refused(text: str, words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        parse(text)
