"""Writes a sample of the test photos as files, to classify by hand and to show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from processing.photos import suffix
from processing.stage.rows import Row, rank

COUNT = 60


def write(folder: Path, rows: Sequence[Row], classes: Sequence[str], seed: int) -> int:
    """Write a sample balanced over the classes, and labels.json from file name to class; the number of photos."""
    folder.mkdir(parents=True, exist_ok=True)
    labels: dict[str, str] = {}
    for index, name in enumerate(classes):
        share = COUNT // len(classes) + (index < COUNT % len(classes))
        of_class = [row for row in rows if row.label == index]
        drawn = sorted(range(len(of_class)), key=lambda number: rank(seed, f"photo {number}"))[:share]
        for number, chosen in enumerate(sorted(drawn), start=1):
            data = of_class[chosen].load()
            file = f"{name}-{number:02}{suffix(data)}"
            (folder / file).write_bytes(data)
            labels[file] = name
    (folder / "labels.json").write_text(json.dumps(labels, indent=2) + "\n")
    return len(labels)
