"""What thresholds cost on the test photos, against the definition photo by photo."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadingbay.registry.cost_curve import cost_curve

_ANSWERS = st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1, max_size=30)


@given(_ANSWERS, st.floats(0, 100), st.floats(0, 10))
@example([(1.0, False)], 17.0, 2.9e-12)
def test_a_cost_is_the_sum_over_the_photos(answers, wrong, review):
    evaluation = {"confidences": [c for c, _ in answers], "correct": [r for _, r in answers]}
    for threshold, cost in cost_curve(evaluation, wrong, review):
        each = [review if c < threshold else (0 if right else wrong) for c, right in answers]
        assert cost == pytest.approx(1000 * sum(each) / len(each))


def test_a_long_curve_is_thinned_out_and_keeps_its_ends():
    evaluation = {"confidences": [0.5 + n / 4000 for n in range(1999)], "correct": [True] * 1999}
    curve = cost_curve(evaluation, 10, 1)
    assert len(curve) == 200
    assert curve[0] == (0.5, 0.0)
    assert curve[-1] == pytest.approx((1.01, 1000.0))


def test_without_answers_there_is_no_curve():
    assert cost_curve({}, 10, 1) == cost_curve({"confidences": [0.9]}, 10, 1) == []
