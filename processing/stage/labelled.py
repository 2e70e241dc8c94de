"""Adds photos that people labelled: to the training data, to the recent test, and as out-of-distribution examples.

The folder holds `sets/*.json`, a list of `{"photo", "truth", "part"}` (part `train` or `recent`) in the order in which
the photos were asked about, and `photos/`; any other `*.json` there, or none, means that nothing was labelled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from processing.job import JobError, read_list
from processing.photos import PhotoError, check
from processing.stage.rows import Row, Splits

NEITHER = "neither"  # the label of a photo that shows none of the classes


@dataclass(frozen=True)
class Labelled:
    """Labelled photos: of the classes to learn from and to test on, and of other things to learn from.

    In the order of the list: the newest last.
    """

    train: list[Row]
    recent: list[Row]
    neither: list[Path]
    notes: tuple[str, ...] = ()


def read(folder: Path | None, classes: Sequence[str], test: Sequence[Row]) -> Labelled:
    """The labelled photos below `folder`, without those that are among the `test` photos or cannot be read.

    JobError when the list is no list, or names a photo that is not there.
    """
    lists = sorted((folder / "sets").glob("*.json")) if folder else []
    if folder is None or not lists:
        return Labelled([], [], [])
    entries = read_list(lists[0])
    known = {hashlib.sha256(row.load()).hexdigest() for row in test} if entries else set()
    found = Labelled([], [], [])
    left_out = 0
    for entry in entries:
        name, truth, part = (str(entry.get(key, "")) for key in ("photo", "truth", "part"))
        path = folder / "photos" / Path(name).name
        if not path.is_file():
            raise JobError(f"{lists[0].name} names the photo {name!r:.80}, which is not in photos/")
        if Path(name).stem in known or not _usable(path) or (truth != NEITHER and truth not in classes):
            left_out += 1
        elif truth == NEITHER and part == "train":
            found.neither.append(path)
        elif truth != NEITHER:
            (found.train if part == "train" else found.recent).append(Row(classes.index(truth), path.read_bytes))
    said = f"labelled by people: {len(found.train)} photos to learn from, {len(found.recent)} as the recent test, "
    said += f"{len(found.neither)} of other things; left out: {left_out}"
    return replace(found, notes=(said,))


def added(splits: Splits, labelled: Labelled) -> Splits:
    """The data with the labelled photos: those to learn from at the end, other things among the outliers."""
    notes = (*splits.notes, *labelled.notes)
    outliers = splits.outliers
    if labelled.neither:
        before = outliers or {"train": {}, "test": {}}
        train = {**before["train"], NEITHER: [path.read_bytes for path in labelled.neither]}
        outliers = {"train": train, "test": before["test"]}
    return replace(splits, train=[*splits.train, *labelled.train], outliers=outliers, notes=notes)


def _usable(path: Path) -> bool:
    """Whether the file holds a photo that training would take."""
    try:
        check(path.read_bytes())
    except PhotoError:
        return False
    return True
