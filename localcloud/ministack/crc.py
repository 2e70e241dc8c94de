"""CRC-32C and CRC-64/NVME by numpy: many equal stretches of the bytes at once, whose remainders are then joined.

Python's library has CRC-32 only, and a loop over single bytes takes about 0.1 s for a megabyte.
Sources: RFC 3720, appendix B.4; NVM Express NVM Command Set Specification 1.1, section 5.2.1.3.4.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

POLYNOMIALS = {"CRC32": (32, 0xEDB88320), "CRC32C": (32, 0x82F63B78), "CRC64NVME": (64, 0x9A6C9329AC4BC9B5)}
"""The bits of a checksum, and its polynomial with the bits in reverse order."""
_STRETCHES = 4096
_LEAST_BYTES = 16 * _STRETCHES
"""Fewer bytes than these are faster one by one."""
_MOST_BYTES = 4 * 1024 * 1024
"""As many are laid out for numpy at once, which copies them."""


def checksum(name: str, pieces: Iterable[Any]) -> int:
    """The checksum `name`, a key of POLYNOMIALS, of bytes that come in pieces."""
    bits, polynomial = POLYNOMIALS[name]
    ones = (1 << bits) - 1
    remainder = ones
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), _MOST_BYTES):
            remainder = _continued(remainder, view[start : start + _MOST_BYTES], bits, polynomial)
    return remainder ^ ones


def product(left: int, right: Any, bits: int, polynomial: int) -> Any:
    """The product of two polynomials over GF(2) modulo a third; the highest bit of each is the coefficient of x^0.

    `right` may be an array of them, of numpy's unsigned integers.
    """
    found = right & 0
    for bit in range(bits - 1, -1, -1):
        if left >> bit & 1:
            found = found ^ right
        right = right >> 1 ^ (right & 1) * polynomial
    return found


@lru_cache(1024)
def power_of_x(exponent: int, bits: int, polynomial: int) -> int:
    """x to a power, modulo the polynomial, by squaring."""
    power, square = 1 << bits - 1, 1 << bits - 2
    while exponent:
        if exponent & 1:
            power = product(power, square, bits, polynomial)
        square = product(square, square, bits, polynomial)
        exponent >>= 1
    return power


def _continued(remainder: int, data: memoryview, bits: int, polynomial: int) -> int:
    """The remainder after more bytes: of equal stretches at once, then of the few that are left one by one."""
    length = len(data) // _STRETCHES // 2 * 2 if len(data) >= _LEAST_BYTES else 0
    if length:
        remainder = _of_stretches(remainder, data[: length * _STRETCHES], length, bits, polynomial)
    table = _table(bits, polynomial)
    for byte in data[length * _STRETCHES :]:
        remainder = table[(remainder ^ byte) & 0xFF] ^ (remainder >> 8)
    return remainder


def _of_stretches(remainder: int, data: memoryview, length: int, bits: int, polynomial: int) -> int:
    """The remainder after _STRETCHES times `length` bytes, an even number."""
    import numpy as np

    table, number = _table_of_pairs(bits, polynomial), np.dtype(f"uint{bits}")
    # Row n holds the n-th two bytes of every stretch.
    pairs = np.ascontiguousarray(np.frombuffer(data, "<u2").reshape(_STRETCHES, length // 2).T)
    found = np.zeros(_STRETCHES, number)
    found[0] = remainder
    for row in pairs:
        found = table[(found ^ row) & 0xFFFF] ^ (found >> 16)
    while len(found) > 1:
        shifted = product(power_of_x(8 * length, bits, polynomial), found[::2], bits, number.type(polynomial))
        found = shifted ^ found[1::2]
        length *= 2
    return int(found[0])


@cache
def _table(bits: int, polynomial: int) -> tuple[int, ...]:
    """What a byte in the lowest place becomes when it has been shifted out."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (value & 1) * polynomial
        table.append(value)
    return tuple(table)


@cache
def _table_of_pairs(bits: int, polynomial: int) -> Any:
    """What two bytes become: an array of numpy."""
    import numpy as np

    single = np.array(_table(bits, polynomial), f"uint{bits}")
    once = single[np.arange(1 << 16) & 0xFF] ^ (np.arange(1 << 16, dtype=single.dtype) >> 8)
    return single[once & 0xFF] ^ (once >> 8)
