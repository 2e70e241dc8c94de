"""Reads a channel of RecordIO: one streaming pass that decodes each photo once into a file mapped into memory.

The records hold photos as they will be served (PNG or JPEG bytes). Decoding a large photo costs far more than a
training step on it, so it is paid once, into a raw file that every training process maps: the operating system keeps
in memory what fits, and neither the records nor the pixels need to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corrections
import mxnet as mx
import numpy as np
import numpy.typing as npt
import preprocessing

RECORDS, INDEX, ABOUT = "images.rec", "images.idx", "dataset.json"
OUTLIERS = "outliers.rec"  # photos of other things, where the data have any

UInt8 = npt.NDArray[np.uint8]
Int64 = npt.NDArray[np.int64]


class DataError(ValueError):
    """The channel's records cannot be trained or evaluated on; the sentence says which one and why."""


def about(channel: Path) -> dict[str, Any]:
    """dataset.json of a channel: classes, count, per_class, label, sha256."""
    path = channel / ABOUT
    for name in (ABOUT, RECORDS, INDEX):
        if not (channel / name).is_file():
            raise DataError(f"{channel / name} is missing: the channel must hold {RECORDS}, {INDEX} and {ABOUT}")
    loaded = json.loads(path.read_text("utf-8"))
    if not isinstance(loaded, dict) or not isinstance(loaded.get("classes"), list):
        raise DataError(f"{path} names no classes")
    return loaded


def stream(path: Path) -> Iterator[tuple[int, bytes]]:
    """(label, encoded photo) of each record of a file in order, one at a time."""
    reader = mx.recordio.MXRecordIO(str(path), "r")
    try:
        number = 0
        while (record := reader.read()) is not None:
            header, photo = mx.recordio.unpack(record)
            label = float(np.asarray(header.label).ravel()[0])
            if not label.is_integer() or label < 0:
                raise DataError(f"record {number} of {path} has the label {label}, which is no class index")
            yield int(label), photo
            number += 1
    except mx.MXNetError as error:
        raise DataError(f"{path} is damaged after record {number}: {str(error).splitlines()[0]}") from error
    finally:
        reader.close()


@dataclass(frozen=True)
class Pixels:
    """Decoded photos.

    `images` (n, h, w, 3) uint8, mapped from a file and read-only, and `labels` (n,) class indices.
    """

    images: UInt8
    labels: Int64

    def __len__(self) -> int:
        return len(self.labels)


def decode(path: Path, size: tuple[int, int], folder: Path, changes: Mapping[str, Any] | None = None) -> None:
    """Decode every photo of the records at `path` into `folder`, for `mapped`.

    `changes` is the channel's dataset.json, which says what corrections.py undoes; nothing by default.
    DataError names the first photo that is broken.
    """
    labels: list[int] = []
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "images.raw").open("wb") as pixels:
        for number, (label, photo) in enumerate(stream(path)):
            try:
                pixels.write(corrections.undone(preprocessing.decode(photo, size)[None], changes or {}).tobytes())
            except ValueError as error:
                raise DataError(f"record {number} of {path}: {error}") from error
            labels.append(label)
    np.save(folder / "labels.npy", np.array(labels, np.int64))


def keep(images: UInt8, folder: Path) -> None:
    """Write (n, h, w, 3) pixels that were not read from records into `folder`, for `mapped`; their labels are 0."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "images.raw").write_bytes(np.ascontiguousarray(images).tobytes())
    np.save(folder / "labels.npy", np.zeros(len(images), np.int64))


def mapped(folder: Path, size: tuple[int, int]) -> Pixels:
    """What `decode` wrote, without reading it into memory."""
    labels = np.load(folder / "labels.npy")
    if not len(labels):
        return Pixels(np.empty((0, *size, 3), np.uint8), labels)
    return Pixels(np.memmap(folder / "images.raw", np.uint8, "r", shape=(len(labels), *size, 3)), labels)


def check(pixels: Pixels, classes: list[str], folds: int) -> None:
    """DataError unless every class has at least two photos for each fold, and every label is a class."""
    counts = np.bincount(pixels.labels, minlength=len(classes))
    if len(counts) > len(classes):
        raise DataError(
            f"a record has the label {len(counts) - 1}, but there are only {len(classes)} classes: {','.join(classes)}"
        )
    for name, count in zip(classes, counts.tolist(), strict=True):
        if count == 0:
            raise DataError(f"no photo of class {name} is in the training records")
        if count < folds:
            raise DataError(
                f"class {name} has {count} training photos, fewer than the {folds} folds: add photos, or lower --folds"
            )
