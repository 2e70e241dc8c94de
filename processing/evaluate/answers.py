"""Asks the handler that ships in an artifact, as the endpoint does, in a process of its own.

The handler's modules have the same names in every artifact, so that two artifacts cannot share one interpreter; and a
handler that ends its process ends nothing else. What is read is the JSON that the endpoint would answer.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

from processing.job import JobError
from processing.photos import is_png

BATCH = 32  # photos in one request

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Prediction(TypedDict):
    """The endpoint's answer to one photo."""

    label: str
    confidence: float  # the largest probability
    probabilities: dict[str, float]
    threshold: NotRequired[float]  # that of its class, where classes have their own
    in_distribution: NotRequired[float]  # 0 to 1: how much the photo is like those of the classes, where the model says
    second_opinion: NotRequired[bool]  # whether a large network was asked too, where the artifact holds one


@dataclass(frozen=True)
class Answers:
    """What an artifact answers to photos, in their order.

    `threshold` is that of predictions that carry none of their own; `in_distribution_threshold` is what
    `in_distribution` must reach, None where the answers have no such field.
    """

    predictions: list[Prediction]
    classes: list[str]
    threshold: float
    in_distribution_threshold: float | None

    def __getitem__(self, rows: slice) -> Answers:
        return Answers(self.predictions[rows], self.classes, self.threshold, self.in_distribution_threshold)

    @property
    def probabilities(self) -> Floats:
        """(n, classes) probabilities, in the order of `classes`."""
        rows = [[one["probabilities"][name] for name in self.classes] for one in self.predictions]
        return np.array(rows, np.float64).reshape(-1, len(self.classes))

    @property
    def confidence(self) -> Floats:
        """(n,) largest probabilities."""
        return np.array([one["confidence"] for one in self.predictions], np.float64)

    @property
    def score(self) -> Floats:
        """(n,) scores that are larger for photos of the classes: `in_distribution`, or else the confidence."""
        if self.in_distribution_threshold is None:
            return self.confidence
        return np.array([one["in_distribution"] for one in self.predictions], np.float64)

    @property
    def thresholds(self) -> dict[str, float]:
        """What the confidence must reach, by the class that is answered."""
        own = {one["label"]: one["threshold"] for one in self.predictions if "threshold" in one}
        return {name: own.get(name, self.threshold) for name in self.classes}

    @property
    def inside(self) -> Bools:
        """(n,) whether the photo is taken for one of the classes; everywhere where the model does not say."""
        if self.in_distribution_threshold is None:
            return np.ones(len(self.predictions), bool)
        return self.score >= self.in_distribution_threshold

    @property
    def asked_twice(self) -> float | None:
        """Share of the photos about which a large network was asked too; None where the artifact holds none."""
        asked = [one["second_opinion"] for one in self.predictions if "second_opinion" in one]
        return sum(asked) / len(asked) if asked else None

    @property
    def accepted(self) -> Bools:
        """(n,) whether the answer is acted upon: confident enough, and in distribution where the model says so."""
        limits = np.array([one.get("threshold", self.threshold) for one in self.predictions], np.float64)
        return (self.confidence >= limits) & self.inside


def ask(folder: Path, classes: list[str], photos: Sequence[bytes]) -> Future[Answers]:
    """Begin asking the artifact unpacked in `folder`; `result` waits for what it answers."""
    executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    try:
        return executor.submit(_ask, folder, classes, photos)
    finally:
        executor.shutdown(wait=False)


def result(future: Future[Answers]) -> Answers:
    """The answers. JobError when the handler does not load, fails on a photo, or ends its process."""
    try:
        return future.result()
    except BrokenProcessPool:
        raise JobError("the model's handler ended its process: a crash, or too little memory") from None


def _ask(folder: Path, classes: list[str], photos: Sequence[bytes]) -> Answers:
    """In the new process: load the model through the handler's four calls, and ask it batch by batch."""
    sys.dont_write_bytecode = True  # the artifact's folder stays as it is
    sys.path.insert(0, str(folder / "code"))
    try:
        handler = importlib.import_module("inference")
        model = handler.model_fn(str(folder))
    except Exception as error:  # code of the artifact: whatever it raises means that it does not load
        raise JobError(f"the model does not load through its handler: {type(error).__name__}: {error}") from error
    predictions: list[Prediction] = []
    thresholds: set[tuple[float, float | None]] = set()
    for at in range(0, len(photos), BATCH):
        batch = photos[at : at + BATCH]
        where = f"photos {at} to {at + len(batch) - 1}"
        try:
            images = [handler.input_fn(body, "image/png" if is_png(body) else "image/jpeg") for body in batch]
            # Photos may be read as arrays of different shapes, by their size.
            alike = [list(group) for _, group in groupby(images, lambda image: image.shape[1:])]
            rows = np.concatenate([handler.predict_fn(np.concatenate(group), model) for group in alike])
            body, _ = handler.output_fn(rows, "application/json", model)
            answer = json.loads(body)
        except Exception as error:  # code of the artifact
            raise JobError(f"the handler fails on {where}: {type(error).__name__}: {error}") from error
        try:
            thresholds.add(_thresholds(answer))
            predictions += [_checked(one, classes, answer) for one in answer["predictions"]]
        except (KeyError, TypeError, ValueError) as error:
            raise JobError(f"the handler's answer to {where} is not understood: {error!r:.200}") from error
    if len(predictions) != len(photos) or len(thresholds) != 1:
        raise JobError(
            f"the handler gives {len(predictions)} answers to {len(photos)} photos, of {len(thresholds)} rules"
        )
    return Answers(predictions, classes, *thresholds.pop())


def _thresholds(answer: dict[str, Any]) -> tuple[float, float | None]:
    inside = answer.get("in_distribution_threshold")
    return float(answer["threshold"]), None if inside is None else float(inside)


def _checked(one: dict[str, Any], classes: list[str], answer: dict[str, Any]) -> Prediction:
    """Return one prediction of an answer with its fields as numbers; KeyError or ValueError for another form."""
    found = Prediction(
        label=str(one["label"]),
        confidence=float(one["confidence"]),
        probabilities={name: float(one["probabilities"][name]) for name in classes},
    )
    if "threshold" in one:
        found["threshold"] = float(one["threshold"])
    if answer.get("in_distribution_threshold") is not None:
        found["in_distribution"] = float(one["in_distribution"])
    if "second_opinion" in one:
        found["second_opinion"] = bool(one["second_opinion"])
    return found
