"""What another threshold would do: by hand, by strata, by class, and with intervals."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadingbay.errors import WorkError
from loadingbay.learning.threshold import Answer, Traffic, compare
from pipelines.costs import Costs

BOTH = ("bicycle", "motorcycle")


def costs(wrong=10.0, review=1.0, **by_class):
    return Costs({name: by_class.get(name, wrong) for name in BOTH}, review)


def answer(confidence, right=True, today=0.8, said="bicycle", **more):
    other = BOTH[said == "bicycle"]
    return Answer(said, said if right else other, confidence, confidence >= today and not more.get("unknown"), **more)


def traffic(answers, today=0.8, share=0.6, **by_class):
    return Traffic(answers, {name: by_class.get(name, today) for name in BOTH}, share)


MIXED = [answer(0.95), answer(0.9), answer(0.85, right=False), answer(0.7), answer(0.6, right=False)]


def test_costs_are_those_worked_out_by_hand():
    """Three of five accepted, one of them wrong: 2 looks and 1 mistake of 5 photos are 12 of 5, 2,400 of a thousand."""
    found = compare(traffic(MIXED), costs())
    assert found.today.cost == pytest.approx(2400)
    assert (found.today.accepted, found.today.precision) == (pytest.approx(0.6), pytest.approx(2 / 3))
    assert (found.best.threshold, found.best.cost, found.best.saving) == (0.9, pytest.approx(600), pytest.approx(1800))


def test_strata_count_by_their_share_of_the_stream():
    found = compare(traffic(MIXED, share=0.9), costs())
    assert found.today.cost == pytest.approx(1000 * (0.1 * 1 + 0.9 / 3 * 10))


def test_a_dear_review_lowers_the_threshold():
    assert compare(traffic(MIXED), costs(1.0, 100.0)).best.threshold == 0.6


def test_to_accept_nothing_is_among_the_choices():
    found = compare(traffic([answer(0.9, right=False), answer(0.5)]), costs(100.0))
    assert found.best.threshold == 1.01
    assert (found.best.accepted, found.best.precision, found.best.cost) == (0, None, pytest.approx(1000))


def test_unequal_costs_give_each_class_its_own_threshold():
    both = [*MIXED, answer(0.9, said="motorcycle"), answer(0.7, right=False, said="motorcycle")]
    found = compare(traffic(both), costs(bicycle=0.0))
    assert found.best.thresholds == {"bicycle": 0.6, "motorcycle": 0.8}
    assert [curve.answers for curve in found.curves] == ["bicycle", "motorcycle"]
    assert sum(min(cost for _, cost in curve.points) for curve in found.curves) == pytest.approx(found.best.cost)


def test_a_class_without_labels_keeps_its_threshold():
    found = compare(traffic(MIXED, motorcycle=0.93), costs(motorcycle=2.0))
    assert found.best.thresholds["motorcycle"] == 0.93


def test_what_shows_nothing_known_goes_to_a_person_at_any_threshold():
    found = compare(traffic([answer(0.9), answer(0.99, unknown=True)], share=0.5), costs(), [dict.fromkeys(BOTH, 0.0)])
    assert found.others[0].accepted == 0.5


def test_without_labels_of_accepted_answers_nothing_is_said():
    with pytest.raises(WorkError, match="no answer that was accepted has a label"):
        compare(traffic([answer(0.5)], share=0.5), costs())


def test_the_share_accepted_today_is_that_of_the_stream_without_doubt():
    found = compare(traffic(MIXED), costs(), [dict.fromkeys(BOTH, 0.65), dict.fromkeys(BOTH, 0.9)])
    assert found.today.accepted_interval == (pytest.approx(0.6), pytest.approx(0.6))
    lower, higher = found.others
    assert lower.accepted_interval[0] > 0.6  # what is accepted today stays so
    assert higher.accepted_interval[1] < 0.6
    assert (lower.accepted, higher.accepted) == (pytest.approx(0.8), pytest.approx(0.4))


def test_each_figure_lies_in_its_interval():
    answers = [answer(0.5 + n / 200, right=n % 7 > 0) for n in range(100)]
    found = compare(traffic(answers, share=0.4), costs())
    for point in (found.today, found.best):
        assert point.cost_interval[0] <= point.cost <= point.cost_interval[1]
        assert point.precision_interval[0] < point.precision <= point.precision_interval[1]
        assert point.saving_interval[0] <= point.saving <= point.saving_interval[1]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30), st.floats(0, 1))
def test_no_threshold_is_cheaper_than_the_cheapest(rows, today):
    answers = [answer(confidence, right, today) for confidence, right in rows]
    share = sum(one.accepted for one in answers) / len(answers)
    found = compare(traffic(answers, today, share), costs())
    by_hand = [
        1000 / len(answers) * sum((10.0 if one.truth != one.answer else 0.0) if one.confidence >= at else 1.0
                                  for one in answers)
        for at in itertools.chain((one.confidence for one in answers), [today, 1.01])
    ]  # fmt: skip
    assert found.best.cost == pytest.approx(min(by_hand), abs=1e-6)
    assert found.curves[0].interval[0] <= found.curves[0].interval[1]
