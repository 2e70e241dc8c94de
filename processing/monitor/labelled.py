"""Writes each labelled photo, and an entry with its label, to files named by its SHA-256: data for the next training.

    photos/<sha256>.png|jpg    the photo as it was asked about
    entries/<sha256>.json      what it shows, and where that is known from: `Entry`

Of several answers to one photo the entry is that of the latest label. Names depend on the content alone, so writing the
same again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypedDict, cast

import pandas as pd

from processing.monitor.captures import photo_bytes
from processing.photos import PhotoError, check, suffix


class Entry(TypedDict):
    """What a labelled photo shows, which request it was, and what was answered."""

    photo: str  # its name below photos/
    truth: str  # a class, or `neither`
    inference_id: str
    inference_time: str
    label_time: str  # "" where the label has none
    source: str  # review, correction or known; "" where the label does not say
    answer: str
    confidence: float
    accepted: bool


def write(folder: Path, answers: pd.DataFrame) -> int:
    """Writes to `folder` the photos of `answers` whose `truth` is known; returns how many different photos it wrote."""
    photos, entries = folder / "photos", folder / "entries"
    for made in (photos, entries):
        made.mkdir(parents=True, exist_ok=True)
    known = answers[answers["truth"].notna()].sort_values("label_time", kind="stable")
    written: set[str] = set()
    for row in (cast(Any, row) for row in known.itertuples()):
        body = photo_bytes(row.path, row.offset, row.number)
        if body is None or not _usable(body):
            continue
        digest = hashlib.sha256(body).hexdigest()
        name = f"{digest}{suffix(body)}"
        (photos / name).write_bytes(body)
        entry = Entry(
            photo=name,
            truth=row.truth,
            inference_id=row.identity,
            inference_time=row.time,
            label_time=row.label_time,
            source=row.source,
            answer=row.label,
            confidence=row.confidence,
            accepted=bool(row.accepted),
        )
        (entries / f"{digest}.json").write_text(json.dumps(entry, sort_keys=True) + "\n", "utf-8")
        written.add(digest)
    return len(written)


def _usable(body: bytes) -> bool:
    """Whether the bytes are a photo that training would take."""
    try:
        check(body)
    except PhotoError:
        return False
    return True
