"""`compare`: a version beside the approved one, on the test photos and on the recent photos."""

import pytest

from loadingbay.learning.comparison import Paired, paired_tests

RIVAL = {"present": True, "comparable": True, "accuracy": 0.9, "photos_won": 3, "photos_lost": 1, "p_worse": 0.94}
EVALUATION = {"test": {"count": 200}, "gate": {"accuracy": 0.91}, "champion": RIVAL}


def test_both_tests_are_compared_where_both_were_made():
    recent = {"count": 40, "accuracy": 0.8, "champion": {**RIVAL, "accuracy": 0.6}}
    assert paired_tests({**EVALUATION, "recent": recent}) == (
        Paired("test photos", 200, 0.91, 0.9, 3, 1, 0.94),
        Paired("recent photos", 40, 0.8, 0.6, 3, 1, 0.94),
    )


def test_a_version_that_won_is_not_shown_with_the_p_of_being_worse():
    assert Paired("test photos", 48, 0.71, 0.56, 10, 3, 0.989).p == pytest.approx(0.092, abs=0.001)


def test_without_an_approved_version_or_recent_photos_there_is_none():
    assert paired_tests({**EVALUATION, "champion": {"present": False}, "recent": {"count": 0}}) == ()
    assert len(paired_tests(EVALUATION)) == 1
