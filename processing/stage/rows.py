"""The types that Stage's readers return: a labelled photo, and the photos to train on and to test on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processing.datasets import Load, Side


@dataclass(frozen=True)
class Row:
    """One labelled photo: its class index, and its bytes when they are needed."""

    label: int
    load: Load


@dataclass(frozen=True)
class Splits:
    """Photos to train on and to test on, in their final order, and where they came from.

    `outliers` are photos of classes that were not asked for, by class; None when there are none. No class is on both
    sides.
    """

    train: list[Row]
    test: list[Row]
    source: str
    drawn: bool = False  # the archive says that its photos are drawn
    outliers: Mapping[Side, Mapping[str, Sequence[Load]]] | None = None
    blurred: float = 0.0  # pixels of 32, the radius by which the newest photos are blurred
    turned: int = 0  # degrees, counter-clockwise, by which the newest photos are turned
    notes: tuple[str, ...] = ()  # what was left out, a sentence each


def rank(seed: int, content: str) -> str:
    """A place in an order that depends on the seed and the content alone."""
    return hashlib.sha256(f"{seed} {content}".encode("utf-8", "surrogateescape")).hexdigest()


def some(names: Sequence[str]) -> str:
    """The first few of the names, and how many more there are."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
