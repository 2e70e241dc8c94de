"""The values, ranges and choices that the options of a search mean, and what is refused as neither."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadingbay.tuning.space import Dimension, defaults_within, parse
from pipelines.parameters import BY_NAME, Parameter

RATE, BATCH = BY_NAME["LearningRate"], BY_NAME["BatchSize"]


def dimension(parameter: Parameter, text: str) -> Dimension:
    parsed = parse(parameter, text)
    assert isinstance(parsed, Dimension)
    return parsed


def test_one_value_is_not_searched():
    assert parse(RATE, "0.03") == 0.03
    assert parse(BATCH, "16") == 16


def test_a_range_is_searched_between_its_bounds_on_a_logarithmic_scale():
    distribution: Any = dimension(RATE, "0.01:0.2").distribution()
    assert (distribution.low, distribution.high, distribution.log) == (0.01, 0.2, True)


def test_a_range_of_whole_numbers_gives_whole_numbers():
    distribution: Any = dimension(BATCH, "8:64").distribution()
    assert (distribution.low, distribution.high) == (8, 64)
    assert isinstance(distribution.to_external_repr(10.0), int)


def test_choices_are_what_is_chosen_from():
    distribution: Any = dimension(BATCH, "16, 32,64").distribution()
    assert distribution.choices == (16, 32, 64)


@pytest.mark.parametrize(
    ("parameter", "text", "says"),
    [
        (RATE, "0.2:0.01", "--learning-rate 0.2:0.01: a range is LOW:HIGH"),
        (RATE, "0.1:0.1", "a range is LOW:HIGH"),
        (RATE, "0.1:0.2:0.3", "a range is LOW:HIGH"),
        (RATE, "0.1:", "--learning-rate : must be a number"),
        (RATE, "0.1:11", "--learning-rate 11: must be 1e-06 to 10"),
        (BATCH, "16,16", "--batch-size 16,16: a value stands there twice"),
        (BATCH, "16,x", "--batch-size x: must be a whole number"),
        (BATCH, "1:8", "--batch-size 1: must be 2 to 1,024"),
        (BATCH, "0", "--batch-size 0: must be 2 to 1,024"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name_and_text(parameter, text, says):
    with pytest.raises(ValueError, match=says):
        parse(parameter, text)


@given(st.floats(1e-6, 10), st.floats(1e-6, 10))
def test_a_range_holds_its_bounds_and_what_lies_between(one, other):
    low, high = sorted((one, other))
    if low < high:
        searched = dimension(RATE, f"{low}:{high}")
        assert low in searched
        assert high in searched
        assert min(math.sqrt(low) * math.sqrt(high), high) in searched
        assert high * 1.01 not in searched


def test_the_defaults_are_tried_first_only_where_all_are_in_the_space():
    space = {"LearningRate": dimension(RATE, "0.01:0.2"), "BatchSize": dimension(BATCH, "16,32")}
    assert defaults_within(space) == {"LearningRate": RATE.default, "BatchSize": BATCH.default}
    assert defaults_within(space | {"BatchSize": dimension(BATCH, "8,16")}) is None
