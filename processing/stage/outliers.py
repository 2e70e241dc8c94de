"""Photos of classes that were not asked for: which classes are learned from, which are tested on, and how many photos.

A model that is to refuse what it does not know is trained with some of them, and must be tested on others: each class
is on one side. Which one depends on the classes' names and `rotation` alone, so that all versions made of the same data
are measured on the same classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from processing.datasets import Load, Side
from processing.stage.rows import rank

MAX_TRAIN, MAX_TEST = 10_000, 1_000  # photos
ROTATIONS = 3  # about a third of the classes is tested on


def choose(photos: Mapping[str, Sequence[Load]], rotation: int) -> dict[Side, dict[str, list[Load]]] | None:
    """The photos of each side by class, from photos by class; None when there are none. `rotation` as in `divide`."""
    train, test = divide(list(photos), rotation)
    if not train:
        return None
    return {
        "train": bounded({name: photos[name] for name in train}, MAX_TRAIN),
        "test": bounded({name: photos[name] for name in test}, MAX_TEST),
    }


def divide(names: Sequence[str], rotation: int = 0) -> tuple[list[str], list[str]]:
    """The classes to learn from and to test on, each in alphabetical order.

    In the order of a hash of their names, every third class from number `rotation` on (0 to 2) is tested on, of two
    classes every second, and a single one is learned from. Over the rotations each class is tested on once, but for two
    classes.
    """
    ranked = sorted(names, key=lambda name: rank(0, name))
    step = min(ROTATIONS, len(ranked))
    test = [name for at, name in enumerate(ranked) if step > 1 and at % step == rotation % step]
    return sorted(set(names) - set(test)), sorted(test)


def bounded(photos: Mapping[str, Sequence[Load]], most: int) -> dict[str, list[Load]]:
    """At most `most` photos, as evenly from all classes as they have photos, and within a class evenly spread."""
    shares = dict.fromkeys(photos, 0)
    left = most
    waiting = sorted(photos, key=lambda name: len(photos[name]))
    for at, name in enumerate(waiting):
        shares[name] = min(len(photos[name]), left // (len(waiting) - at))
        left -= shares[name]
    return {
        name: [of_class[number * len(of_class) // shares[name]] for number in range(shares[name])]
        for name, of_class in photos.items()
        if shares[name]
    }
