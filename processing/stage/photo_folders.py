"""Reads folders of labelled photos `<class>/*.png|jpg|jpeg`, and splits them into training and test by content."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from processing.job import JobError
from processing.stage.rows import Row, Splits, rank, some

MAX_PHOTO_BYTES = 6 << 20  # the endpoint takes no larger photo, so neither does training
MAX_PHOTO_PIXELS = 50_000_000
MAX_PHOTOS = 200_000
MIN_PHOTOS_PER_CLASS = 5  # four to learn from, one to test with
TEST_SHARE = 0.2


def check_photo(data: bytes) -> None:
    """Decodes a photo in full and keeps nothing. Raises JobError if it is broken or more than the endpoint takes."""
    if not data:
        raise JobError("is empty")
    if len(data) > MAX_PHOTO_BYTES:
        raise JobError(
            f"has {len(data) / (1 << 20):.1f} MiB, more than the {MAX_PHOTO_BYTES >> 20} MiB the endpoint takes"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF and palette notes; what cannot be decoded raises
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                pixels = image.width * image.height
                if pixels <= MAX_PHOTO_PIXELS:
                    image.load()
    except Exception as error:  # decoders of broken files raise nearly anything
        raise JobError("is not a readable PNG or JPEG") from error
    if pixels > MAX_PHOTO_PIXELS:
        raise JobError(f"has {pixels / 1e6:.0f} megapixels, more than {MAX_PHOTO_PIXELS // 1_000_000}")


def photo_files(root: Path, classes: Sequence[str]) -> dict[str, list[Path]]:
    """The photos of each chosen class, sorted by name. Hidden files and other kinds of file are left out."""
    inside = root.resolve()
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(folders) < 2:
        what = f"one class folder, {folders[0]!r}" if folders else "no class folders"
        raise JobError(f"The input has {what}; a folder of photos needs two or more, as <class>/*.png|jpg|jpeg.")
    missing = [name for name in classes if name not in folders]
    if missing:
        raise JobError(f"The input has no folder {missing[0]!r}; it has {some(folders)}. Choose with --classes.")
    found: dict[str, list[Path]] = {}
    for name in classes:
        entries = sorted(entry for entry in (root / name).iterdir() if not entry.name.startswith("."))
        found[name] = [
            entry for entry in entries if entry.suffix.lower() in (".png", ".jpg", ".jpeg") and entry.is_file()
        ]
        for entry in found[name]:
            if not entry.resolve().is_relative_to(inside):
                raise JobError(
                    f"{name}/{entry.name} is a link that leads out of the input folder; copy the photo instead."
                )
    if sum(map(len, found.values())) > MAX_PHOTOS:
        raise JobError(f"The input has more than {MAX_PHOTOS} photos.")
    return found


def split_by_content(hashes: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Splits the distinct content hashes of one class 80/20 into train and test, by the seed and the content alone."""
    ranked = sorted(hashes, key=lambda content: rank(seed, content))
    count = max(1, round(len(ranked) * TEST_SHARE))
    return ranked[count:], ranked[:count]


def folder_splits(root: Path, classes: Sequence[str], seed: int) -> Splits:
    """Labelled photos of a folder, split within each class by content, so that exact copies stay on one side."""
    broken: list[str] = []
    copies: dict[str, dict[str, list[Path]]] = {}
    owner: dict[str, Path] = {}
    for name, paths in photo_files(root, classes).items():
        by_hash: dict[str, list[Path]] = defaultdict(list)
        for path in paths:
            data = path.read_bytes() if path.stat().st_size <= MAX_PHOTO_BYTES else b"\0" * (MAX_PHOTO_BYTES + 1)
            try:
                check_photo(data)
            except JobError as error:
                broken.append(f"{name}/{path.name} {error}")
                continue
            content = hashlib.sha256(data).hexdigest()
            first = owner.setdefault(content, path)
            if first.parent.name != name:
                raise JobError(
                    f"{first.parent.name}/{first.name} and {name}/{path.name} are the same photo in two classes."
                )
            by_hash[content].append(path)
        copies[name] = by_hash
    if broken:
        more = f"; and {len(broken) - 10} more" if len(broken) > 10 else ""
        raise JobError(f"{len(broken)} of the photos cannot be used: {'; '.join(broken[:10])}{more}.")
    train: list[tuple[str, Row]] = []
    test: list[tuple[str, Row]] = []
    for label, name in enumerate(classes):
        if len(copies[name]) < MIN_PHOTOS_PER_CLASS:
            count = len(copies[name])
            raise JobError(f"{name!r} has {count} different photos; at least {MIN_PHOTOS_PER_CLASS} are needed.")
        for side, hashes in zip((train, test), split_by_content(list(copies[name]), seed), strict=True):
            side += [(content, Row(label, path.read_bytes)) for content in hashes for path in copies[name][content]]
    # Classes are mixed: records are read as a stream.
    ordered = [[row for _, row in sorted(side, key=lambda pair: rank(seed, pair[0]))] for side in (train, test)]
    return Splits(ordered[0], ordered[1], root.name)
