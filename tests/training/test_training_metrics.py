"""Figures against small cases worked by hand, and against scikit-learn where it has them."""

import metrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, fbeta_score, log_loss, precision_recall_fscore_support

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]], np.float32)
LABELS = np.array([0, 1, 1, 1])


def test_nll_and_brier_agree_with_scikit_learn() -> None:
    assert metrics.nll(P, LABELS) == pytest.approx(log_loss(LABELS, P[:, 1].astype(float)), rel=1e-6)
    # scikit-learn's Brier score of two classes counts one of them.
    assert metrics.brier(P, LABELS) == pytest.approx(2 * brier_score_loss(LABELS, P[:, 1].astype(float)), rel=1e-6)


def test_a_certain_and_wrong_answer_has_a_finite_nll() -> None:
    assert np.isfinite(metrics.nll(np.array([[1.0, 0.0]]), np.array([1])))


def test_ece_is_the_weighted_gap() -> None:
    # Bins: 0.6 (wrong), 0.7 (right), 0.8 (right), 0.9 (right).
    assert metrics.ece(P, LABELS) == pytest.approx((0.6 + 0.3 + 0.2 + 0.1) / 4, abs=1e-6)


def test_risk_coverage_by_hand() -> None:
    coverage, risk = metrics.risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert metrics.aurc(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True])) == pytest.approx(7 / 48)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40), st.randoms())
def test_risk_coverage_does_not_depend_on_the_order_of_equals(rows: list[tuple[int, bool]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' random.Random
    one, other = (
        metrics.risk_coverage(np.array([r[0] for r in some], float), np.array([r[1] for r in some]))[1]
        for some in (rows, shuffled)
    )
    assert np.allclose(one, other)


def test_nothing_accepted_has_precision_nought() -> None:
    assert metrics.accepted(P, LABELS, 0.99) == {"coverage": 0.0, "accepted_precision": 0.0}
    assert metrics.accepted(P, LABELS, 0.7) == {"coverage": 0.75, "accepted_precision": 1.0}


def test_worst_mistakes_come_most_confident_first_and_at_most_so_many() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    wrong = metrics.worst_mistakes(probabilities, np.array([1, 1, 0]), ["a", "b"], most=2)
    assert wrong == [
        {"record": 0, "label": "b", "answer": "a", "confidence": 0.9},
        {"record": 2, "label": "a", "answer": "b", "confidence": 0.7},
    ]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_scores_are_those_of_scikit_learn_whatever_was_answered(rows: list[tuple[int, int]]) -> None:
    labels, predicted = np.array(rows).T
    found, asked = metrics.scores(labels, predicted, 4), {"labels": range(4), "zero_division": 0.0}
    for mean, prefix in (("weighted", "weighted_"), ("macro", "")):
        wanted = precision_recall_fscore_support(labels, predicted, average=mean, **asked)[:3]
        assert [found[f"{prefix}{name}"] for name in ("precision", "recall", "f1")] == pytest.approx(wanted)
    for name, beta in (("f0_5", 0.5), ("f2", 2)):
        wanted = fbeta_score(labels, predicted, beta=beta, average="weighted", **asked)
        assert found[f"weighted_{name}"] == pytest.approx(wanted)
    assert found["accuracy"] == (labels == predicted).mean()


def test_a_class_that_is_never_answered_does_not_spoil_the_scores() -> None:
    scores = metrics.scores(np.array([0, 1, 2]), np.array([0, 1, 1]), 3)
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["precision"] == pytest.approx(0.5)
    assert set(scores) >= {"weighted_precision", "weighted_recall", "weighted_f0_5", "weighted_f1", "weighted_f2"}


def test_deviations_shrink_with_more_photos() -> None:
    labels = np.tile([0, 1], 50)
    predicted = np.where(np.arange(100) % 10 == 0, 1 - labels, labels)
    few = metrics.with_deviations(labels, predicted, 2)["accuracy"]
    many = metrics.with_deviations(np.tile(labels, 16), np.tile(predicted, 16), 2)["accuracy"]
    assert few["value"] == many["value"] == pytest.approx(0.9)
    assert few["standard_deviation"] == pytest.approx(0.03, abs=0.008)
    assert many["standard_deviation"] == pytest.approx(0.0075, abs=0.002)
