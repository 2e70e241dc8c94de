"""Items of Map states, and batches of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.ministack.asl import maps
from localcloud.ministack.asl.errors import StateError


@given(st.lists(st.text(max_size=20), max_size=40), st.integers(0, 5), st.integers(60, 200))
def test_batches_have_all_items_in_order_within_their_limits(items: list[str], most: int, largest: int) -> None:
    batcher = {"MaxItemsPerBatch": most, "MaxInputBytesPerBatch": largest}
    try:
        made = maps.batches(batcher, items, None)
    except StateError:
        assert any(len(json.dumps(item)) > largest - 13 for item in items)
        return

    assert [item for batch in made for item in batch["Items"]] == items
    assert all(0 < len(batch["Items"]) <= (most or len(items)) for batch in made)
    assert all(len(json.dumps(batch, separators=(",", ":"))) <= largest for batch in made)


def test_each_batch_has_the_input_of_all() -> None:
    made = maps.batches({"MaxItemsPerBatch": 2}, [1, 2, 3], {"k": 1})

    assert made == [{"BatchInput": {"k": 1}, "Items": [1, 2]}, {"BatchInput": {"k": 1}, "Items": [3]}]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ({}, {}),
        (
            {"MaxConcurrency": 3, "ToleratedFailurePercentagePath": "$.half"},
            {"MaxConcurrency": 3, "ToleratedFailurePercentage": 0.5},
        ),
        ({"MaxConcurrencyPath": "$.none"}, {"MaxConcurrency": 0}),
    ],
)
def test_numbers_are_written_or_found(state: dict[str, Any], found: dict[str, Any]) -> None:
    assert maps.numbers(state, {"half": 0.5, "none": 0}, None) == found


@pytest.mark.parametrize("value", [True, "3", 1.5, None, -1])
def test_what_is_no_number_fails_the_map(value: Any) -> None:
    with pytest.raises(StateError, match=r"States\.Runtime"):
        maps.numbers({"ToleratedFailureCountPath": "$.n"}, {"n": value}, None)
