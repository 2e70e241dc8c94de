"""Finds pictures of several classes: two halves of a photo that are each accepted, as two classes.

What is asked for depends then on the half, and a person has to look. The halves are cut before a photo shrinks to the
network's size, so that only photos of twice that size have any. Ships inside the artifact, under code/.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import preprocessing
from decision import Rule, log_odds, logit, winning_odds

LEAST = 2  # times the network's size that each side of a photo has at least
PARTS = 5  # the whole, and its left, right, upper and lower half
PAIRS = (-1, 2, 2)  # of the halves of n photos: two directions, and the two halves of each
SURE = 0.8  # confidence of the small network in one class for both halves, from which on the large one sees no other

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


def stacked(image: UInt8, size: tuple[int, int]) -> UInt8:
    """A photo (h, w, 3) and its halves, each as the network takes it, one below the other.

    (PARTS * size[0], size[1], 3); of photos that are too small for halves the photo alone, (size[0], size[1], 3).
    """
    whole = preprocessing.resize(image, size)
    height, width = image.shape[:2]
    if height < LEAST * size[0] or width < LEAST * size[1]:
        return whole
    halves = image[:, : width // 2], image[:, width - width // 2 :], image[: height // 2], image[height - height // 2 :]
    return np.concatenate([whole, *(preprocessing.resize(half, size) for half in halves)])


def together(images: Sequence[UInt8]) -> UInt8:
    """(n, h, w, 3) of what `stacked` gave for n photos. Where some have halves, the others stand for their own."""
    tallest = max(len(image) for image in images)
    return np.stack([np.tile(image, (tallest // len(image), 1, 1)) for image in images])


def apart(images: UInt8, height: int) -> UInt8:
    """(n, parts, height, w, 3) of `together`'s (n, h, w, 3): parts is 1 where no photo has halves."""
    return images.reshape(len(images), -1, height, *images.shape[2:])


def worth_asking(parts: UInt8) -> Bools:
    """(n,): which of (n, parts, h, w, 3) photos have halves, others than themselves."""
    return np.asarray((parts[:, 1:] != parts[:, :1]).any(axis=(1, 2, 3, 4)))


def matter(logits: Float32, rule: Rule, margin: float) -> Bools:
    """(m,): which halves a second network may be asked about, by the first one's (m, classes + 1) logits.

    Both networks have to take a half for one of the classes. Where the first one, whose logits may be `margin` beside,
    does not, neither that half nor the one that faces it matters. Nor do two halves that it is sure are of one class:
    docs/log.md shows that the second one does not tell them apart then.
    """
    possible = log_odds(logits) >= logit(rule.in_distribution_threshold) - margin
    sure = winning_odds(logits, rule.temperature) >= logit(SURE) + margin / rule.temperature
    one_class = ~_differ(logits) & sure.reshape(PAIRS).all(axis=2)
    pairs = possible.reshape(PAIRS).all(axis=2) & ~one_class
    return np.asarray(np.repeat(pairs.ravel(), 2))


def differ(answers: Float32, rule: Rule) -> Bools:
    """(n,): whether two halves that face each other are accepted as two classes.

    `answers` (n * (PARTS - 1), classes + 1) are decision.answers' to the halves of n photos.
    """
    both = rule.accepted(answers).reshape(PAIRS).all(axis=2)
    return np.asarray((both & _differ(answers)).any(axis=1))


def _differ(scores: Float32) -> Bools:
    """(n, 2): whether the likeliest classes of the halves differ, by direction."""
    return np.asarray(np.ptp(scores[:, :-1].argmax(axis=1).reshape(PAIRS), axis=2) > 0)
