"""What another threshold would cost: by hand, by strata, and with an interval."""

import itertools

import pytest
from click import UsageError
from hypothesis import given
from hypothesis import strategies as st

from loadingbay.commands.threshold import _costs
from loadingbay.errors import WorkError
from loadingbay.learning.threshold import Answer, Costs, compare

COSTS = Costs(1.0, 10.0, {})


def answer(confidence, right=True, today=0.8, **more):
    truth = "bicycle" if right else "motorcycle"
    return Answer("bicycle", truth, confidence, confidence >= today and not more.get("unknown"), **more)


MIXED = [answer(0.95), answer(0.9), answer(0.85, right=False), answer(0.7), answer(0.6, right=False)]


def test_costs_are_those_worked_out_by_hand():
    """Three of five accepted, one of them wrong: 2 looks and 1 mistake of 5 photos are 12 of 5, 2,400 of a thousand."""
    found = compare(MIXED, 0.8, 0.6, COSTS)
    assert found.today.cost == pytest.approx(2400)
    assert (found.today.accepted, found.today.precision) == (pytest.approx(0.6), pytest.approx(2 / 3))
    assert (found.best.threshold, found.best.cost) == (0.9, pytest.approx(600))


def test_strata_count_by_their_share_of_the_stream():
    found = compare(MIXED, 0.8, 0.9, COSTS)
    assert found.today.cost == pytest.approx(1000 * (0.1 * 1 + 0.9 / 3 * 10))


def test_a_dear_review_lowers_the_threshold():
    assert compare(MIXED, 0.8, 0.6, Costs(100.0, 1.0, {})).best.threshold == 0.6


def test_costs_may_differ_by_the_class_that_was_answered():
    assert compare(MIXED, 0.8, 0.6, Costs(1.0, 10.0, {"bicycle": 0.0})).best.cost == 0


def test_what_shows_nothing_known_goes_to_a_person_at_any_threshold():
    found = compare([answer(0.9), answer(0.99, unknown=True)], 0.8, 0.5, COSTS)
    assert all(point.accepted <= 0.5 for point in found.points if point.threshold >= 0)


def test_without_labels_of_accepted_answers_nothing_is_said():
    with pytest.raises(WorkError, match="no answer that was accepted has a label"):
        compare([answer(0.5)], 0.8, 0.5, COSTS)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30), st.floats(0, 1))
def test_no_threshold_is_cheaper_than_the_cheapest(rows, today):
    answers = [answer(confidence, right, today) for confidence, right in rows]
    share = sum(one.accepted for one in answers) / len(answers)
    found = compare(answers, today, share, COSTS)
    by_hand = [
        1000 / len(answers) * sum((10.0 if one.truth != one.answer else 0.0) if one.confidence >= at else 1.0
                                  for one in answers)
        for at in itertools.chain((one.confidence for one in answers), [today])
    ]  # fmt: skip
    assert found.best.cost == pytest.approx(min(by_hand), abs=1e-6)
    assert found.interval[0] <= found.interval[1]


def test_costs_are_read_by_class_and_what_is_none_is_refused():
    assert _costs("5,motorcycle=20") == (5.0, {"motorcycle": 20.0})
    for wrong in ("-1", "a", "motorcycle=", "inf"):
        with pytest.raises(UsageError, match="is no cost"):
            _costs(wrong)
