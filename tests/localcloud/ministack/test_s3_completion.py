"""The parts that CompleteMultipartUpload names, and what it makes of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.ministack.s3_completion import LEAST_PART_BYTES, PartError, chosen_parts

SIZES = st.integers(0, 3) | st.integers(LEAST_PART_BYTES - 1, LEAST_PART_BYTES + 1)


@given(
    stored=st.dictionaries(st.integers(1, 6), SIZES, min_size=1),
    named=st.lists(st.integers(1, 7), min_size=1, max_size=6),
)
def test_parts_are_taken_in_strict_order_and_large_but_the_last(stored: dict[int, int], named: list[int]) -> None:
    parts = {number: {"etag": f'"{number}"', "size": size, "checksums": {}} for number, size in stored.items()}
    request = [{"PartNumber": str(number), "ETag": str(number)} for number in named]
    ordered = named == sorted(set(named))
    there = ordered and set(named) <= set(stored)
    right = there and all(stored[number] >= LEAST_PART_BYTES for number in named[:-1])

    try:
        found: Any = [part["number"] for part in chosen_parts(request, parts)]
    except PartError as error:
        found = error.code

    refusal = "EntityTooSmall" if there else "InvalidPart" if ordered else "InvalidPartOrder"
    assert found == (named if right else refusal)


def test_another_checksum_than_the_parts_is_refused() -> None:
    stored = {1: {"etag": '"e"', "size": 1, "checksums": {"CRC32": "a"}}}

    assert chosen_parts([{"PartNumber": "1", "ETag": "e", "ChecksumCRC32": "a"}], stored)
    with pytest.raises(PartError):
        chosen_parts([{"PartNumber": "1", "ETag": "e", "ChecksumCRC32": "b"}], stored)
