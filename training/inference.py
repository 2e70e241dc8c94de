"""The handler that ships inside the artifact as code/inference.py: `model_fn`, `input_fn`, `predict_fn`, `output_fn`.

The model server calls it on the endpoint, and Evaluate calls it in the pipeline: what is evaluated is what is served.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cascade
import corrections
import cv2
import decision
import fused
import halves
import int8
import numpy as np
import numpy.typing as npt
import preprocessing
import second

SYMBOL, PARAMETERS, MODEL = "network-symbol.json", "network-0000.params", "model.json"
MAX_INSTANCES = 256
IMAGE_TYPES = ("image/png", "image/jpeg", "image/jpg", "application/octet-stream")
ANSWER_TYPES = ("application/json", "text/csv")
_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]


class UnsupportedContentType(ValueError):  # noqa: N818  # the name of the condition, as the model server knows it
    """The request's Content-Type, or its Accept, is not one that this model reads or writes."""


@dataclass(frozen=True)
class Model:
    """A loaded artifact: what model.json says, and the network as a function of normalised (n, 3, h, w) float32.

    `both` asks a large network about some of the photos too, in artifacts that hold one.
    """

    about: dict[str, Any]
    network: Callable[[Float32], Float32]
    mean: Float32
    std: Float32
    rule: decision.Rule
    both: cascade.Cascade | None = None

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of the probabilities."""
        return [str(name) for name in self.about["classes"]]


def model_fn(model_dir: str) -> Model:
    """Load the artifact unpacked at `model_dir`. FileNotFoundError or ValueError when it is not whole."""
    folder = Path(model_dir)
    for name in (MODEL, SYMBOL, PARAMETERS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{name} is missing in the model artifact at {model_dir}")
    about = json.loads((folder / MODEL).read_text("utf-8"))
    cv2.setNumThreads(0)  # photos are small, and requests already run side by side
    global _image_size  # input_fn is given no model: the contract of the serving toolkits
    _image_size = (int(about["image_size"][0]), int(about["image_size"][1]))
    mean, std = np.asarray(about["mean"], np.float32), np.asarray(about["std"], np.float32)
    exact = fused.Fused.load(folder / SYMBOL, folder / PARAMETERS)
    probes = preprocessing.normalise(int8.probes(_image_size), mean, std)
    rule = decision.Rule.of(about)
    network = int8.guard(folder, exact, probes, rule)
    large = second.load(folder)
    both = cascade.Cascade(network, exact, rule, large) if large else None
    if rule.second and not large:
        raise FileNotFoundError(f"{second.ABOUT} is missing in the model artifact at {model_dir}")
    if large:
        large.warm()
    model = Model(about, network, mean, std, rule, both)
    warmup(model)
    return model


_image_size = (32, 32)


def warmup(model: Model) -> None:
    """One prediction, so that the first request does not pay for memory planning.

    ValueError when the network is broken.
    """
    answer = predict_fn(np.zeros((1, *_image_size, 3), np.uint8), model)
    columns = len(model.classes) + (3 if model.both else 2)
    if answer.shape != (1, columns) or not np.isfinite(answer).all():
        raise ValueError(f"the network gives {answer!r} for {len(model.classes)} classes: the artifact is broken")


def _instances(body: bytes) -> list[bytes]:
    """The photos in a JSON request {"instances": [{"image": "<base64>"}, ...]}."""
    try:
        request = json.loads(body)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"the request is not JSON: {error}") from error
    instances = request.get("instances") if isinstance(request, dict) else None
    if not isinstance(instances, list) or not instances:
        raise ValueError('a JSON request is {"instances": [{"image": "<base64>"}, ...]} with at least one instance')
    if len(instances) > MAX_INSTANCES:
        raise ValueError(f"the request has {len(instances)} instances, and at most {MAX_INSTANCES} are accepted")
    photos = []
    for number, instance in enumerate(instances):
        encoded = instance.get("image") if isinstance(instance, dict) else None
        if not isinstance(encoded, str):
            raise ValueError(f'instance {number} has no "image" of base64 text')  # noqa: TRY004
        try:
            photos.append(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"instance {number} is not base64: {error}") from error
    return photos


def _photo(body: bytes) -> UInt8:
    """The bytes of one photo as halves.stacked gives it."""
    return halves.stacked(preprocessing.pixels(body, _image_size), _image_size)


def input_fn(body: bytes, content_type: str) -> UInt8:
    """A request's bytes as (n, h, w, 3) uint8 RGB, with the halves of large photos below them, see halves.stacked.

    ValueError for a bad photo, UnsupportedContentType for a foreign type.
    """
    kind = (content_type or "").split(";")[0].strip().lower()
    if kind in IMAGE_TYPES:
        return _photo(body)[None]
    if kind != "application/json":
        raise UnsupportedContentType(
            f"content type {content_type!r} is not one of image/png, image/jpeg, application/json"
        )
    if len(body) > preprocessing.MAX_BYTES:
        raise ValueError(f"the request has {len(body)} bytes, and at most {preprocessing.MAX_BYTES} are accepted")
    images = []
    for number, photo in enumerate(_instances(body)):
        try:
            images.append(_photo(photo))
        except ValueError as error:
            raise ValueError(f"instance {number}: {error}") from error
    return halves.together(images)


def predict_fn(images: UInt8, model: Model) -> Float32:
    """What `input_fn` gave to (n, classes + 2) float32: see decision.answers. Rows do not depend on each other.

    The first columns are the probabilities of the classes, the temperature applied, given that the photo shows one of
    them; the next is `in_distribution`, from 0 to 1, that it does, and only one. Artifacts that hold a large network
    give one column more: 1 where it was asked. The last column is 1 where the halves of a photo that would be accepted
    show different classes: `in_distribution` is 0 then. Photos of a camera that has changed are corrected before, see
    corrections.py, and have no halves.
    """
    parts = halves.apart(images, int(model.about["image_size"][0]))
    whole = corrections.undone(parts[:, 0], model.about)
    answers = np.pad(_asked(whole, model), ((0, 0), (0, 1)))
    if parts.shape[1] > 1:
        known = len(model.classes) + 1
        plain = (whole == parts[:, 0]).all(axis=(1, 2, 3))
        rows = np.flatnonzero(model.rule.accepted(answers[:, :known]) & plain & halves.worth_asking(parts))
        if len(rows):
            found = _asked(parts[rows, 1:].reshape(-1, *whole.shape[1:]), model, of_halves=True)
            several = rows[halves.differ(found[:, :known], model.rule)]
            answers[several, known - 1], answers[several, -1] = 0, 1
    return answers


def _asked(images: UInt8, model: Model, of_halves: bool = False) -> Float32:
    """(n, h, w, 3) photos to the columns of `predict_fn` but the last.

    The large network is not asked about halves that cannot show different classes.
    """
    normalised, temperature = preprocessing.normalise(images, model.mean, model.std), float(model.about["temperature"])
    if not model.both:
        return decision.answers(model.network(normalised), temperature)
    margin = model.both.margin
    matter = (lambda logits: halves.matter(logits, model.rule, margin)) if of_halves else None
    logits, asked = model.both(images, normalised, matter)
    return np.concatenate([decision.answers(logits, temperature), asked[:, None].astype(np.float32)], axis=1)


def output_fn(answers: Float32, accept: str, model: Model) -> tuple[bytes, str]:
    """What predict_fn gave as JSON (default) or CSV, and its content type.

    A CSV row is `label,confidence,p1,p2,...,in_distribution`. In artifacts that hold a large network each prediction in
    JSON says whether it was asked, `second_opinion`. `several_classes` says that a photo's halves show different
    classes. Where the threshold depends on the class that is
    answered, each prediction carries its own; `threshold` beside them is then the highest.
    """
    kinds = [part.split(";")[0].strip().lower() for part in (accept or "*/*").split(",")]
    kind = next((kind for kind in kinds if kind in (*ANSWER_TYPES, "*/*", "application/*", "text/*", "")), None)
    if kind is None:
        raise UnsupportedContentType(f"accept {accept!r} is not one of {', '.join(ANSWER_TYPES)}")
    classes = model.classes
    known = len(classes)
    winners = answers[:, :known].argmax(axis=1)
    if kind in ("text/csv", "text/*"):
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        for row, winner in zip(answers.tolist(), winners.tolist(), strict=True):
            writer.writerow([classes[winner], f"{row[winner]:.6f}", *(f"{value:.6f}" for value in row[: known + 1])])
        return rows.getvalue().encode(), "text/csv"
    by_class = model.about.get("class_thresholds") or {}
    predictions = [
        {
            "label": classes[winner],
            "confidence": row[winner],
            **({"threshold": by_class[classes[winner]]} if by_class else {}),
            "in_distribution": row[known],
            **({"second_opinion": row[known + 1] > 0} if model.both else {}),
            "several_classes": row[-1] > 0,
            "probabilities": dict(zip(classes, row[:known], strict=True)),
        }
        for row, winner in zip(answers.tolist(), winners.tolist(), strict=True)
    ]
    answer = {
        "predictions": predictions,
        "threshold": model.about["threshold"],
        "in_distribution_threshold": model.about["in_distribution_threshold"],
        "model": {"data_label": model.about["data_label"]},
    }
    return _to_json(answer).encode(), "application/json"
