"""Reads folders of labelled photos `<class>/*.png|jpg|jpeg|jpe|jfif`, and splits them by content."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from processing.datasets import Load
from processing.job import JobError
from processing.photos import MAX_BYTES, SUFFIXES, PhotoError, check, too_large
from processing.stage import outliers
from processing.stage.rows import Row, Splits, rank, some

MAX_PHOTOS = 200_000
MIN_PHOTOS_PER_CLASS = 5  # four to learn from, one to test with
TEST_SHARE = 0.2


def class_folders(root: Path, classes: Sequence[str]) -> list[str]:
    """The names of all class folders, sorted. JobError when there are fewer than two, or a chosen one is missing."""
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(folders) < 2:
        what = f"one class folder, {folders[0]!r}" if folders else "no class folders"
        raise JobError(f"The input has {what}; a folder of photos needs two or more, as <class>/*.png|jpg|jpeg.")
    missing = [name for name in classes if name not in folders]
    if missing:
        raise JobError(f"The input has no folder {missing[0]!r}; it has {some(folders)}. Choose with --classes.")
    return folders


def photo_files(root: Path, folders: Sequence[str]) -> tuple[dict[str, list[Path]], list[Path]]:
    """The photos of each folder, sorted by name, and the files that are left out because of how their names end.

    Hidden files, such as the `._*` of macOS, and the empty ones that stand for folders in S3 are neither. JobError when
    a link leads out of `root`, or there are more than MAX_PHOTOS.
    """
    inside = root.resolve()
    found: dict[str, list[Path]] = {}
    left_out: list[Path] = []
    for name in folders:
        files = sorted(entry for entry in (root / name).iterdir() if not entry.name.startswith(".") and entry.is_file())
        found[name] = [file for file in files if file.suffix.lower() in SUFFIXES]
        left_out += [file for file in files if file.suffix.lower() not in SUFFIXES and file.stat().st_size]
        for entry in found[name]:
            if not entry.resolve().is_relative_to(inside):
                raise JobError(
                    f"{name}/{entry.name} is a link that leads out of the input folder; copy the photo instead."
                )
    if sum(map(len, found.values())) > MAX_PHOTOS:
        raise JobError(f"The input has more than {MAX_PHOTOS} photos.")
    return found, left_out


def read_photo(path: Path) -> bytes:
    """The photo's bytes. PhotoError when it cannot be decoded, or the endpoint would not take it."""
    if path.stat().st_size > MAX_BYTES:
        raise PhotoError(too_large(path.stat().st_size))
    data = path.read_bytes()
    check(data)
    return data


def split_by_content(hashes: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Splits the distinct content hashes of one class 80/20 into train and test, by the seed and the content alone."""
    ranked = sorted(hashes, key=lambda content: rank(seed, content))
    count = max(1, round(len(ranked) * TEST_SHARE))
    return ranked[count:], ranked[:count]


def folder_splits(root: Path, classes: Sequence[str], seed: int, rotation: int) -> Splits:
    """Labelled photos of a folder, split within each class by content, so that exact copies stay on one side.

    Photos of the other class folders become outliers; `rotation` as in outliers.divide. JobError when a photo of a
    chosen class cannot be used, or a class has too few.
    """
    folders = class_folders(root, classes)
    files, left_out = photo_files(root, classes)
    copies = _by_content(files)
    train: list[tuple[str, Row]] = []
    test: list[tuple[str, Row]] = []
    for label, name in enumerate(classes):
        if len(copies[name]) < MIN_PHOTOS_PER_CLASS:
            count = len(copies[name])
            raise JobError(
                f"{name!r} has {count} different photos; at least {MIN_PHOTOS_PER_CLASS} are needed."
                + _said(left_out, before=" ")
            )
        for side, hashes in zip((train, test), split_by_content(list(copies[name]), seed), strict=True):
            side += [(content, Row(label, path.read_bytes)) for content in hashes for path in copies[name][content]]
    known = {content for by_hash in copies.values() for content in by_hash}
    others, spoilt = _others(root, [name for name in folders if name not in classes], known)
    # Classes are mixed: records are read as a stream.
    ordered = [[row for _, row in sorted(side, key=lambda pair: rank(seed, pair[0]))] for side in (train, test)]
    return Splits(
        ordered[0],
        ordered[1],
        root.name,
        outliers=outliers.choose(others, rotation),
        notes=tuple(filter(None, (_said(left_out), spoilt))),
    )


def _by_content(files: Mapping[str, Sequence[Path]]) -> dict[str, dict[str, list[Path]]]:
    """The photos of each class by the hash of their content. JobError names those broken, or in two classes."""
    broken: list[str] = []
    copies: dict[str, dict[str, list[Path]]] = {}
    owner: dict[str, Path] = {}
    for name, paths in files.items():
        by_hash: dict[str, list[Path]] = defaultdict(list)
        for path in paths:
            try:
                content = hashlib.sha256(read_photo(path)).hexdigest()
            except PhotoError as error:
                broken.append(f"{name}/{path.name} {error}")
                continue
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
    return copies


def _others(root: Path, folders: Sequence[str], known: set[str]) -> tuple[dict[str, list[Load]], str]:
    """Photos of the folders that were not asked for, without copies of `known` ones or of each other.

    Those that cannot be used are left out, and the second value says how many.
    """
    found: dict[str, list[Load]] = {}
    seen, spoilt = set(known), 0
    for name, paths in photo_files(root, folders)[0].items():
        different: list[Load] = []
        for path in paths:
            try:
                content = hashlib.sha256(read_photo(path)).hexdigest()
            except PhotoError:
                spoilt += 1
                continue
            if content not in seen:
                different.append(path.read_bytes)
            seen.add(content)
        if different:
            found[name] = different
    return found, f"left out: {spoilt} photos of other classes that cannot be read" if spoilt else ""


def _said(left_out: Sequence[Path], before: str = "") -> str:
    """How many files were left out, by how their names end; empty when none were."""
    if not left_out:
        return ""
    endings = Counter(path.suffix.lower() or "no ending" for path in left_out)
    kinds = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(5))
    return f"{before}left out: {len(left_out)} files whose names do not end in {', '.join(SUFFIXES)} ({kinds})"
