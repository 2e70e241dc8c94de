"""Clarify's parts that need no library of its own: datasets, requests to the model, its answers, drift."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from localcloud_programs import clarify_data, clarify_drift, clarify_predictor
from localcloud_programs.clarify_data import AnalysisError
from localcloud_programs.clarify_predictor import Predictor

ROWS = pd.DataFrame({"age": [30, 40], "sex": ["m", "f"]})


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., clarify_data.Dataset]:
    """`read(content, member=value)`: the dataset of one file."""

    def dataset(content: str, **config: Any) -> clarify_data.Dataset:
        (tmp_path / "part").write_text(content)
        return clarify_data.read(tmp_path, {"dataset_type": "text/csv", **config})

    return dataset


@pytest.mark.parametrize(
    ("content", "config", "names"),
    [
        ("1,2\n", {}, ["column0", "column1"]),
        ("y,age\n1,2\n", {}, ["y", "age"]),
        ("1,2\n", {"headers": ["y", "age"]}, ["y", "age"]),
        ("y,age\n1,2\n", {"headers": ["y", "age"]}, ["y", "age"]),
    ],
)
def test_columns_are_named_by_headers_file_or_position(
    read: Callable[..., clarify_data.Dataset], content: str, config: dict[str, Any], names: list[str]
) -> None:
    dataset = read(content, label=0, **config)
    assert list(dataset.table.columns) == names
    assert len(dataset.table) == 1
    assert (dataset.label, dataset.features) == (names[0], (names[1],))


def test_the_model_gets_neither_labels_nor_excluded_columns(read: Callable[..., clarify_data.Dataset]) -> None:
    dataset = read("y,p,id,age,x\n1,0,7,2,3\n", label="y", predicted_label="p", excluded_columns=["x"],
                   joinsource_name_or_index="id")  # fmt: skip
    assert dataset.features == ("age",)
    assert dataset.predicted == "p"


def test_features_of_json_lines_are_found_by_paths(read: Callable[..., clarify_data.Dataset]) -> None:
    content = '{"f": [1, "m"], "y": 0}\n{"f": [2, "f"], "y": 1}\n'
    dataset = read(content, dataset_type="application/jsonlines", features="f", label="y", headers=["age", "sex", "y"])
    assert dataset.features == ("age", "sex")
    assert dataset.table["y"].tolist() == [0, 1]


def test_features_of_one_json_document_are_found_by_paths(read: Callable[..., clarify_data.Dataset]) -> None:
    content = json.dumps([{"f": [1, 2], "y": 0}, {"f": [3, 4], "y": 1}])
    dataset = read(content, dataset_type="application/json", features="[*].f", label="[*].y")
    assert dataset.table.to_numpy().tolist() == [[1, 2, 0], [3, 4, 1]]
    assert dataset.label == "column2"


@pytest.mark.parametrize(
    ("content", "config", "message"),
    [
        ("1,2\n", {"label": "y"}, "no column 'y'"),
        ("1,2\n", {"label": 7}, "no column 7"),
        ("1,2\n", {"headers": ["y"]}, "headers names 1 columns"),
        ("{}", {"dataset_type": "application/json"}, "needs features"),
    ],
)
def test_what_a_dataset_lacks_is_named(
    read: Callable[..., clarify_data.Dataset], content: str, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(AnalysisError, match=message):
        read(content, **config)


@pytest.mark.parametrize(
    ("predictor", "body"),
    [
        ({}, "30,m\n40,f\n"),
        ({"content_type": "application/jsonlines"}, '{"features":[30, "m"]}\n{"features":[40, "f"]}\n'),
        (
            {"content_type": "application/jsonlines", "content_template": '{"row":$features_kvp}'},
            '{"row":{"age": 30, "sex": "m"}}\n{"row":{"age": 40, "sex": "f"}}\n',
        ),
        (
            {
                "content_type": "application/json",
                "content_template": '{"instances":$records}',
                "record_template": "$features",
            },
            '{"instances":[[30, "m"],[40, "f"]]}',
        ),
    ],
)
def test_rows_are_written_as_the_predictor_says(predictor: dict[str, str], body: str) -> None:
    assert clarify_predictor.body(ROWS, predictor) == body


@pytest.mark.parametrize(
    ("text", "accept", "path", "found"),
    [
        ("0.1\n0.9\n", "text/csv", None, [0.1, 0.9]),
        ("0.1,0.9", "text/csv", None, [0.1, 0.9]),
        ("yes,0.9\nno,0.2\n", "text/csv", 1, [0.9, 0.2]),
        ("0.1,0.9\n0.8,0.2\n", "text/csv; charset=utf-8", None, [[0.1, 0.9], [0.8, 0.2]]),
        ('{"p": 0.1}\n{"p": 0.9}\n', "application/jsonlines", "p", [0.1, 0.9]),
        ('{"predictions": [{"score": 0.1}, {"score": 0.9}]}', "application/json", "predictions[*].score", [0.1, 0.9]),
        ('{"predictions": [{"score": 0.1}, {"score": 0.9}]}', "application/json", None, [0.1, 0.9]),
    ],
)
def test_answers_are_read_as_the_predictor_says(text: str, accept: str, path: Any, found: list[Any]) -> None:
    assert clarify_predictor.answers(text, accept, path, 2) == found


def test_another_number_of_answers_is_an_error() -> None:
    with pytest.raises(AnalysisError, match="3 answers to 2 rows"):
        clarify_predictor.answers("1\n2\n3\n", "text/csv", None, 2)


class Runtime:
    """Answers each row with a text made from its first value, and keeps the bodies that it was sent."""

    def __init__(self, answer: Callable[[float], str]) -> None:
        self.answer, self.bodies = answer, []

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.bodies.append(request["Body"].decode())
        lines = [self.answer(float(line.split(",")[0])) for line in self.bodies[-1].splitlines()]
        return {"Body": io.BytesIO("\n".join(lines).encode())}


def labels(
    answer: Callable[[float], str], truth: list[Any], threshold: float | None = None, **config: Any
) -> list[Any]:
    """The labels of a model whose answer to each row `answer` gives."""
    rows = pd.DataFrame({"x": [float(row) for row in range(len(truth))]})
    predictor = Predictor(Runtime(answer), "endpoint", config)
    return predictor.labels(rows, pd.Series(truth), threshold).tolist()


def test_probabilities_become_labels_by_the_threshold() -> None:
    assert labels(lambda x: str(x / 10), [0, 1, 0, 1], 0.15) == [0, 0, 1, 1]
    assert labels(lambda x: str(x / 3), [0, 1, 0, 1]) == [0, 0, 1, 1]


def test_names_of_labels_stand_for_two_classes() -> None:
    assert labels(lambda x: str(x), ["no", "yes"], probability=0, label_headers=["no", "yes"]) == ["no", "yes"]


def test_the_most_probable_of_several_classes_is_the_label() -> None:
    scores = ["[0.1, 0.7, 0.2]", "[0.6, 0.2, 0.2]"]
    rows = pd.DataFrame({"x": [0.0, 1.0]})

    class Json:
        def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
            return {"Body": io.BytesIO("\n".join(f'{{"p": {score}}}' for score in scores).encode())}

    config = {"accept_type": "application/jsonlines", "probability": "p", "label_headers": ["a", "b", "c"]}
    assert Predictor(Json(), "e", config).labels(rows, pd.Series(["a", "b"]), None).tolist() == ["b", "a"]


def test_numbers_of_a_regression_are_labels_themselves() -> None:
    assert labels(lambda x: str(x * 10 + 0.4), [9, 11]) == [0, 10]


def test_a_lone_row_is_sent_twice() -> None:
    runtime = Runtime(lambda x: str(x))
    assert Predictor(runtime, "e", {}).scores(pd.DataFrame({"x": [3.0]})).tolist() == [[3.0]]
    assert runtime.bodies == ["3.0\n3.0\n"]


def test_many_rows_are_sent_in_parts() -> None:
    runtime = Runtime(lambda x: str(x))
    assert len(Predictor(runtime, "e", {}).ask(pd.DataFrame({"x": range(2500)}), None)) == 2500
    assert len(runtime.bodies) == 3


def test_an_answer_that_is_no_score_is_named() -> None:
    with pytest.raises(AnalysisError, match="'spam' is no score"):
        Predictor(Runtime(lambda x: "spam"), "e", {}).scores(pd.DataFrame({"x": [1.0, 2.0]}))


def bias(section: str = "pre_training_bias_metrics", group: str = "1", **metrics: Any) -> dict[str, Any]:
    listed = [{"name": name, "value": value} for name, value in metrics.items()]
    return {section: {"facets": {"age": [{"value_or_threshold": group, "metrics": listed}]}}}


@pytest.mark.parametrize(
    ("now", "before", "worse"),
    [
        ({"DPPL": 0.1}, {"DPPL": 0.2}, False),
        ({"DPPL": -0.3}, {"DPPL": 0.2}, True),
        ({"DI": 0.9}, {"DI": 0.5}, False),
        ({"DI": 1.8}, {"DI": 0.5}, True),
        ({"DI": 0.2}, {"DI": 0.5}, True),
        ({"CI": None}, {"CI": 0.1}, False),
        ({"TE": "-Infinity"}, {"TE": 3.0}, True),
        ({"KL": 9.0}, {"JS": 0.1}, False),
    ],
)
def test_a_bias_further_from_fair_is_a_violation(now: dict[str, Any], before: dict[str, Any], worse: bool) -> None:
    found = clarify_drift.violations(bias(**now), bias(**before))
    assert [violation["metric_name"] for violation in found] == (list(now) if worse else [])


def test_the_upper_end_of_an_interval_may_differ() -> None:
    found = clarify_drift.violations(bias(group="(0.5, 0.98]", CI=0.4), bias(group="(0.5, 0.99]", CI=0.3))
    assert found == [
        {
            "facet": "age",
            "facet_value": "(0.5, 0.98]",
            "metric_name": "CI",
            "constraint_check_type": "bias_drift_check",
            "description": "Value 0.4 does not meet the constraint requirement",
        }
    ]


def shares(**values: float) -> dict[str, Any]:
    return {"explanations": {"kernel_shap": {"label0": {"global_shap_values": values}}}}


def test_the_documented_example_of_reversed_shares_is_a_violation() -> None:
    before, now = shares(sat=0.7, gpa=0.5, rank=0.05), shares(sat=0.1, gpa=0.2, rank=0.7)
    (violation,) = clarify_drift.violations(now, before)
    assert violation["constraint_check_type"] == "feature_attribution_drift_check"
    assert violation["label"] == "label0"
    assert clarify_drift.violations(before, before) == []
    assert clarify_drift.violations(shares(sat=0.6, gpa=0.55, rank=0.1), before) == []
