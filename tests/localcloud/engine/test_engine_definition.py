"""Definitions: what is accepted, what is refused by name, and what the SageMaker SDKs v2 and v3 write."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.api import ApiError
from localcloud.engine.definition import Definition, DefinitionError, load, parse
from localcloud.engine.graph import dependencies
from localcloud.engine.steps import new_document
from localcloud.engine.validate import read
from localcloud.resources import model_packages

DEFINITIONS = Path(__file__).parent / "definitions"
SDK = (DEFINITIONS / "sdk-v3.json").read_text()


def checked(text: str) -> Definition:
    return read(text, lambda kind, request: None)


def edited(edit: Any) -> str:
    document = json.loads(SDK)
    edit(document)
    return json.dumps(document)


def test_a_definition_of_the_sdk_parses_and_passes_every_check() -> None:
    definition = checked(SDK)
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
        (
            lambda d: argument(d, "Train").update(Environment={"A": "b\0"}),
            "Steps[1].Arguments.Environment.A holds a null",
        ),
        (
            lambda d: argument(d, "Train").update(Environment={"A\0": "b"}),
            "Steps[1].Arguments.Environment holds a null",
        ),
        (
            lambda d: argument(d, "Train").update(Environment={"A": "b\ud800"}),
            "Steps[1].Arguments.Environment.A holds half of a surrogate pair",
        ),
        (lambda d: d["Parameters"][0].update(DefaultValue="\0"), "Parameters[0].DefaultValue holds a null character"),
        (lambda d: d["Steps"].append(d["Steps"][0]), "'Stage' occurs more than once"),
        (lambda d: d["Steps"][0].update(Type="EMR"), "Step 'Stage' is of type 'EMR', which the local cloud does"),
        (lambda d: compared(d, "Steps.Train.HyperParameters['epochs']", 3), "(string) with 3 (number)"),
        (lambda d: compared(d, "Parameters.Epochs", "3"), "(number) with '3' (string)"),
        (lambda d: compared(d, "Steps.Train.ResourceConfig.InstanceCount", True), "(number) with True (boolean)"),
        (lambda d: compared(d, "Execution.PipelineName", 3), "(string) with 3 (number)"),
        (lambda d: d["Steps"][0].update(Type="ForEach"), "Step 'Stage' is of type 'ForEach', which the local cloud"),
        (lambda d: d["Steps"][0].update(Name="a b"), "the name 'a b' may hold only"),
        (lambda d: d["Steps"][0].update(Name="S" * 65), "has 65 characters; the limit is 64"),
        (lambda d: d["Steps"][0].pop("Arguments"), "Step 'Stage' Arguments must be an object"),
        (lambda d: d["Steps"][0].update(DependsOn=["Nobody"]), "depends on 'Nobody', which is not in the definition"),
        (lambda d: d["Steps"][0].update(DependsOn=["Train"]), "in a circle: "),
        (
            lambda d: d["Steps"][1].update(DependsOn=[{"Step": "Stage", "Trigger": "Failed"}]),
            "Step 'Train' DependsOn: the local cloud does not support a Trigger, here 'Failed' of step 'Stage'",
        ),
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
        checked(edited(edit))
    assert words in str(error.value)


def argument(document: dict[str, Any], name: str) -> dict[str, Any]:
    arguments: dict[str, Any] = next(step for step in document["Steps"] if step["Name"] == name)["Arguments"]
    return arguments


def compared(document: dict[str, Any], left: str, right: Any) -> None:
    condition = {"Type": "LessThan", "LeftValue": {"Get": left}, "RightValue": right}
    argument(document, "Gate")["Conditions"][0] = condition


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


def step(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A step by name, those in the branches of conditions too."""
    waiting = list(document["Steps"])
    while waiting:
        found: dict[str, Any] = waiting.pop()
        if found["Name"] == name:
            return found
        for branch in ("IfSteps", "ElseSteps"):
            waiting += found["Arguments"].get(branch, [])
    raise KeyError(name)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d.update(Typo=1), "'Typo' in the definition"),
        (
            lambda d: d["Parameters"][0].update(Defaultvalue=1),
            "'Defaultvalue' in parameter 'Epochs' (did you mean 'Def",
        ),
        (lambda d: d["PipelineExperimentConfig"].update(Trial="x"), "'Trial' in PipelineExperimentConfig"),
        (
            lambda d: step(d, "Train").update(DependOn=["Stage"]),
            "'DependOn' in step 'Train' (did you mean 'DependsOn'?)",
        ),
        (
            lambda d: step(d, "Stage").update(CachConfig={}),
            "'CachConfig' in step 'Stage' (did you mean 'CacheConfig'?)",
        ),
        (lambda d: step(d, "Stage")["CacheConfig"].update(Expire="P1D"), "'Expire' in CacheConfig of step 'Stage'"),
        (lambda d: step(d, "Stage").update(RetryPolicies=[{"MaxAttempt": 1}]), "'MaxAttempt' in RetryPolicies of step"),
        (
            lambda d: step(d, "Evaluate")["PropertyFiles"][0].update(Path="x"),
            "'Path' in PropertyFiles of step 'Evaluate'",
        ),
        (lambda d: step(d, "Stage")["Arguments"].update(Enviroment={}), "'Enviroment' in Arguments of step 'Stage'"),
        (
            lambda d: step(d, "Stage")["Arguments"]["ProcessingResources"]["ClusterConfig"].update(VolumeSize=1),
            "'VolumeSize' in ClusterConfig in ProcessingResources in Arguments of step 'Stage'",
        ),
        (lambda d: step(d, "Register")["Arguments"].update(Approval="x"), "'Approval' in Arguments of step 'Register'"),
        (lambda d: step(d, "Gate")["Arguments"].update(ElsSteps=[]), "'ElsSteps' in Arguments of step 'Gate'"),
        (
            lambda d: step(d, "Gate")["Arguments"]["Conditions"][0].update(Right=1),
            "'Right' in a condition of step 'Gate'",
        ),
        (
            lambda d: step(d, "GateMissed")["Arguments"].update(Message="x"),
            "'Message' in Arguments of step 'GateMissed'",
        ),
        (
            lambda d: step(d, "Train")["Arguments"].update(
                RoleArn={"Std:Join": {"On": "", "Values": ["a"], "With": "b"}}
            ),
            "'With' in Std:Join in RoleArn in Arguments of step 'Train'",
        ),
        (
            lambda d: d["PipelineExperimentConfig"].update(TrialName={"Get": "Execution.PipelineName", "Else": "x"}),
            "'Else' in a reference (Get) in PipelineExperimentConfig",
        ),
    ],
)
def test_a_member_that_aws_does_not_have_is_refused_by_name(edit: Any, words: str) -> None:
    with pytest.raises(DefinitionError) as error:
        checked(edited(edit))
    assert words in str(error.value)


def closed_objects(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all objects of a definition, but to those whose members may have any name."""
    if isinstance(value, dict):
        yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        if key not in ("Metadata", "HyperParameters", "Environment", "CustomerMetadataProperties"):
            yield from closed_objects(member, (*path, key))


def test_a_member_that_aws_does_not_have_is_refused_at_every_place() -> None:
    taken = []
    for path in closed_objects(json.loads(edited(lambda document: None))):

        def edit(document: Any, path: tuple[Any, ...] = path) -> None:
            for key in path:
                document = document[key]
            document["Bogus"] = "x"

        try:
            checked(edited(edit))
            taken.append(path)
        except DefinitionError:
            pass

    assert taken == []


def test_all_unknown_members_are_named_at_once() -> None:
    def edit(document: dict[str, Any]) -> None:
        document.update(Typo=1)
        step(document, "Train").update(DependOn=["Stage"])

    with pytest.raises(DefinitionError, match=r"Unknown members: 'Typo' in the definition; 'DependOn' in step 'Train'"):
        checked(edited(edit))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: join(d, {"On": "/"}), "Std:Join needs On, a string, and Values, a list"),
        (lambda d: join(d, {"On": 1, "Values": []}), "On is 1; it must be a string"),
        (lambda d: json_get(d, {"Path": "a"}), "needs a PropertyFile or S3Uri"),
        (
            lambda d: json_get(d, {"PropertyFile": "Evaluation", "Path": "a"}),
            "PropertyFile is 'Evaluation'; it must be",
        ),
        (lambda d: json_get(d, {"S3Uri": "s3://b/k", "Path": "a["}), "cannot be read at character 2"),
    ],
)
def test_a_malformed_function_is_refused_at_creation(edit: Any, words: str) -> None:
    with pytest.raises(DefinitionError) as error:
        checked(edited(edit))
    assert words in str(error.value)


def join(document: dict[str, Any], argument: Any) -> None:
    step(document, "GateMissed")["Arguments"]["ErrorMessage"] = {"Std:Join": argument}


def json_get(document: dict[str, Any], argument: Any) -> None:
    step(document, "Gate")["Arguments"]["Conditions"][0]["LeftValue"] = {"Std:JsonGet": argument}


@pytest.mark.parametrize("number", ["1e400", "-1e400"])
def test_a_number_beyond_64_bits_is_no_number(number: str) -> None:
    with pytest.raises(DefinitionError, match="is too large"):
        parse(SDK.replace("0.85", number, 1))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ({"Get": "Execution.Nothing"}, "PipelineExperimentConfig: Unknown property reference 'Execution.Nothing'"),
        ({"Get": "Parameters.Nothing"}, "Unknown property reference 'Parameters.Nothing'"),
        ({"Get": "Steps.Stage.ProcessingJobArn"}, "Unknown property reference 'Steps.Stage.ProcessingJobArn'"),
        ({"Get": "s3://bucket"}, "Unknown property reference 's3://bucket'"),
        ({"Get": 5}, "Get needs a string"),
        ({"Std:Join": {"On": 1, "Values": 1}}, "Std:Join needs On"),
        ({"Std:JsonGet": {"S3Uri": "s3://bucket/key", "Path": "a"}}, "must be a string, Get or Std:Join"),
        (5, "TrialName must be a string, Get or Std:Join, not 5"),
    ],
)
def test_the_names_of_experiment_and_trial_are_known_at_the_start(name: Any, words: str) -> None:
    with pytest.raises(DefinitionError) as error:
        checked(edited(lambda document: document.update(PipelineExperimentConfig={"TrialName": name})))

    assert words in str(error.value)


def test_a_path_with_an_index_of_thousands_of_digits_is_refused() -> None:
    far = {"Get": f"Steps.Stage.ProcessingOutputConfig.Outputs[{'1' * 5000}]"}

    with pytest.raises(DefinitionError, match="cannot be read at character"):
        checked(edited(lambda document: argument(document, "Train").update(RoleArn=far)))


def test_jobs_are_looked_at_without_their_references() -> None:
    seen = {}
    read(SDK, lambda kind, request: seen.update({kind: request}))
    assert seen["Training"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] == "s3://any/any"
    assert set(seen) == {"Processing", "Training", "RegisterModel"}


def test_a_request_that_would_be_refused_later_is_refused_at_creation() -> None:
    def refuse(kind: str, request: dict[str, Any]) -> None:
        if kind == "Training":
            raise ApiError("ValidationException", "no such image")

    with pytest.raises(DefinitionError, match="Step 'Train': no such image"):
        read(SDK, refuse)


def test_the_abalone_pipeline_of_the_sdk_v2_passes_every_check() -> None:
    definition = checked((DEFINITIONS / "sdk-v2-abalone.json").read_text())
    needs = dependencies(definition)
    assert needs["TrainAbaloneModel"] == {"PreprocessAbaloneData"}
    assert needs["CheckMSEAbaloneEvaluation"] == {"EvaluateAbaloneModel"}
    assert definition.steps["PreprocessAbaloneData"].cache is not None


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value, as its container and key."""
    found: list[tuple[Any, Any]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += [(value, key), *places(item)]
    return found


WRONG = [None, 0, 1.5, "", [], {}, True, "x", [None], {"a": 1}, {"Get": None}, {"Get": "Steps.X"}, {"Std:Join": None}]


@settings(max_examples=300)
@given(st.sampled_from(["sdk-v3.json", "sdk-v2-abalone.json"]), st.data())
def test_a_wrong_value_anywhere_is_refused_with_a_sentence_or_accepted(name: str, data: Any) -> None:
    document = json.loads((DEFINITIONS / name).read_text())
    container, key = data.draw(st.sampled_from(places(document)))
    container[key] = data.draw(st.sampled_from(WRONG))
    with contextlib.suppress(DefinitionError):
        checked(json.dumps(document))


@pytest.mark.parametrize("name", ["sdk-v3.json", "sdk-v2-abalone.json"])
def test_a_reference_in_place_of_a_text_is_never_refused(name: str) -> None:
    """A parameter can stand for any text of the jobs' arguments, whatever rules its member has."""
    document = json.loads((DEFINITIONS / name).read_text())
    document["Parameters"].append({"Name": "Any", "Type": "String", "DefaultValue": "x"})
    names = {"OutputName", "InputName", "Get", "On", "Path"}
    for wanted in ("Processing", "Training", "RegisterModel"):
        for found in (step(document, n) for n in parse(json.dumps(document)).steps):
            if found["Type"] != wanted:
                continue
            for container, key in places(found["Arguments"]):
                kept = container[key]
                if not isinstance(kept, str) or key in names:
                    continue
                container[key] = {"Get": "Parameters.Any"}
                read(json.dumps(document), early_refusal)
                container[key] = kept


def early_refusal(kind: str, request: dict[str, Any]) -> None:
    """ApiError for a request that the local cloud would refuse when the step runs."""
    images = SimpleNamespace(check=lambda _address: None, metric_definitions=lambda _address: [])
    cloud: Any = SimpleNamespace(clock=lambda: 0.0, arn=lambda kind, name: f"{kind}/{name}", images=images)
    if kind == "RegisterModel":
        model_packages.check_request(request)
    else:
        new_document(cloud, kind, request)


@pytest.mark.parametrize("text", ['{"Version": "2020-12-01", "Version": 1}', '{"Steps": [{"Name": "A", "Name": "B"}]}'])
def test_a_member_that_is_there_twice_is_refused(text):
    with pytest.raises(DefinitionError, match="is there twice in one object"):
        load(text)
