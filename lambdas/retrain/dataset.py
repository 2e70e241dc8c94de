"""The labelled photos as a data set: listed, named by its content, and divided by each photo's hash. Pure.

The photos themselves lie below `labelled/photos/`, named by their SHA-256, once each. The list has the form in which
SageMaker takes one: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html, `ManifestFile`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

PREFIX = "labelled/"
NEITHER = "neither"
RECENT, TRAIN = "recent", "train"


@dataclass(frozen=True)
class Photo:
    """A labelled photo: its name (`<sha256>.png`), what it shows, and when it was asked about (ISO 8601)."""

    name: str
    truth: str
    time: str


@dataclass(frozen=True)
class Dataset:
    """A data set: each photo's name, truth and part (`train`, or `recent`: the test that is never trained on).

    In the order in which the photos were asked about.
    """

    entries: tuple[tuple[str, str, str], ...]

    @property
    def index(self) -> bytes:
        """The index, a JSON list of photo, truth and part: the same bytes for the same photos."""
        entries = [{"photo": name, "truth": truth, "part": part} for name, truth, part in self.entries]
        return json.dumps(entries, separators=(",", ":")).encode()

    @property
    def sha256(self) -> str:
        """Hash of the index, in hexadecimal: its name."""
        return hashlib.sha256(self.index).hexdigest()

    @property
    def index_key(self) -> str:
        """Where the index lies in the bucket."""
        return f"{PREFIX}sets/{self.sha256}.json"

    @property
    def manifest_key(self) -> str:
        """Where the list of index and photos lies in the bucket."""
        return f"{PREFIX}sets/{self.sha256}.manifest"

    def manifest(self, bucket: str) -> bytes:
        """The list of index and photos."""
        listed: list[Any] = [{"prefix": f"s3://{bucket}/{PREFIX}"}, f"sets/{self.sha256}.json"]
        listed += [f"photos/{name}" for name, _, _ in self.entries]
        return json.dumps(listed, separators=(",", ":")).encode()

    def count(self, part: str) -> int:
        """How many photos the part has."""
        return sum(of == part for _, _, of in self.entries)


def build(photos: Collection[Photo], classes: Collection[str], recent_percent: int, most: int) -> Dataset:
    """The newest `most` of the photos whose truth is one of the classes or `neither`.

    A photo is in the recent test when the first digits of its hash say so, whichever photos are beside it: what was
    tested on once is never trained on later.
    """
    known = [photo for photo in photos if photo.truth in classes or photo.truth == NEITHER]
    newest = sorted(known, key=lambda photo: (photo.time, photo.name))[-most:] if most else []
    latest = {photo.name: photo for photo in newest}
    return Dataset(tuple((p.name, p.truth, _part(p.name, recent_percent)) for p in newest if latest[p.name] is p))


def _part(name: str, recent_percent: int) -> str:
    drawn = int(hashlib.sha256(f"recent {name}".encode()).hexdigest()[:8], 16) % 100
    return RECENT if drawn < recent_percent else TRAIN
