"""Fits the large network's heads, and how its outputs are combined with the small network's logits.

The large network is not trained: it sees each photo twice, as it is and mirrored and saved as JPEG anew, and other
things once, saved as JPEG anew: photos of other things where the data have any, and crops of natural photographs. It
gives features (see backbone.py); more of them, of photos of other things, come with pretrained.params. On those,
logistic regressions tell the classes apart, and photos of the classes from others. The latter compares only what was
saved as JPEG alike: photos of other things may have been compressed before, and that must not tell them apart. The
folds are those of the small networks, so that all predictions are out of fold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path

import augmentation
import backbone
import calibration
import cv2
import numpy as np
import numpy.typing as npt
from decision import SecondOpinion
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

OTHERS_PER_PHOTO, CROPS_PER_PHOTO = 0.7, 0.3  # photos of other things at most, and crops, that the large network sees
EXAMPLES = 280  # photos of other things whose features pretrained.params holds
ALIKE = 0.7  # share of a class's examples that pass for training photos, from which on it is not another thing
PENALTY = 0.03  # scikit-learn's C, for features divided by their common spread
FEWEST = 30  # photos asked about, below which the scale of both is fitted on all photos
JPEG_QUALITY = 60  # the lowest
FULL_COLOUR = 0.5  # share of what is saved as JPEG with colours at full resolution
SLICE = 100  # photos between two words of progress

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Features:
    """(n, c) features of the training photos as they are and as `saved` gives them; (m, c) of other things."""

    plain: Float32
    views: Float32
    outliers: Float32


def network() -> backbone.Backbone:
    """The large network from its package."""
    return backbone.Backbone(backbone.load())


def recompressed(images: UInt8, rng: np.random.Generator) -> UInt8:
    """Copies of (n, h, w, 3) photos saved as JPEG, of qualities and colour resolutions as they come."""
    return augmentation.recompress(images, 1.0, JPEG_QUALITY, rng, FULL_COLOUR)


def saved(images: UInt8) -> UInt8:
    """(n, h, w, 3) photos mirrored and saved as JPEG: the same photos give the same."""
    return recompressed(np.ascontiguousarray(images[:, :, ::-1]), np.random.default_rng(5))


def crops_for(photos: Sized) -> int:
    """How many crops of natural photographs the large network sees beside so many training photos."""
    return round(CROPS_PER_PHOTO * len(photos))


def some(images: UInt8, most: int) -> UInt8:
    """At most so many of the images, evenly spread."""
    return np.asarray(images[np.linspace(0, len(images) - 1, min(most, len(images))).astype(np.int64)])


def measure(images: UInt8, views: UInt8, others: UInt8, file: Path, report: Callable[[float], None]) -> None:
    """Write the features of training photos, of what `saved` gives for them, and of `others` saved as JPEG to `file`.

    All are (n, h, w, 3). `report` is told the share that is done. The same photos give the same features.
    """
    cv2.setNumThreads(0)
    outliers = recompressed(others, np.random.default_rng(6))
    large, total, done = network(), 2 * len(images) + len(outliers), 0
    found = []
    for some in (images, views, outliers):
        features = np.empty((len(some), backbone.FEATURES), np.float32)
        for at in range(0, len(some), SLICE):
            features[at : at + SLICE] = large.features(some[at : at + SLICE])
            done += len(some[at : at + SLICE])
            report(done / total)
        found.append(features)
    np.savez(file, plain=found[0], views=found[1], outliers=found[2])


def read(file: Path) -> Features:
    """The features of the photos, of random views of them and of outliers that `measure` wrote into the file."""
    with np.load(file) as stored:
        return Features(stored["plain"], stored["views"], stored["outliers"])


def examples(images: UInt8, labels: Int64, classes: Sequence[str]) -> dict[str, Float32]:
    """(n, c) features by class of EXAMPLES of the photos of other things, as evenly from all classes as can be."""
    place = np.empty(len(labels), np.int64)  # within the class
    for label in range(len(classes)):
        rows = np.flatnonzero(labels == label)
        place[rows] = np.arange(len(rows))
    chosen = np.lexsort((labels, place))[:EXAMPLES]
    features = network().features(recompressed(images[chosen], np.random.default_rng(7)))
    return {name: features[labels[chosen] == at] for at, name in enumerate(classes) if (labels[chosen] == at).any()}


def with_examples(features: Features, more: Mapping[str, Float32], leave_out: Collection[str]) -> Features:
    """`features` with (n, c) features of photos of other things by class added to its outliers.

    Not those of the classes named in `leave_out`, which are tested on or asked for; and not those of classes that can
    hardly be told from the training photos: they may be what is asked for under another name.
    """
    wanted = {name: rows for name, rows in more.items() if name not in leave_out}
    if not wanted:
        return features
    names = np.repeat(list(wanted), [len(rows) for rows in wanted.values()])
    rows = np.concatenate(list(wanted.values()))
    passing = _passing(features.views, rows)
    others = [rows[names == name] for name in wanted if passing[names == name].mean() < ALIKE]
    return replace(features, outliers=np.concatenate([features.outliers, *others]))


def _passing(known: Float32, strange: Float32) -> npt.NDArray[np.bool_]:
    """(m,): which of `strange` (m, c) pass for one of `known` (n, c), by a head that did not learn from them.

    They do where they are taken for one at least as surely as the least sure twentieth of `known` is.
    """
    rows = (np.concatenate([known, strange]) - known.mean(axis=0)) / known.std(axis=0).mean()
    truth, odds = np.repeat([1, 0], [len(known), len(strange)]), np.empty(len(rows))
    for learned, held_out in StratifiedKFold(3, shuffle=True, random_state=0).split(rows, truth):
        head = LogisticRegression(C=PENALTY, max_iter=300, class_weight="balanced").fit(rows[learned], truth[learned])
        odds[held_out] = head.decision_function(rows[held_out])
    return np.asarray(odds[len(known) :] >= np.quantile(odds[: len(known)], 0.05))


@dataclass(frozen=True)
class Head:
    """Linear: (classes + 1, c) weights, (classes + 1,) bias. Gives the outputs that SecondOpinion.combine takes."""

    weights: Float32
    bias: Float32

    def __call__(self, features: Float32) -> Float32:
        """(n, c) features to (n, classes + 1) outputs."""
        return np.asarray(features @ self.weights.T + self.bias, np.float32)


def fit(features: Features, labels: Int64, rows: Int64, classes: int) -> Head:
    """The head that learned from `rows` of the training photos and from all other things.

    A row that comes several times counts as often. The last output is the log-odds of showing one of the classes, if
    other things were as frequent.
    """
    mean, spread = features.plain[rows].mean(axis=0), features.plain[rows].std(axis=0).mean()
    known = (np.concatenate([features.plain[rows], features.views[rows]]) - mean) / spread
    strange = (features.outliers - mean) / spread
    which = LogisticRegression(C=PENALTY, max_iter=300).fit(known, np.tile(labels[rows], 2))
    weights, bias = which.coef_, which.intercept_
    if classes == 2:  # the log-odds of the second class alone
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    alike = known[len(rows) :]
    one_of_them = np.repeat([1, 0], [len(alike), len(strange)])
    whether = LogisticRegression(C=PENALTY, max_iter=300, class_weight="balanced")
    whether.fit(np.concatenate([alike, strange]), one_of_them)
    weights = np.concatenate([weights, whether.coef_]) / spread
    bias = np.concatenate([bias, whether.intercept_]) - weights @ mean
    return Head(weights.astype(np.float32), bias.astype(np.float32))


def out_of_fold(
    features: Features, labels: Int64, folds: Sequence[tuple[Int64, Int64]], classes: int
) -> tuple[Float32, Float32]:
    """Outputs for every photo by a head that did not learn from it, (n, classes + 1); `folds` are (rows, held out).

    First of the photos as they are, then of them as `saved` gives them.
    """
    plain, views = (np.empty((len(labels), classes + 1), np.float32) for _ in range(2))
    for rows, held_out in folds:
        head = fit(features, labels, rows, classes)
        plain[held_out], views[held_out] = head(features.plain[held_out]), head(features.views[held_out])
    return plain, views


def weigh(logits: Float32, outputs: Float32, labels: Int64, temperature: float, below: float) -> SecondOpinion:
    """How to combine, fitted on out-of-fold logits of the small network and outputs of the large one.

    Both at the temperature at which each is calibrated by itself, added up, and their sum scaled so that it is
    calibrated on the photos that the large network is asked about: two good witnesses who saw the same photo must not
    count twice.
    """
    scaled = logits[:, :-1] / temperature
    own = calibration.fit_temperature(outputs[:, :-1], labels)
    both = scaled + outputs[:, :-1] / own
    asked = SecondOpinion(below, 1.0, 1.0).asked(logits, temperature)
    rows = np.flatnonzero(asked) if asked.sum() >= FEWEST else np.arange(len(labels))
    together = calibration.fit_temperature(both[rows], labels[rows])
    return SecondOpinion(below, 1 / together, temperature / own / together)
