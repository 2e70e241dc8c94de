"""Which shares fell below those on the test photos, from labels that come by strata, and in which words."""

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.monitor.estimates import Stratum, combine, estimates
from processing.monitor.violations import effective, find
from processing.statistics import Difference

TESTED: Any = {"test": {"count": 150}, "gate": {"accuracy": 0.9, "coverage": 0.8, "accepted_precision": 1.0}}


def stream(*strata):
    """The figures of a stream made of strata.

    Each stratum is (count, accepted, labels that are right, labels that are wrong, source).
    """
    rows = []
    for count, accepted, right, wrong, source in strata:
        rows += [(accepted, "bicycle", False, source)] * right + [(accepted, "bicycle", True, source)] * wrong
        rows += [(accepted, None, False, "")] * (count - right - wrong)
    table = pd.DataFrame(rows, columns=["accepted", "truth", "wrong", "source"])
    return {"count": len(table), "share_above": float(table["accepted"].mean()), "estimates": estimates(table)}


def names(found):
    return [one["feature_name"] for one in find(found, {}, TESTED)]


def test_labels_of_unsure_answers_alone_do_not_lower_the_accuracy():
    """0.8 of the stream is accepted and right, half of the others are right: 0.9, as on the test photos."""
    found = stream((400, True, 40, 0, "review"), (100, False, 50, 50, "review"))
    assert names(found) == []


def test_reports_of_wrong_bays_alone_do_not_lower_the_precision():
    found = stream((392, True, 40, 0, "review"), (8, True, 0, 8, "correction"), (100, False, 50, 50, "review"))
    assert names(found) == []


def test_a_stream_that_is_wrong_more_often_is_named_with_both_shares():
    found = stream((400, True, 60, 60, "review"), (100, False, 20, 80, "review"))
    accuracy, precision = find(found, {}, TESTED)
    assert accuracy["description"] == (
        "accuracy fell from 0.90 of 150 test photos to 0.44 of the stream by 220 labels (p below 0.0001)"
    )
    assert precision["feature_name"] == "accepted_precision"


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (0.089, "fell from 0.177 to 0.089 in the mean of 60 photos"),
        (0.3, "rose from 0.177 to 0.300 in the mean of 60 photos"),
        (0.1770001, "is spread otherwise, around the same mean of 0.177 in 60 photos"),
    ],
)
def test_a_column_that_differs_is_named_with_both_means(now, said):
    (one,) = find(stream((60, True, 0, 0, "")), {"sharpness": Difference(1.3, 0.0001, 60, now, 0.177)}, None)
    assert one["description"].startswith(f"sharpness {said}")
    assert one["description"].endswith("(population stability index 1.30, p 0.0001)")


@given(st.integers(1, 300), st.data())
def test_a_simple_random_sample_counts_as_many_labels_as_it_has(count, data):
    having = data.draw(st.integers(0, count))
    assert effective(combine([Stratum(1.0, count, having)])) == pytest.approx(count, rel=1e-3)


def test_labels_of_uneven_strata_count_for_less():
    found = combine([Stratum(0.9, 5, 5), Stratum(0.1, 95, 40)])
    assert 5 < effective(found) < 30


RECENT: Any = {**TESTED, "recent": {"count": 40, "accuracy": 0.7, "coverage": 0.3, "accepted_precision": 1.0}}


def test_a_version_with_a_recent_test_is_compared_with_that():
    """0.3 accepted and 0.65 right: as on the recent photos, far below the old ones."""
    found = stream((60, True, 20, 0, "review"), (140, False, 70, 70, "review"))
    assert names(found) == ["accepted_share", "accuracy"]
    assert find(found, {}, RECENT) == []


def test_fewer_accepted_than_of_the_recent_photos_is_named():
    (one,) = find(stream((4, True, 4, 0, "review"), (196, False, 140, 56, "review")), {}, RECENT)
    assert one["description"].startswith("accepted share fell from 0.30 of 40 recent test photos to 0.02 of 200 photos")


def test_a_stream_surer_than_the_recent_photos_has_not_changed():
    surer = {"confidence": Difference(1.0, 0.00001, 60, 0.9, 0.8)}
    assert [one["feature_name"] for one in find(stream((60, True, 0, 0, "")), surer, TESTED)] == ["confidence"]
    assert find(stream((60, True, 0, 0, "")), surer, RECENT) == []
