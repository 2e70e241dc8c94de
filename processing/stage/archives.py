"""Reads archives in CIFAR-100's python format, without unpacking them to disk and without trusting them."""

from __future__ import annotations

import gzip
import hashlib
import io
import reprlib
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from processing.datasets import Load
from processing.gunzip import opened_tar
from processing.job import JobError
from processing.stage import outliers
from processing.stage.plain_pickle import PlainArray, load_plain_pickle
from processing.stage.rows import Row, Splits, some

MEMBERS = ("meta", "test", "train")
MAX_MEMBER_BYTES = 256 << 20  # the whole CIFAR-100 `train` is 155 MB
MAX_ARCHIVE_BYTES = 512 << 20  # unpacked
MAX_MEMBERS = 100


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """Name and content of the members that matter; anything that could lead out of the archive is refused."""
    for count, member in enumerate(tar):
        if count >= MAX_MEMBERS:
            raise JobError(f"holds more than {MAX_MEMBERS} members")
        if member.name.startswith("/") or ".." in member.name.split("/") or "\\" in member.name:
            raise JobError(f"holds the path {member.name!r:.120}, which climbs out of it")
        if member.isdir():
            continue
        if not member.isreg() or member.issparse():
            raise JobError(f"holds {member.name!r:.120}, which is a link or a special file")
        if member.size > MAX_MEMBER_BYTES:
            raise JobError(f"holds {member.name!r:.120} of {member.size} bytes; the limit is {MAX_MEMBER_BYTES}")
        name = member.name.rsplit("/", 1)[-1]
        content = tar.extractfile(member)
        if name in MEMBERS and content is not None:
            data = content.read()
            if len(data) != member.size:
                raise EOFError(f"{name} has {len(data)} of {member.size} bytes")
            yield name, data


def read_archive(path: Path) -> dict[str, dict[bytes, Any]]:
    """Reads `train`, `test` and `meta` of an archive in CIFAR-100's python format, without unpacking it to disk.

    Returns the three pickled dictionaries with bytes keys. Format: https://www.cs.toronto.edu/~kriz/cifar.html
    """
    found: dict[str, dict[bytes, Any]] = {}
    try:
        with opened_tar(path, MAX_ARCHIVE_BYTES) as tar:
            for name, data in _members(tar):
                found[name] = _load_member(name, data)
    except JobError as error:
        raise JobError(f"The archive {path.name} {error}.") from error
    except (EOFError, tarfile.TarError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError) as error:
        raise JobError(f"The archive {path.name} is truncated or damaged ({error}); fetch it again.") from error
    missing = [name for name in MEMBERS if name not in found]
    if missing:
        raise JobError(f"The archive {path.name} lacks {', '.join(missing)}: not CIFAR-100's python format.")
    return found


def _load_member(name: str, data: bytes) -> dict[bytes, Any]:
    """Unpickle a member of the archive into a dictionary with bytes keys; JobError when it is refused."""
    try:
        content = load_plain_pickle(data)
    except JobError as error:
        raise JobError(f"is refused: its {name!r} {error}") from error
    if type(content) is not dict:
        raise JobError(f"holds {name!r}, which is not a dictionary")
    # Python 3 may have written text keys.
    return {key.encode() if isinstance(key, str) else key: value for key, value in content.items()}


def class_names(meta: dict[bytes, Any]) -> list[str]:
    """Names of the fine labels, by number."""
    names = meta.get(b"fine_label_names")
    if type(names) is not list or not names or not all(type(name) in (bytes, str) for name in names):
        raise JobError("'meta' has no list 'fine_label_names'.")
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else name for name in names]


def _check_rows(split: str, content: dict[bytes, Any], classes: int) -> tuple[np.ndarray[Any, Any], list[int]]:
    """Return a split's pixels, (rows, 3072) uint8, and labels; JobError for another shape or an unknown label."""
    data = content.get(b"data")
    pixels = data.value if isinstance(data, PlainArray) and hasattr(data, "value") else None
    labels = content.get(b"fine_labels")
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3072:
        what = "missing" if pixels is None else f"{pixels.dtype} of shape {pixels.shape}"
        raise JobError(f"'{split}' should hold 'data' as uint8 of shape (rows, 3072); it is {what}.")
    if type(labels) is not list or len(labels) != len(pixels):
        count = len(labels) if type(labels) is list else "no"
        raise JobError(f"'{split}' has {len(pixels)} rows of pixels and {count} fine labels.")
    for row, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < classes:
            raise JobError(f"'{split}' row {row} has the label {reprlib.repr(label)}, outside 0 to {classes - 1}.")
    return pixels, labels


def png_bytes(pixels: np.ndarray[Any, Any]) -> bytes:
    """Lossless PNG of one CIFAR row: 3,072 bytes, colour planes R, G, B of 32 x 32."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels.reshape(3, 32, 32).transpose(1, 2, 0))).save(out, "PNG")
    return out.getvalue()


def _key(pixels: np.ndarray[Any, Any]) -> bytes:
    """SHA-256 of a photo's pixels, to find equal photos."""
    return hashlib.sha256(pixels.tobytes()).digest()


def archive_classes(path: Path) -> set[str]:
    """The classes that the archive has both training and test photos of. JobError when it is not as it should be."""
    content = read_archive(path)
    names = class_names(content["meta"])
    shown = [set(_check_rows(split, content[split], len(names))[1]) for split in ("test", "train")]
    return {names[label] for label in shown[0] & shown[1]}


def archive_splits(path: Path, classes: Sequence[str], rotation: int) -> Splits:
    """Photos of the chosen classes, split as the archive splits them, without training photos that are test photos.

    The other classes that the archive has photos of become outliers; `rotation` as in outliers.divide. JobError when
    the archive is not as it should be, or has no photos of a class.
    """
    content = read_archive(path)
    names = class_names(content["meta"])
    unknown = [name for name in classes if name not in names]
    if unknown:
        raise JobError(f"The archive has no class {unknown[0]!r}; it names {some(sorted(names))}.")
    index = {names.index(name): label for label, name in enumerate(classes)}
    splits = {split: _check_rows(split, content[split], len(names)) for split in ("test", "train")}
    rows: dict[str, list[Row]] = {}
    used: set[bytes] = set()
    for split, (pixels, labels) in splits.items():
        keys = {row: _key(pixels[row]) for row, label in enumerate(labels) if label in index}
        rows[split] = [
            Row(index[labels[row]], partial(png_bytes, pixels[row])) for row, key in keys.items() if key not in used
        ]
        used |= set(keys.values())  # what is tested with is not learned from, whatever the archive says
        empty = [name for label, name in enumerate(classes) if all(row.label != label for row in rows[split])]
        if empty:
            raise JobError(f"The archive has no {split} photos of {', '.join(empty)}; choose other classes.")
    others: dict[str, list[Load]] = defaultdict(list)
    for pixels, labels in splits.values():
        for row, label in enumerate(labels):
            if label not in index and (key := _key(pixels[row])) not in used:
                others[names[label]].append(partial(png_bytes, pixels[row]))
                used.add(key)
    batch = content["train"].get(b"batch_label")
    return Splits(
        rows["train"],
        rows["test"],
        path.name,
        drawn=type(batch) is bytes and b"drawn samples" in batch,
        outliers=outliers.choose(others, rotation),
    )
