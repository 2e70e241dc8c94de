"""The objects that are on disk, found at the start in one walk; each is described in memory when it is first asked for.

Unpatched, MiniStack describes all of them while it is imported, and walks each bucket twice.
"""

import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localcloud.ministack.private_names import find_names
from localcloud.ministack.s3_folders import Folders
from localcloud.ministack.s3_keys import objects_of

SIDECAR = ".meta.json"
KEPT = ("parts", "checksum_type")
"""What MiniStack's descriptions of an object on disk, and of its versions, lack."""
_NAMES = (
    "S3_PERSIST", "_load_persisted_data", "_load_persisted_bucket", "_load_persisted_history",
    "_load_persisted_delete_marker", "_version_entry_from_record", "_object_versions._data", "_buckets._data",
    "_ENCODED_KEYS_DIR", "md5_hash", "now_iso", "url_unquote",
)  # fmt: skip
_PIECE = 65536
_HISTORY = ("versions", "tags", "acl", "annotations")
# What makes a sidecar more than the description of an object and of its versions.
_AT_ONCE = (b'"is_delete_marker"', b'"tags"', b'"acl"', b'"annotations"')


def load(s3: Any, note: Path) -> None:
    """Let ministack.services.s3, imported without S3_PERSIST, keep objects on disk; those that are there are found.

    s3_lists must have been installed. `note` is the file of what starts know of the folders.
    """
    find_names(s3, *_NAMES)
    folders = Folders(note, s3.DATA_DIR)
    s3._load_persisted_bucket = functools.partial(_load_bucket, s3, folders)
    s3.S3_PERSIST = True
    s3._load_persisted_data()
    folders.write()


def _load_bucket(s3: Any, folders: Folders, account: str, name: str, folder: str) -> None:
    """Find a bucket's objects; replaces MiniStack's function of the arguments from `account` on."""
    with os.scandir(folder) as found:
        if next(found, None) is None:
            return
    bucket = s3._buckets._data.setdefault((account, name), {"created": s3.now_iso(), "objects": {}, "region": None})
    objects, versions = objects_of(bucket), s3._object_versions._data.of(account, name)

    def describe(key: str) -> None:
        take(s3, bucket, (account, name, key), f"{folder}/{key}")
        versions.not_later(key)

    encoded = f"{folder}/{s3._ENCODED_KEYS_DIR}"
    for place, names in _walk(folder):
        if place == encoded or place.startswith(f"{encoded}/"):
            continue
        prefix = f"{place}/"[len(folder) + 1 :]
        at_once = set(folders.names(place, functools.partial(_unusual, place, names)))
        for file in names:
            if file in at_once:
                take(s3, bucket, (account, name, prefix + file.removesuffix(SIDECAR)), f"{place}/{file}")
            elif not file.endswith((SIDECAR, ".tmp")):
                objects.defer(prefix + file, describe)
                versions.defer(prefix + file, describe)
    # Keys that are no paths; such a key that is in both places is this one.
    for path in sorted(Path(encoded).glob("*")):
        file, plain = path.name, path.name.removesuffix(SIDECAR)
        if not file.endswith(".tmp") and (plain == file or not Path(encoded, plain).exists()):
            key = parsed(f"{encoded}/{plain}{SIDECAR}").get("key") or s3.url_unquote(plain)
            take(s3, bucket, (account, name, key), f"{encoded}/{file}")


def _walk(folder: str) -> Iterator[tuple[str, dict[str, None]]]:
    """A folder and those below it, with the names of the files in each."""
    waiting = [folder]
    while waiting:
        place, names = waiting.pop(), dict[str, None]()
        with os.scandir(place) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    names[entry.name] = None
        yield place, names


def _unusual(folder: str, names: dict[str, None]) -> list[str]:
    """The files of a folder that tell more than what an object and its versions are, by their sidecar or for want of
    it, and sidecars without a file.
    """
    found = []
    for name in names:
        if name.endswith(SIDECAR):
            if name.removesuffix(SIDECAR) not in names:
                found.append(name)
        elif not name.endswith(".tmp"):
            text = read(f"{folder}/{name}{SIDECAR}") if name + SIDECAR in names else b""
            if not text or any(member in text for member in _AT_ONCE):
                found.append(name)
    return found


def read(path: str) -> bytes:
    """The bytes of a file, in fewer calls than Python's files take."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = piece = os.read(descriptor, _PIECE)
        while len(piece) == _PIECE:
            piece = os.read(descriptor, _PIECE)
            text += piece
        return text
    finally:
        os.close(descriptor)


def parsed(sidecar: str) -> dict[str, Any]:
    """What a sidecar says; nothing if there is none, or it is no JSON."""
    try:
        meta = json.loads(read(sidecar))
    except (FileNotFoundError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}


def take(s3: Any, bucket: dict[str, Any], place: tuple[str, str, str], file: str) -> None:
    """Describe in memory what is on disk of a key; `place` are its account, bucket and key.

    `file` has its bytes, and a sidecar beside it. Or it is a sidecar without bytes: of a delete marker, or of nothing.
    """
    account, name, key = place
    meta = parsed(file.removesuffix(SIDECAR) + SIDECAR)
    if meta.get("is_delete_marker"):
        s3._load_persisted_delete_marker(account, bucket, name, meta.get("key") or key, meta)
    elif not file.endswith(SIDECAR):
        record = _record(s3, meta, file)
        if not objects_of(bucket).is_made(key):
            bucket["objects"][key] = record
        if record.get("version_id"):
            meta.setdefault("versions", [s3._version_entry_from_record(record, record["version_id"], None)])
        if any(member in meta for member in _HISTORY):
            s3._load_persisted_history(account, bucket, name, key, meta)


def _record(s3: Any, meta: dict[str, Any], file: str) -> dict[str, Any]:
    """What MiniStack keeps of an object in memory."""
    size, etag = meta.get("size"), meta.get("etag")
    if size is None or not etag:
        data = Path(file).read_bytes()
        size, etag = len(data), etag or f'"{s3.md5_hash(data)}"'
    return {
        "body": None,
        "content_type": meta.get("content_type", "application/octet-stream"),
        "content_encoding": meta.get("content_encoding"),
        "etag": etag,
        "last_modified": meta.get("last_modified") or s3.now_iso(),
        "size": size,
        "metadata": meta.get("metadata", {}),
        "preserved_headers": meta.get("preserved_headers", {}),
        "storage_class": meta.get("storage_class", "STANDARD"),
        "checksums": meta.get("checksums", {}),
        **{name: meta[name] for name in ("version_id", *KEPT) if meta.get(name)},
    }
