"""Reads numbers that people write, in ASCII digits: Python also takes `1_0` and the digits of every other script."""

from __future__ import annotations


def whole(text: str | float) -> int:
    """Return the whole number that a text means. ValueError for any other text."""
    return int(_plain(text))


def number(text: str | float) -> float:
    """Return the number that a text means; infinity and "not a number" are for the caller. ValueError for no number."""
    return float(_plain(text))


def _plain(text: str | float) -> str:
    """Return the text itself. ValueError for what Python's readers of numbers take beside numbers in ASCII digits."""
    written = str(text)
    if not written.isascii() or "_" in written:
        raise ValueError(f"{written} is not a number in the digits 0 to 9")
    return written
