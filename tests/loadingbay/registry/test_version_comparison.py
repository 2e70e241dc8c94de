"""Whether versions differ by more than noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loadingbay.registry import comparison


def _evaluation(accuracy, interval, correct=(), data="d"):
    """An evaluation.json with one figure and its answers."""
    return {
        "gate": {"accuracy": accuracy},
        "confidence_intervals": {"accuracy": list(interval)},
        "correct": list(correct),
        "test": {"count": len(correct)},
        "metadata": {"data_sha256": data, "classes": "a b"},
    }


def _verdict(first, other):
    (row,) = comparison.rows([first, other])
    return row.values[1].verdict


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_of_the_discordant_photos(won, lost):
    expected = stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert comparison.mcnemar(won, lost) == pytest.approx(expected)


def test_newcombe_gives_the_example_of_his_paper():
    # Newcombe 1998, table II, (a): 56 of 70 against 48 of 80, method 10: 0.0524 to 0.3339.
    low, high = comparison.difference(48 / 80, (0.4904, 0.7004), 56 / 70, (0.6919, 0.8770))
    assert (low, high) == (pytest.approx(0.0524, abs=2e-3), pytest.approx(0.3339, abs=2e-3))


def test_the_same_photos_are_compared_one_by_one():
    better = _evaluation(0.93, (0.86, 0.97), [True] * 93 + [False] * 7)
    worse = _evaluation(0.83, (0.74, 0.89), [True] * 83 + [False] * 17)
    assert _verdict(worse, better) == "more than noise"
    assert _verdict(better, better) == "within noise"


def test_other_photos_are_compared_by_their_intervals():
    one = _evaluation(0.93, (0.86, 0.97), [True] * 93 + [False] * 7)
    other = _evaluation(0.90, (0.83, 0.94), [True] * 90 + [False] * 10, data="other")
    far = _evaluation(0.60, (0.50, 0.69), [True] * 60 + [False] * 40, data="other")
    assert _verdict(one, other) == "within noise"
    assert _verdict(one, far) == "more than noise"


def test_a_figure_without_an_interval_gets_no_verdict():
    one, other = {"calibration": {"ece": 0.04}}, {"calibration": {"ece": 0.4}}
    assert _verdict(one, other) == ""


def test_a_version_without_an_evaluation_has_no_figures():
    assert comparison.rows([{}, {}]) == []
    (row,) = comparison.rows([_evaluation(0.9, (0.8, 0.95)), {}])
    assert row.values[1].value is None
