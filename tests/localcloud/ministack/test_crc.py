"""CRCs by numpy, beside Python's own and the check values of the standards."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.ministack.crc import POLYNOMIALS, checksum


@pytest.mark.parametrize(("name", "expected"), [("CRC32C", 0xE3069283), ("CRC64NVME", 0xAE8B14860A799888)])
def test_the_check_value_is_that_of_the_standard(name: str, expected: int) -> None:
    assert checksum(name, [b"123456789"]) == expected


# 65,536 bytes and more are computed in stretches.
@given(size=st.integers(0, 200_000), cut=st.integers(0, 200_000), seed=st.binary(min_size=1, max_size=9))
def test_bytes_of_any_length_and_in_pieces_have_pythons_crc(size: int, cut: int, seed: bytes) -> None:
    data = (seed * (size // len(seed) + 1))[:size]

    assert checksum("CRC32", [data[:cut], data[cut:]]) == zlib.crc32(data)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_many_bytes_at_once_have_the_crc_of_few_at_a_time(name: str) -> None:
    data = bytes(range(251)) * 400

    assert checksum(name, [data]) == checksum(name, [data[at : at + 1000] for at in range(0, len(data), 1000)])
