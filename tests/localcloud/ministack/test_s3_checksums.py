"""Checksums of objects that were uploaded in parts."""

import base64
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.ministack import s3_checksums


def in_base64(number: int, size: int) -> str:
    return base64.b64encode(number.to_bytes(size, "big")).decode()


def crc64nvme(body: bytes) -> int:
    """CRC-64/NVME bit by bit; that of `123456789` is ae8b14860a799888."""
    crc = 2**64 - 1
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    return crc ^ 2**64 - 1


@pytest.mark.parametrize(("algorithm", "compute", "size"), [("CRC32", zlib.crc32, 4), ("CRC64NVME", crc64nvme, 8)])
@given(parts=st.lists(st.binary(max_size=60), min_size=1, max_size=6))
def test_a_whole_objects_checksum_follows_from_its_parts(
    algorithm: str, compute: Callable[[bytes], int], size: int, parts: list[bytes]
) -> None:
    known = [(in_base64(compute(part), size), len(part)) for part in parts]

    found = s3_checksums.of_parts(algorithm, "FULL_OBJECT", known, lambda *_: None)

    assert found == in_base64(compute(b"".join(parts)), size)


def test_the_reference_checksum_is_that_of_the_standard() -> None:
    assert crc64nvme(b"123456789") == 0xAE8B14860A799888


def test_a_composite_checksum_is_that_of_the_parts_checksums() -> None:
    parts = [(in_base64(1, 4), 10), (in_base64(2, 4), 20)]

    found = s3_checksums.of_parts("CRC32", "COMPOSITE", parts, lambda _, body: in_base64(zlib.crc32(body), 4))

    assert found == in_base64(zlib.crc32(b"\0\0\0\1\0\0\0\2"), 4) + "-2"


@pytest.mark.parametrize(
    ("kind", "algorithm", "right"),
    [
        ("FULL_OBJECT", "CRC32", True), ("COMPOSITE", "SHA256", True), (None, "SHA1", True), (None, None, True),
        ("FULL_OBJECT", "SHA256", False), ("COMPOSITE", "CRC64NVME", False), ("HALF", "CRC32", False),
        ("FULL_OBJECT", None, False),
    ],
)  # fmt: skip
def test_a_type_that_an_algorithm_does_not_have_is_refused(kind: Any, algorithm: Any, right: bool) -> None:
    headers = {"x-amz-checksum-type": kind, "x-amz-checksum-algorithm": algorithm}
    given_headers = {name: value for name, value in headers.items() if value}

    assert (s3_checksums.wrong_type_of_checksum(given_headers) is None) == right
