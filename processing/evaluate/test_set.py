"""The test photos, read from their records."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import mxnet as mx
import numpy as np
import numpy.typing as npt

from processing.evaluate.artifact import read_json
from processing.job import JobError

RECORDS, ABOUT = "images.rec", "dataset.json"

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Photos:
    """The encoded test photos, their class indices, and the class names."""

    bodies: list[bytes]
    labels: Ints
    classes: list[str]


def read_photos(channel: Path) -> Photos:
    """All test records of a channel. JobError when files are missing or there is no record."""
    if not (channel / RECORDS).is_file():
        raise JobError(f"{channel / RECORDS} is missing")
    classes = read_json(channel / ABOUT).get("classes")
    if not isinstance(classes, list) or not classes:
        raise JobError(f"{channel / ABOUT} names no classes")
    bodies, labels = [], []
    try:
        reader = mx.recordio.MXRecordIO(str(channel / RECORDS), "r")
        while (record := reader.read()) is not None:
            header, body = mx.recordio.unpack(record)
            bodies.append(body)
            labels.append(int(header.label))
        reader.close()
    except (mx.MXNetError, struct.error, TypeError, ValueError) as error:
        # MXNet's text is a C++ stack; its first line says what is wrong.
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise JobError(f"{channel / RECORDS} is damaged after {len(bodies)} photos: {reason[0]}") from error
    if not bodies:
        raise JobError(f"{channel / RECORDS} holds no photo to evaluate on")
    if min(labels) < 0 or max(labels) >= len(classes):
        raise JobError(f"{channel / RECORDS} has labels from {min(labels)} to {max(labels)}, of {len(classes)} classes")
    return Photos(bodies, np.array(labels, np.int64), classes)
