"""Labelled photos on their way into records."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One labelled photo; `load` gives the encoded PNG or JPEG bytes, exactly as they will be served."""

    label: int
    load: Callable[[], bytes]


@dataclass(frozen=True)
class Splits:
    """Rows to train on and to test on, in their final order, and where they came from."""

    train: list[Row]
    test: list[Row]
    source: str
    drawn: bool = False  # the archive says that its photos are drawn


def rank(seed: int, content: str) -> str:
    """A place in an order that depends on the seed and the content alone."""
    return hashlib.sha256(f"{seed} {content}".encode()).hexdigest()


def some(names: Sequence[str]) -> str:
    """The first few of the names, and how many more there are."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
