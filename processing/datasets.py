"""A data set between the jobs, as Stage writes it and Train and Evaluate read it: photos in records, and a description.

images.rec    one record a photo: the class index and the encoded PNG or JPEG (recordio.py)
outliers.rec  photos of classes that were not asked for, when the data have any: the index is that of the class among
              `outliers` of this side
*.idx         the offset of each record
dataset.json  `Dataset` below
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from processing import recordio
from processing.job import JobError, read_object

PHOTOS, OUTLIERS, ABOUT = "images.rec", "outliers.rec", "dataset.json"

Side = Literal["train", "test"]
Load = Callable[[], bytes]  # gives a photo's encoded bytes, exactly as they will be served


class Dataset(TypedDict):
    """What dataset.json says."""

    classes: list[str]  # in the order of their indices
    count: int
    per_class: dict[str, int]
    label: str  # what kind of data it is: "cifar-100", "drawn samples" or "photos"
    sha256: str  # of images.rec
    source: str  # file or folder name that the photos came from
    labelled: NotRequired[int]  # so many photos, the last ones, were labelled by people after the data were collected
    blurred: NotRequired[float]  # pixels of 32, the radius of a blur that is to be undone
    turned: NotRequired[int]  # degrees, counter-clockwise, by which photos with black corners are to be turned back
    outliers: NotRequired[dict[Side, dict[str, int]]]  # photos of each class that was not asked for, of both sides


@dataclass(frozen=True)
class Photos:
    """Encoded photos, the class index of each, and the class names."""

    bodies: list[bytes]
    labels: list[int]
    classes: list[str]


def write(
    folder: Path,
    photos: Iterable[tuple[int, bytes]],
    classes: list[str],
    *,
    label: str,
    source: str,
    side: Side = "test",
    labelled: int = 0,
    blurred: float = 0.0,
    turned: int = 0,
    outliers: Mapping[Side, Mapping[str, Sequence[Load]]] | None = None,
) -> Dataset:
    """Write (class index, encoded photo) pairs as a data set; the bytes depend on the arguments alone.

    `outliers` are photos of classes that were not asked for, of both sides by class; those of this `side` are written,
    the counts of both. The last `labelled` photos are those that people labelled. `blurred` and `turned`
    say how the camera has changed, as Dataset has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = [0] * len(classes)

    def counted() -> Iterator[tuple[int, bytes]]:
        for index, photo in photos:
            counts[index] += 1
            yield index, photo

    recordio.write(folder / PHOTOS, counted())
    with (folder / PHOTOS).open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    about = Dataset(
        classes=classes,
        count=sum(counts),
        per_class=dict(zip(classes, counts, strict=True)),
        label=label,
        sha256=sha256,
        source=source,
    )
    if labelled:
        about["labelled"] = labelled
    if blurred:
        about["blurred"] = blurred
    if turned:
        about["turned"] = turned
    if outliers:
        mine = outliers[side].values()
        recordio.write(folder / OUTLIERS, ((index, load()) for index, loads in enumerate(mine) for load in loads))
        about["outliers"] = {
            name: {of: len(loads) for of, loads in photos_of.items()} for name, photos_of in outliers.items()
        }
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", "utf-8")
    return about


def read(folder: Path) -> Photos:
    """All photos of a data set. JobError when files are missing or damaged, or a label is no class's index."""
    classes = class_names(read_object(folder / ABOUT), folder / ABOUT)
    bodies, labels = read_records(folder / PHOTOS)
    if labels and (min(labels) < 0 or max(labels) >= len(classes)):
        raise JobError(f"{folder / PHOTOS} has labels from {min(labels)} to {max(labels)}, of {len(classes)} classes")
    return Photos(bodies, labels, classes)


def class_names(about: Mapping[str, Any], path: Path) -> list[str]:
    """`classes` of a dataset.json. JobError when it names none."""
    classes = about.get("classes")
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise JobError(f"{path} names no classes")
    return classes


def read_records(path: Path) -> tuple[list[bytes], list[int]]:
    """Encoded photos and labels of a record file. JobError when it is missing or damaged."""
    if not path.is_file():
        raise JobError(f"{path} is missing")
    bodies: list[bytes] = []
    labels: list[int] = []
    try:
        for label, body in recordio.read(path):
            if not label.is_integer():
                raise JobError(f"{path}, record {len(bodies)} has the label {label}, which is no class index")
            bodies.append(body)
            labels.append(int(label))
    except recordio.RecordError as error:
        raise JobError(f"{path} is damaged after {len(bodies)} photos: {error}") from error
    return bodies, labels


def read_outliers(folder: Path, side: Side) -> dict[str, list[bytes]]:
    """Photos of the classes that were not asked for, by class; none when the data set has no such photos."""
    named = read_object(folder / ABOUT).get("outliers")
    if named is None:
        return {}
    bodies, labels = read_records(folder / OUTLIERS)
    try:
        found: dict[str, list[bytes]] = {name: [] for name in named[side]}
        names = list(found)
        for body, label in zip(bodies, labels, strict=True):
            found[names[label]].append(body)
    except (KeyError, IndexError, TypeError) as error:
        raise JobError(f"{folder / OUTLIERS} and `outliers` of {folder / ABOUT} do not belong together") from error
    return {name: photos for name, photos in found.items() if photos}
