"""Statistics: SageMaker's form, buckets, and how often chance alone looks like a difference."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing import statistics
from processing.statistics import Histogram

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=80).map(np.array)


@settings(max_examples=200)
@given(VALUES, VALUES)
def test_every_value_is_in_one_bucket_of_any_baseline(values, others):
    baseline = Histogram.of(values)
    assert baseline.counts.sum() == len(values)
    assert baseline.like(others).counts.sum() == len(others)
    assert len(baseline.edges) == len(baseline.counts) + 1


@settings(max_examples=100)
@given(VALUES)
def test_what_is_written_is_read_back(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("statistics")
    histogram = Histogram.of(values)
    statistics.write(folder, statistics.describe({"a": values}, {"a": histogram}, len(values)))
    read = statistics.read(folder)["a"]
    assert np.array_equal(read.edges, histogram.edges)
    assert np.array_equal(read.counts, histogram.counts)


def test_the_form_is_sagemakers():
    values = np.array([0.0, 1.0, 2.0])
    written = statistics.describe({"a": values, "none": values[:0]}, {"a": Histogram.of(values)}, 5)
    (feature,) = written["features"]
    numbers = feature["numerical_statistics"]
    assert (written["dataset"], feature["name"], feature["inferred_type"]) == ({"item_count": 5}, "a", "Fractional")
    assert numbers["common"] == {"num_present": 3, "num_missing": 2}
    assert (numbers["mean"], numbers["sum"], numbers["min"], numbers["max"]) == (1, 3, 0, 2)
    assert sum(bucket["count"] for bucket in numbers["distribution"]["kll"]["buckets"]) == 3


@pytest.mark.parametrize(
    "spoilt",
    ["", "[]", "{}", '{"features": [{}]}', '{"features": 5}', "[" * 50_000,
     '{"features": [{"name": "a", "numerical_statistics": {"mean": 1, "distribution": {"kll": {"buckets": []}}}}]}',
     '{"features": [{"name": "a", "numerical_statistics": {"mean": 1, "distribution": {"kll": {"buckets": '
     '[{"lower_bound": 5, "upper_bound": 1, "count": 3}]}}}}]}'],
)  # fmt: skip
def test_a_file_of_another_form_is_no_baseline(tmp_path, spoilt):
    (tmp_path / "statistics.json").write_text(spoilt)
    assert statistics.read(tmp_path) == {}


@given(st.lists(st.integers(0, 500), min_size=1, max_size=10).filter(any))
def test_stability_is_zero_against_itself_and_never_negative(counts):
    assert statistics.stability(counts, counts) == 0
    assert statistics.stability(counts, counts[::-1]) >= 0


def test_stability_is_the_sum_that_its_definition_says():
    want = (0.75 - 0.5) * math.log(0.75 / 0.5) + (0.25 - 0.5) * math.log(0.25 / 0.5)
    assert statistics.stability([50, 50], [30, 10]) == pytest.approx(want)


def test_chance_is_rarely_taken_for_a_difference():
    rng = np.random.default_rng(5)
    draws = ((rng.normal(size=100), rng.normal(size=rng.integers(30, 300))) for _ in range(300))
    p_values = np.array([_compare(before, now).p_value for before, now in draws])
    assert (p_values < 0.05).mean() < 0.09
    assert (p_values < 0.01).mean() < 0.03


def test_a_shift_of_one_deviation_is_seen_in_60_photos():
    rng = np.random.default_rng(6)
    found = _compare(rng.normal(size=100), rng.normal(1, size=60))
    assert found.psi > 0.25
    assert found.p_value < 0.0003
    assert found.mean - found.baseline_mean == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize(("before", "now"), [([3, 2, 0, 4], [1, 0, 2, 2]), ([5, 5], [0, 4]), ([2, 2, 2], [2, 2, 2])])
def test_the_p_value_is_the_share_of_all_divisions(before, now):
    values = np.repeat(np.arange(len(before)), np.add(before, now))
    edges = np.arange(len(before) + 1.0) - 0.5

    def distance(part):
        shares = [np.cumsum(np.bincount(of, minlength=len(before))) / len(of) for of in part]
        return np.abs(shares[0] - shares[1]).max()

    seen = distance([np.repeat(np.arange(len(counts)), counts) for counts in (before, now)])
    chosen = [list(rows) for rows in itertools.combinations(range(len(values)), sum(now))]
    as_far = [distance([np.delete(values, rows), values[rows]]) >= seen - 1e-12 for rows in chosen]
    found = statistics.difference(*(Histogram(edges, np.array(counts), 0.0) for counts in (before, now)))
    assert found.p_value == pytest.approx(np.mean(as_far), abs=1e-12)


def test_few_values_are_not_compared():
    baseline = {"a": Histogram.of(np.arange(50.0))}
    assert statistics.compare(baseline, {"a": np.arange(29.0), "b": np.arange(50.0)}) == {}


def test_a_column_of_equal_values_is_compared_all_the_same(tmp_path):
    same = np.zeros(40)
    assert _compare(same, same).p_value == 1
    statistics.write(tmp_path, statistics.describe({"a": same}, {"a": Histogram.of(same)}, 40))
    assert json.loads((tmp_path / "statistics.json").read_text())["dataset"]["item_count"] == 40


def _compare(before, now):
    baseline = Histogram.of(before)
    return statistics.difference(baseline, baseline.like(now))
