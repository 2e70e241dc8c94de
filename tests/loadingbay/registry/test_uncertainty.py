"""Intervals of figures: they cover what they should, and say nothing where there is nothing to say."""

import numpy as np
import pytest
from scipy import stats

from loadingbay.registry import comparison, uncertainty


def _evaluation(rng, count=400, skill=1.0, data="d"):
    """An evaluation of a model whose confidence is honest, but for a factor."""
    truth = rng.uniform(0.5, 1, count)
    right = rng.uniform(size=count) < truth
    confidence = np.clip(0.5 + (truth - 0.5) * skill, 0.5, 0.999)
    return {
        "confidences": confidence.tolist(),
        "correct": right.tolist(),
        "test": {"count": count},
        "metadata": {"classes": "a b", "data_sha256": data},
        **_figures(confidence, right),
    }


def _figures(confidence, right):
    """The figures by their definitions, photo by photo."""
    of_truth = np.where(right, confidence, 1 - confidence)
    place = np.minimum((confidence * 10).astype(int), 9)
    bins = [place == b for b in range(10) if (place == b).any()]
    ece = sum(abs(confidence[b].mean() - right[b].mean()) * b.sum() for b in bins) / len(right)
    wrong = np.cumsum(~right[np.argsort(-confidence)])
    aurc = float((wrong / np.arange(1, len(right) + 1)).mean())
    return {"calibration": {"nll": -np.log(of_truth).mean(), "ece": ece}, "risk_coverage": {"aurc": aurc}}


@pytest.mark.parametrize("path", [uncertainty.NLL, uncertainty.AURC])
def test_an_interval_covers_the_true_figure_nineteen_times_in_twenty(path):
    rng = np.random.default_rng(1)
    big = _evaluation(rng, 400_000)
    truth = big[path[0]][path[1]]
    found = [uncertainty.interval(_evaluation(rng), path) for _ in range(200)]
    covered = sum(low <= truth <= high for low, high in found)
    assert 0.88 <= covered / 200 <= 0.99


def test_of_the_same_photos_the_same_are_drawn():
    evaluation = _evaluation(np.random.default_rng(2))
    low, high = uncertainty.of_difference(evaluation, evaluation, uncertainty.NLL)
    assert low == high == 0


def test_a_model_that_overstates_is_told_from_an_honest_one():
    one, other = (_evaluation(np.random.default_rng(3), 1000, skill) for skill in (1.0, 1.9))
    verdicts = {row.figure.path: row.values[1].verdict for row in comparison.rows([one, other])}
    assert verdicts[uncertainty.NLL] == verdicts[uncertainty.ECE] == "more than noise"


def test_figures_of_other_photos_are_compared_by_their_intervals():
    rng = np.random.default_rng(4)
    one, other = _evaluation(rng), _evaluation(rng, data="other")
    verdicts = {row.figure.path: row.values[1] for row in comparison.rows([one, other])}
    assert verdicts[uncertainty.NLL].verdict == "within noise"
    assert verdicts[uncertainty.NLL].why.startswith("difference ")


def test_a_figure_whose_answers_were_not_all_kept_has_no_interval():
    evaluation = _evaluation(np.random.default_rng(5)) | {"test": {"count": 5000}}
    assert uncertainty.interval(evaluation, uncertainty.NLL) is None


def test_the_likelihood_of_three_classes_has_no_interval():
    evaluation = _evaluation(np.random.default_rng(6)) | {"metadata": {"classes": "a b c"}}
    assert uncertainty.interval(evaluation, uncertainty.NLL) is None
    assert uncertainty.interval(evaluation, uncertainty.ECE) is not None


@pytest.mark.parametrize(("having", "count"), [(0, 10), (3, 40), (440, 440)])
def test_the_share_of_strangers_has_wilsons_interval(having, count):
    evaluation = {
        "gate": {"out_of_distribution_accepted": having / count},
        "out_of_distribution": {"photos": {"count": count}, "drawn": {"count": 7}},
    }
    expected = stats.binomtest(having, count).proportion_ci(0.95, method="wilson")
    found = uncertainty.interval(evaluation, ("gate", "out_of_distribution_accepted"))
    assert found == (pytest.approx(expected.low, abs=1e-6), pytest.approx(expected.high, abs=1e-6))


def test_an_area_under_the_roc_curve_has_hanleys_interval():
    # Hanley and McNeil 1982: area 0.893 of 51 and 58 cases has the standard error 0.032 or so.
    low, high = uncertainty.hanley_mcneil(0.893, 51, 58)
    assert (high - low) / 2 / 1.96 == pytest.approx(0.032, abs=1e-3)
