"""The model monitor's analyzer: statistics, suggested constraints, violations, and the quality of models."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from localcloud_programs import monitor, monitor_data, monitor_quality, monitor_statistics, monitor_violations

numbers = st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=200)
texts = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=60).filter(any)


def table(**columns: Any) -> pd.DataFrame:
    """A table of texts, as the analyzer reads it."""
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


def violations(before: pd.DataFrame, now: pd.DataFrame, **config: Any) -> list[tuple[str, str]]:
    """Feature and check of each violation of the constraints that `before` suggests."""
    known = monitor_statistics.statistics(before)
    expected = monitor_statistics.constraints(known, before)
    expected["monitoring_config"] = {**expected["monitoring_config"], **config}
    found = monitor_violations.violations(now, monitor_statistics.statistics(now), expected, known)
    return [(violation["feature_name"], violation["constraint_check_type"]) for violation in found]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "+3"], "Integral"),
        (["1", "2.5"], "Fractional"),
        (["1e-05", "0.1"], "Fractional"),
        (["1", "b"], "String"),
        (["true", "false"], "String"),
        ([None, None], "Unknown"),
    ],
)
def test_the_type_of_a_column_is_inferred_from_its_texts(values: list[str | None], kind: str) -> None:
    (feature,) = monitor_statistics.statistics(table(x=values))["features"]
    assert feature["inferred_type"] == kind


def test_statistics_have_the_form_that_is_documented() -> None:
    (feature,) = monitor_statistics.statistics(table(x=["1", "2", "3", None]))["features"]
    numerical = feature["numerical_statistics"]
    assert numerical["common"] == {"num_present": 3, "num_missing": 1}
    assert (numerical["mean"], numerical["sum"], numerical["min"], numerical["max"]) == (2.0, 6.0, 1.0, 3.0)
    assert math.isclose(numerical["std_dev"], math.sqrt(2 / 3))
    assert len(numerical["distribution"]["kll"]["buckets"]) == 10
    assert numerical["distribution"]["kll"]["sketch"]["data"] == [[1.0, 2.0, 3.0]]


def test_suggested_constraints_have_the_form_that_is_documented() -> None:
    dataset = table(x=["1", "2", None, "4"], sex=["m", "f", "m", "f"])
    suggested = monitor_statistics.constraints(monitor_statistics.statistics(dataset), dataset)
    assert suggested["features"] == [
        {
            "name": "x",
            "inferred_type": "Integral",
            "completeness": 0.75,
            "num_constraints": {"is_non_negative": True},
        },
        {
            "name": "sex",
            "inferred_type": "String",
            "completeness": 1.0,
            "string_constraints": {"domains": ["f", "m"]},
        },
    ]
    assert suggested["monitoring_config"]["distribution_constraints"]["comparison_threshold"] == 0.1


def test_no_domain_is_suggested_for_names_that_occur_once() -> None:
    dataset = table(name=["ann", "bob", "cid"])
    (feature,) = monitor_statistics.constraints(monitor_statistics.statistics(dataset), dataset)["features"]
    assert "string_constraints" not in feature


@settings(max_examples=25)
@given(numbers, texts)
def test_a_dataset_never_violates_its_own_constraints(values: list[float], words: list[str | None]) -> None:
    rows = max(len(values), len(words))
    filled = [str(values[row % len(values)]) for row in range(rows)]
    dataset = table(x=filled, word=[words[row % len(words)] for row in range(rows)])
    assert violations(dataset, dataset) == []


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20_000 // 8), st.integers(1, 8))
def test_a_sketch_stands_for_all_values(values: list[float], repeats: int) -> None:
    found = np.sort(np.repeat(values, repeats))
    levels = monitor_statistics.sketch(found)
    assert sum(len(level) << number for number, level in enumerate(levels)) == len(found)
    assert len(levels[-1]) <= monitor_statistics.SKETCH_SIZE
    assert {value for level in levels for value in level} <= set(found.tolist())


@given(numbers, numbers)
def test_the_distance_of_distributions_is_symmetric(left: list[float], right: list[float]) -> None:
    one, other = ([sorted(values)] for values in (left, right))
    distance = monitor_violations.numerical_distance(one, other, robust=False)
    assert 0 <= distance <= 1 + 1e-9
    assert math.isclose(distance, monitor_violations.numerical_distance(other, one, robust=False), abs_tol=1e-9)
    assert monitor_violations.numerical_distance(one, one, robust=False) == 0


def test_the_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    from scipy.stats import ks_2samp

    generator = np.random.default_rng(3)
    left, right = generator.normal(size=400), generator.normal(0.3, 1, size=300)
    ours = monitor_violations.numerical_distance([sorted(left)], [sorted(right)], robust=False)
    assert math.isclose(ours, ks_2samp(left, right).statistic)


def test_a_large_sample_keeps_its_distribution_in_the_sketch() -> None:
    from scipy.stats import ks_2samp

    generator = np.random.default_rng(5)
    left, right = np.sort(generator.normal(size=50_000)), np.sort(generator.normal(0.2, 1, size=50_000))
    ours = monitor_violations.numerical_distance(
        monitor_statistics.sketch(left), monitor_statistics.sketch(right), robust=False
    )
    assert abs(ours - ks_2samp(left, right).statistic) < 0.002


def test_numbers_that_have_moved_are_a_drift() -> None:
    before = table(x=[str(number) for number in range(500)])
    now = table(x=[str(number + 300) for number in range(500)])
    assert violations(before, now) == [("x", "baseline_drift_check")]
    off = {"distribution_constraints": {"perform_comparison": "Disabled"}}
    assert violations(before, now, **off) == []


def test_a_few_rows_are_no_drift_by_the_robust_method() -> None:
    before = table(x=[str(number) for number in range(500)])
    now = table(x=["480", "490", "495"])
    assert violations(before, now) == []
    simple = {"distribution_constraints": {"comparison_method": "Simple", "comparison_threshold": 0.1}}
    assert violations(before, now, **simple) == [("x", "baseline_drift_check")]


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ({"x": ["1", None, "3", "4"], "s": ["a", "b"] * 2}, [("x", "completeness_check")]),
        ({"x": ["1", "oh", "3", "4"], "s": ["a", "b"] * 2}, [("x", "data_type_check")]),
        ({"x": ["1", "2", "3", "4"], "s": ["a", "q"] * 2}, [("s", "categorical_values_check")]),
        (
            {"x": ["1", "2", "3", "4"], "s": ["1", "2"] * 2},
            [("s", "data_type_check"), ("s", "categorical_values_check")],
        ),
        ({"x": ["1", "2", "3", "4"]}, [("Missing columns", "missing_column_check")]),
        (
            {"x": ["1", "2", "3", "4"], "s": ["a", "b"] * 2, "y": ["1"] * 4},
            [("Extra columns", "extra_column_check")],
        ),
    ],
)
def test_each_check_finds_its_violation(now: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert violations(table(x=["1", "2", "3", "4"], s=["a", "b"] * 2), table(**now)) == found


def test_nothing_is_found_where_constraints_are_not_evaluated() -> None:
    before, now = table(x=["1", "2"]), table(x=["a", None])
    assert violations(before, now, evaluate_constraints="Disabled") == []


def quality(problem: str, rows: dict[str, Any], **more: str) -> dict[str, Any]:
    """The metrics of a model's predictions, through the analyzer's own door."""
    variables = {
        "analysis_type": "MODEL_QUALITY",
        "problem_type": problem,
        "ground_truth_attribute": "truth",
        **({"inference_attribute": "said"} if "said" in rows else {}),
        **more,
    }
    files = monitor.analyze(table(**rows), variables, None, None)
    section: dict[str, Any] = files["statistics.json"][f"{monitor_quality.SECTIONS[problem]}_metrics"]
    return section


def test_the_documented_example_of_two_classes() -> None:
    rows = {"truth": ["0", "0", "0", "1"], "said": ["0", "1", "1", "1"], "score": ["0.1", "0.6", "0.7", "0.9"]}
    found = quality("BinaryClassification", rows, probability_attribute="score")
    assert found["confusion_matrix"] == {"0": {"0": 1, "1": 2}, "1": {"0": 0, "1": 1}}
    expected = {
        "recall": 1.0,
        "precision": 1 / 3,
        "accuracy": 0.5,
        "recall_best_constant_classifier": 1.0,
        "precision_best_constant_classifier": 0.25,
        "accuracy_best_constant_classifier": 0.25,
        "false_positive_rate": 2 / 3,
        "auc": 1.0,
        "f0_5": 0.38461538,
        "f1": 0.5,
        "f2": 0.71428571,
        "f2_best_constant_classifier": 0.625,
    }
    assert {name: found[name]["value"] for name in expected} == pytest.approx(expected)
    assert {metric["standard_deviation"] for name, metric in found.items() if "value" in metric} == {"NaN"}


def test_probabilities_become_classes_by_the_threshold() -> None:
    rows = {"truth": ["False", "True", "True"], "score": ["0.2", "0.3", "0.9"]}
    given_threshold = {"probability_attribute": "score", "probability_threshold_attribute": "0.25"}
    assert quality("BinaryClassification", rows, **given_threshold)["accuracy"]["value"] == 1.0
    assert quality("BinaryClassification", rows, probability_attribute="1")["accuracy"]["value"] == pytest.approx(2 / 3)


def test_several_classes_may_have_any_names() -> None:
    found = quality("MulticlassClassification", {"truth": list("aabc"), "said": list("abbc")})
    assert found["accuracy"]["value"] == 0.75
    assert found["accuracy_best_constant_classifier"]["value"] == 0.5
    assert found["confusion_matrix"]["a"] == {"a": 1, "b": 1, "c": 0}


def test_deviations_are_given_from_two_hundred_rows_on() -> None:
    truth = [str(number) for number in range(200)]
    said = [str(number + number % 3) for number in range(200)]
    found = quality("Regression", {"truth": truth, "said": said})
    assert found["mae"]["value"] == pytest.approx(0.995)
    assert found["mae"]["standard_deviation"] > 0


def test_a_model_that_got_worse_violates_each_metric_in_its_direction() -> None:
    good = monitor_quality.Predictions(np.array([1.0, 2, 3, 4]), np.array([1.0, 2, 3, 5]))
    bad = monitor_quality.Predictions(np.array([1.0, 2, 3, 4]), np.array([3.0, 2, 1, 5]))
    before, now = (monitor_quality.statistics("Regression", one) for one in (good, bad))
    limits = monitor_quality.constraints("Regression", before)
    assert monitor_quality.violations("Regression", before, limits) == []
    found = {one["metric_name"]: one for one in monitor_quality.violations("Regression", now, limits)}
    assert set(found) == {"mae", "mse", "rmse", "r2"}
    assert found["r2"]["constraint_check_type"] == "LessThanThreshold"
    assert found["mae"]["description"] == "Metric mae with 1.25 +/- NaN was GreaterThanThreshold '0.25'"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"truth": ["1"], "score": ["0.5"]}, "inference_attribute"),
        ({"truth": ["high"], "said": ["1"]}, "more than numbers"),
        ({"truth": [None], "said": ["1"]}, "No row"),
    ],
)
def test_predictions_that_are_not_there_are_named(rows: dict[str, Any], message: str) -> None:
    with pytest.raises(monitor_data.DatasetError, match=message):
        quality("Regression", rows)


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.csv", "x,s\n1,a\n,b\n", {"csv": {"header": True, "output_columns_position": "START"}}),
        ("a.jsonl", '{"x": 1, "s": "a"}\n{"x": null, "s": "b"}\n', {"json": {"lines": True}}),
        ("a.json", '[{"x": 1, "s": "a"}, {"s": "b"}]', {"Json": {"Line": False}}),
    ],
)
def test_formats_are_read_alike(tmp_path: Path, name: str, content: str, form: dict[str, Any]) -> None:
    (tmp_path / name).write_text(content)
    read = monitor_data.read(tmp_path, form)
    assert read["s"].tolist() == ["a", "b"]
    assert read["x"].fillna("missing").tolist() == ["1", "missing"]


def test_parquet_keeps_whole_numbers(tmp_path: Path) -> None:
    pd.DataFrame({"x": pd.array([1, None], dtype="Int64"), "b": [True, False]}).to_parquet(tmp_path / "a.parquet")
    read = monitor_data.read(tmp_path, {"parquet": {}})
    assert read["x"].fillna("missing").tolist() == ["1", "missing"]
    assert read["b"].tolist() == ["true", "false"]


def test_columns_without_a_header_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,a\n")
    (tmp_path / "b.csv").write_text("2,b\n")
    read = monitor_data.read(tmp_path, {"csv": {"header": False}})
    assert read.to_dict("list") == {"_c0": ["1", "2"], "_c1": ["a", "b"]}


def test_files_with_other_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("y\n1\n")
    with pytest.raises(monitor_data.DatasetError, match="different columns"):
        monitor_data.read(tmp_path, {"csv": {"header": True}})


def test_the_analyzer_writes_what_its_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, baseline = tmp_path / "in", tmp_path / "constraints.json"
    source.mkdir()
    (source / "a.csv").write_text("x\n1\noh\n")
    dataset = table(x=["1", "2"])
    baseline.write_text(json.dumps(monitor_statistics.constraints(monitor_statistics.statistics(dataset), dataset)))
    for name, value in {
        "dataset_source": source,
        "dataset_format": '{"csv": {"header": true}}',
        "output_path": tmp_path / "out",
        "baseline_constraints": baseline,
    }.items():
        monkeypatch.setenv(name, str(value))
    monitor.main()
    report = json.loads((tmp_path / "out" / "constraint_violations.json").read_text())
    assert [one["constraint_check_type"] for one in report["violations"]] == ["data_type_check"]
    assert "Analyzed 2 rows of 1 columns: 1 violations" in capsys.readouterr().out
