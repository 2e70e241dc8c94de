"""Fits the large network's heads, and how its outputs are combined with the small network's logits.

The large network is not trained: it sees each photo twice, as it is and mirrored and saved as JPEG anew, and photos of
other things once, and gives features (see backbone.py). On those, logistic regressions tell the classes apart, and
photos of the classes from others. The folds are those of the small networks, so that all predictions are out of fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import augmentation
import backbone
import calibration
import cv2
import numpy as np
import numpy.typing as npt
import records
from decision import SecondOpinion
from sklearn.linear_model import LogisticRegression

OUTLIERS_PER_PHOTO = 1.5  # at most
PENALTY = 0.03  # scikit-learn's C, for features divided by their common spread
FEWEST = 30  # photos asked about, below which the scale of both is fitted on all photos
JPEG_QUALITY = 70  # the lowest
SLICE = 100  # photos between two words of progress

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Features:
    """(n, c) features of the training photos as they are, and in another view; (m, c) of photos of other things."""

    plain: Float32
    views: Float32
    outliers: Float32


def network() -> backbone.Backbone:
    """The large network from its package."""
    return backbone.Backbone(backbone.load())


def measure(photos: Path, others: Path, size: tuple[int, int], file: Path, report: Callable[[float], None]) -> None:
    """Write the features of the photos that records.decode put into two folders to `file`.

    `report` is told the share that is done. The same photos give the same features.
    """
    cv2.setNumThreads(0)
    images, strange = records.mapped(photos, size).images, records.mapped(others, size).images
    rng = np.random.default_rng(5)
    most = min(round(OUTLIERS_PER_PHOTO * len(images)), len(strange))
    chosen = np.asarray(strange[np.linspace(0, len(strange) - 1, most).astype(np.int64)])
    # Half of both are compressed anew: photos of other things may come from an archive that was compressed already.
    outliers = augmentation.recompress(chosen, 0.5, JPEG_QUALITY, rng)
    views = augmentation.recompress(np.ascontiguousarray(images[:, :, ::-1]), 1.0, JPEG_QUALITY, rng)
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
    """What `measure` wrote."""
    with np.load(file) as stored:
        return Features(stored["plain"], stored["views"], stored["outliers"])


@dataclass(frozen=True)
class Head:
    """Linear: (classes + 1, c) weights, (classes + 1,) bias. Gives the outputs that SecondOpinion.combine takes."""

    weights: Float32
    bias: Float32

    def __call__(self, features: Float32) -> Float32:
        """(n, c) features to (n, classes + 1) outputs."""
        return np.asarray(features @ self.weights.T + self.bias, np.float32)


def fit(features: Features, labels: Int64, rows: Int64, classes: int) -> Head:
    """The head that learned from `rows` of the training photos and from all photos of other things.

    A row that comes several times counts as often. The last output is the log-odds of showing one of the classes, if
    photos of other things were as frequent.
    """
    mean, spread = features.plain[rows].mean(axis=0), features.plain[rows].std(axis=0).mean()
    known = (np.concatenate([features.plain[rows], features.views[rows]]) - mean) / spread
    strange = (features.outliers - mean) / spread
    which = LogisticRegression(C=PENALTY, max_iter=300).fit(known, np.tile(labels[rows], 2))
    weights, bias = which.coef_, which.intercept_
    if classes == 2:  # the log-odds of the second class alone
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    one_of_them = np.repeat([1, 0], [len(known), len(strange)])
    whether = LogisticRegression(C=PENALTY, max_iter=300, class_weight="balanced")
    whether.fit(np.concatenate([known, strange]), one_of_them)
    weights = np.concatenate([weights, whether.coef_]) / spread
    bias = np.concatenate([bias, whether.intercept_]) - weights @ mean
    return Head(weights.astype(np.float32), bias.astype(np.float32))


def out_of_fold(features: Features, labels: Int64, folds: Sequence[tuple[Int64, Int64]], classes: int) -> Float32:
    """(n, classes + 1) outputs for every photo by a head that did not learn from it; `folds` are (rows, held out)."""
    outputs = np.empty((len(labels), classes + 1), np.float32)
    for rows, held_out in folds:
        outputs[held_out] = fit(features, labels, rows, classes)(features.plain[held_out])
    return outputs


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
