"""Shares of the whole stream from labels that come by strata."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.monitor.estimates import Stratum, combine, estimates


def answers(*rows):
    """(accepted, truth, wrong, source) each."""
    return pd.DataFrame(rows, columns=["accepted", "truth", "wrong", "source"])


def test_strata_count_by_their_share_of_all_answers():
    """80 accepted, of which 8 are labelled and all right; 20 not accepted, all labelled and half of them right."""
    table = answers(
        *[(True, "bicycle", False, "review")] * 8,
        *[(True, None, False, "")] * 72,
        *[(False, "bicycle", False, "review")] * 10,
        *[(False, "bicycle", True, "review")] * 10,
    )
    found = estimates(table)["accuracy"]
    assert found["value"] == pytest.approx(0.8 * 1 + 0.2 * 0.5)
    assert found["low"] < found["value"] < found["high"] < 1
    assert found["labelled"] == 28


def test_corrections_are_left_out_because_they_come_with_mistakes():
    table = answers(*[(True, "bicycle", False, "known")] * 9, *[(True, "bicycle", True, "correction")] * 9)
    assert estimates(table)["accepted_precision"]["value"] == 1.0


def test_a_part_without_labels_leaves_the_whole_unknown():
    table = answers((True, None, False, ""), (False, "neither", False, "review"))
    assert estimates(table) == {"accuracy": None, "accepted_precision": None, "neither_share": None}


def test_a_single_stratum_has_wilsons_interval():
    found = combine([Stratum(1.0, 10, 8)])
    assert (round(found["low"], 4), round(found["high"], 4)) == (0.4902, 0.9433)


@given(st.floats(0.01, 0.99), st.integers(1, 50), st.integers(1, 50), st.data())
def test_an_interval_holds_its_value_and_stays_a_share(weight, first, second, data):
    having = [data.draw(st.integers(0, count)) for count in (first, second)]
    found = combine([Stratum(weight, first, having[0]), Stratum(1 - weight, second, having[1])])
    assert 0 <= found["low"] <= found["value"] + 1e-12
    assert found["value"] - 1e-12 <= found["high"] <= 1


def test_the_interval_holds_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        accepted, unsure = rng.binomial(20, 0.95), rng.binomial(60, 0.6)
        found = combine([Stratum(0.8, 20, int(accepted)), Stratum(0.2, 60, int(unsure))])
        held += found["low"] <= 0.8 * 0.95 + 0.2 * 0.6 <= found["high"]
    assert held >= 0.93 * 400
