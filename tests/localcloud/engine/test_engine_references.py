"""References: paths, Std:Join, Std:JsonGet, and properties that hold for any nesting of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.engine.references import Get, UnknownReferenceError, find, parse_get, resolve, tokens, walk


class Scope:
    """Parameters are their own names in capitals; everything else is fixed."""

    def parameter(self, name: str) -> Any:
        return 60 if name == "Epochs" else name.upper()

    def execution(self, name: str) -> Any:
        return f"<{name}>"

    def experiment(self, name: str) -> Any:
        raise UnknownReferenceError(name)

    def properties(self, step: str) -> Any:
        outputs = [
            {"OutputName": "test", "S3Output": {"S3Uri": "s3://b/test"}},
            {"OutputName": "train", "S3Output": {"S3Uri": "s3://b/train"}},
        ]
        return {"ProcessingOutputConfig": {"Outputs": outputs}, "ExitMessage": step}

    def property_file(self, step: str, name: str) -> Any:
        return {"gate": {"accuracy": 0.93}, "classes": ["bicycle", "motorcycle"], "a.b": {"c d": True}}

    def json_object(self, uri: str) -> Any:
        return {"uri": uri}


FILE = {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Get": "Parameters.Epochs"}, 60),
        ({"Get": "Execution.PipelineExecutionId"}, "<PipelineExecutionId>"),
        ({"Get": "Steps.Stage.ProcessingOutputConfig.Outputs['train'].S3Output.S3Uri"}, "s3://b/train"),
        ({"Get": "Steps.Stage.ProcessingOutputConfig.Outputs[0].S3Output.S3Uri"}, "s3://b/test"),
        (
            {"Std:Join": {"On": "/", "Values": ["s3:/", {"Get": "Parameters.bucket"}, 1, 0.5, True]}},
            "s3://BUCKET/1/0.5/true",
        ),
        ({"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Epochs"}]}}, "60"),
        ({"Std:JsonGet": {"PropertyFile": FILE, "Path": "gate.accuracy"}}, 0.93),
        ({"Std:JsonGet": {"PropertyFile": FILE, "Path": "$.classes[1]"}}, "motorcycle"),
        ({"Std:JsonGet": {"PropertyFile": FILE, "Path": "['a.b'][\"c d\"]"}}, True),
        ({"Std:JsonGet": {"S3Uri": {"Std:Join": {"On": "/", "Values": ["s3:/", "x"]}}, "Path": "uri"}}, "s3://x"),
        ({"Getting": "Parameters.Epochs", "Get": "x"}, {"Getting": "Parameters.Epochs", "Get": "x"}),
    ],
)
def test_a_reference_stands_for_its_value(value: Any, expected: Any) -> None:
    assert resolve(value, Scope()) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"Get": "Steps.Stage.ProcessingOutputConfig.Outputs['photos']"}, "there is no 'photos'"),
        ({"Get": "Steps.Stage.ProcessingOutputConfig.Outputs[7]"}, "there is no 7"),
        ({"Get": "Somewhere.X"}, "Unknown property reference 'Somewhere.X'"),
        ({"Get": "Steps.Stage"}, "Unknown property reference 'Steps.Stage'"),
        ({"Get": 3}, "Get needs a string"),
        ({"Std:Join": []}, "Std:Join needs On, a string, and Values"),
        ({"Std:JsonGet": {"Path": "x"}}, "needs a PropertyFile or S3Uri"),
        ({"Std:JsonGet": {"PropertyFile": FILE, "Path": "gate.f1"}}, "there is no 'f1'"),
        ({"Std:JsonGet": {"PropertyFile": FILE, "Path": "gate]["}}, "cannot be read at character 5"),
    ],
)
def test_a_reference_to_nothing_is_named(value: Any, words: str) -> None:
    with pytest.raises(UnknownReferenceError) as error:
        resolve(value, Scope())
    assert words in str(error.value)


names = st.text("abcXYZ019_-", min_size=1, max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
plain = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
references = st.builds(lambda name: {"Get": f"Parameters.{name}"}, names)


def put_in(value: Any, reference: Any) -> Any:
    return {"Std:Join": {"On": "", "Values": [[value], {"k": reference}]}}


@given(plain)
def test_data_without_references_come_out_as_they_went_in(value: Any) -> None:
    assert resolve(value, Scope()) == value
    assert list(find(value)) == []


@given(plain, references)
def test_every_reference_is_found_however_deep(value: Any, reference: dict[str, str]) -> None:
    assert [get.text for get in find(put_in([value], reference))] == [reference["Get"]]


@given(st.lists(st.integers(0, 99) | st.text("abc.[ ]-9", min_size=1, max_size=6), min_size=1, max_size=6))
def test_a_path_written_in_brackets_is_read_back(parts: list[str | int]) -> None:
    text = "".join(f"[{part}]" if isinstance(part, int) else f"['{part}']" for part in parts)
    assert tokens(text) == tuple(parts)


@given(st.lists(names, min_size=1, max_size=5), scalars)
def test_a_path_leads_to_what_was_put_there(path: list[str], value: Any) -> None:
    document = value
    for name in reversed(path):
        document = {name: document}
    assert walk(document, tokens(".".join(path)), "x") is value


def test_a_property_file_is_told_from_a_property() -> None:
    assert parse_get(FILE["Get"]).property_file == "Evaluation"
    assert parse_get("Steps.Train.ModelArtifacts.S3ModelArtifacts") == Get(
        "Steps.Train.ModelArtifacts.S3ModelArtifacts", "Steps", "Train", ("ModelArtifacts", "S3ModelArtifacts")
    )
