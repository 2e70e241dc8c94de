"""Temperature, bounds and threshold against known answers and against their definitions."""

import calibration
import metrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom


def test_temperature_undoes_a_known_scaling() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2, (20_000, 3))
    chances = np.exp(truth) / np.exp(truth).sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert calibration.fit_temperature(truth * 3.0, labels) == pytest.approx(3.0, rel=0.05)


@settings(max_examples=50)
@given(st.integers(0, 2**31), st.integers(2, 5), st.floats(0.2, 8))
def test_no_other_temperature_is_better(seed: int, classes: int, other: float) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 3, (60, classes)), rng.integers(0, classes, 60)
    fitted = calibration.fit_temperature(logits, labels)
    assert calibration.nll_at(logits, labels, fitted) <= calibration.nll_at(logits, labels, other) + 1e-6


def test_a_logit_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        calibration.fit_temperature(np.array([[np.nan, 0.0]]), np.array([0]))


@pytest.mark.parametrize(
    ("right", "accepted", "level", "bound"),
    [(0, 0, 0.95, 0.0), (0, 10, 0.95, 0.0), (10, 10, 0.95, 0.05 ** (1 / 10)), (100, 100, 0.9, 0.1 ** (1 / 100)),
     (95, 100, 0.975, 0.88717)],
)  # fmt: skip
def test_the_bound_is_clopper_and_pearsons(right: int, accepted: int, level: float, bound: float) -> None:
    found = calibration.precision_lower_bounds(np.array([right]), np.array([accepted]), level)
    assert found[0] == pytest.approx(bound, abs=1e-5)


@settings(max_examples=100)
@given(st.integers(1, 400), st.data())
def test_a_precision_at_the_bound_would_rarely_have_looked_this_good(accepted: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(1, accepted))
    bound = float(calibration.precision_lower_bounds(np.array([right]), np.array([accepted]), 0.9)[0])
    assert bound < right / accepted or right == accepted
    assert binom.sf(right - 1, accepted, bound) == pytest.approx(0.1, abs=1e-6)


def test_more_right_than_accepted_is_refused() -> None:
    with pytest.raises(ValueError, match="more answers are right"):
        calibration.precision_lower_bounds(np.array([3]), np.array([2]), 0.9)


def test_the_bound_asks_for_more_than_the_point_estimate() -> None:
    confidence = np.linspace(1, 0.5, 200)
    right = np.ones(200, bool)
    right[60::10] = False
    by_point = calibration.fit_threshold(confidence, right, 0.95, 0.5000001)
    by_bound = calibration.fit_threshold(confidence, right, 0.95, 0.95)
    assert by_bound.coverage < by_point.coverage
    assert by_bound.accepted_precision >= by_bound.lower_bound >= 0.95


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(50, 100), st.booleans()), min_size=1, max_size=80), st.floats(0.5, 0.99))
def test_the_threshold_is_the_lowest_that_qualifies(rows: list[tuple[int, bool]], target: float) -> None:
    confidence = np.array([row[0] / 100 for row in rows])
    right = np.array([row[1] for row in rows])
    found = calibration.fit_threshold(confidence, right, target, 0.9)

    def bound_at(threshold: float) -> float:
        taken = confidence >= threshold
        return float(
            calibration.precision_lower_bounds(right[taken].sum(keepdims=True), taken.sum(keepdims=True), 0.9)[0]
        )

    qualified = [value for value in sorted(set(confidence)) if bound_at(value) >= target]
    assert found.target_met == bool(qualified)
    if qualified:
        assert found.value == qualified[0]
    else:
        assert found.lower_bound == max(bound_at(value) for value in set(confidence))
    assert found.coverage == np.mean(confidence >= found.value)
    assert found.accepted_precision == pytest.approx(right[confidence >= found.value].mean())


def test_equal_confidences_are_accepted_together() -> None:
    found = calibration.fit_threshold(np.full(100, 0.9), np.arange(100) >= 2, 0.97, 0.9)
    assert found.coverage == 1.0
    assert not found.target_met


def test_no_predictions_make_no_threshold() -> None:
    with pytest.raises(ValueError, match="do not make a threshold"):
        calibration.fit_threshold(np.array([]), np.array([], bool), 0.97, 0.9)


_JUDGED = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=60)
@given(_JUDGED, st.floats(0, 100), st.floats(0, 10))
def test_no_threshold_costs_less_than_the_cheapest(rows: list[tuple[float, bool]], loss: float, review: float) -> None:
    confidence, right = (np.array(column) for column in zip(*rows, strict=True))
    losses = np.where(right, 0.0, loss)
    found = calibration.fit_cost_threshold(confidence, losses, review)
    by_hand = [1000 * np.where(confidence >= at, losses, review).mean() for at in (*confidence, 1.01)]
    assert found.cost == pytest.approx(min(by_hand), abs=1e-6)
    assert found.interval[0] <= found.interval[1]


def test_dear_mistakes_among_the_surest_accept_nothing() -> None:
    found = calibration.fit_cost_threshold(np.array([0.6, 0.9, 1.0]), np.array([0.0, 0.0, 100.0]), 1.0)
    assert (found.value, found.cost) == (metrics.ACCEPT_NOTHING, 1000)


def test_free_mistakes_accept_everything() -> None:
    assert calibration.fit_cost_threshold(np.array([0.6, 0.9]), np.zeros(2), 1.0).value == 0.6


def test_the_cheapest_threshold_of_honest_confidence_is_the_break_even() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.5, 1, 50_000)
    losses = np.where(rng.random(50_000) < confidence, 0.0, 10.0)
    found = calibration.fit_cost_threshold(confidence, losses, 1.0)
    assert found.value == pytest.approx(calibration.cheapest_unseen(10, 1), abs=0.03)
    assert found.interval[0] <= found.value <= found.interval[1]


def test_no_answers_make_no_cheapest_threshold() -> None:
    with pytest.raises(ValueError, match="0 confidences and 0 losses"):
        calibration.fit_cost_threshold(np.array([]), np.array([]), 1.0)
