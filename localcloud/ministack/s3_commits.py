"""Puts to S3 that one step commits: after a kill an object is the old one or the new one, never a mix.

MiniStack renames an object's bytes and then its sidecar (`KEY.meta.json`: size, ETag, version): a kill between the two
leaves new bytes under an old description. Here a put writes both beside the objects and then creates a link that names
the object's path, which commits it; then both are moved. A start moves what was committed and removes the rest.
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localcloud.ministack.private_names import find_names
from localcloud.ministack.s3_files import FileBytes
from localcloud.ministack.s3_loading import SIDECAR, read, take
from localcloud.ministack.s3_requests import free_later, on_disk
from localcloud.settings import DiskError
from localcloud.state.damage import damaged

logger = logging.getLogger("localcloud")

_VERSIONS = ".versions"
_NAMES = (
    "_persist_object", "_persist_displaced_version", "_object_disk_path", "_object_meta_from_record",
    "_key_history_meta", "_atomic_write", "_remove_key_files", "_other_key_disk_path", "_version_disk_path",
    "_delete_version_file", "_ensure_bucket", "_object_versions", "_put_object", "get_account_id", "DATA_DIR",
    "_record_object_version", "_bucket_versioning", "_object_tags", "_object_acl",
)  # fmt: skip


class Commits:
    """The folder in which puts are prepared and committed; on the file system of the objects."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def put(self, path: str, data: bytes | FileBytes, sidecar: str) -> None:
        """Replace an object's bytes and its sidecar, both or neither. OSError if there is no room: nothing changed."""
        prepared = self.folder / uuid.uuid4().hex
        body, meta, commit = (prepared.with_suffix(suffix) for suffix in (".body", ".meta", ".commit"))
        try:
            if isinstance(data, FileBytes):
                data.write_to(body)
            else:
                _write(body, data)
            _write(meta, sidecar.encode())
            commit.symlink_to(path)
        except BaseException:
            for file in (body, meta):
                file.unlink(missing_ok=True)
            raise
        self._finish(commit)

    def recover(self) -> int:
        """Finish puts that were committed when the process ended and remove those that were not; how many committed."""
        commits = list(self.folder.glob("*.commit"))
        for commit in commits:
            if why := self._cut(commit):
                logger.error("S3: the last put of %s is lost by a crash of the machine: %s", commit.readlink(), why)
            else:
                self._finish(commit)
        for file in self.folder.iterdir():
            file.unlink()
        return len(commits)

    @staticmethod
    def _cut(commit: Path) -> str:
        """What of a committed put was not on the disk when the machine ended; empty after a mere kill."""
        body, sidecar = commit.with_suffix(".body"), commit.with_suffix(".meta")
        if not sidecar.exists():
            return ""
        try:
            meta = json.loads(sidecar.read_text(encoding="utf-8"))
        except ValueError as error:
            return str(error)
        return _differs(body, meta, content=False) if body.exists() else ""

    def _finish(self, commit: Path) -> None:
        """Move the bytes and the sidecar of a committed put to their places."""
        path = commit.readlink()
        sidecar = path.with_name(path.name + SIDECAR)
        for part, target in ((commit.with_suffix(".body"), path), (commit.with_suffix(".meta"), sidecar)):
            if part.exists():
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                free_later(target, self.folder)
                part.replace(target)
                part.unlink(missing_ok=True)  # two names of one file: replacing one by the other leaves both
        commit.unlink()


def _write(path: Path, data: bytes) -> None:
    path.touch(0o600, exist_ok=False)
    path.write_bytes(data)


def install(s3: Any, commits: Commits) -> None:
    """Patch ministack.services.s3 to write objects by `commits`; DiskError where one cannot be written."""
    find_names(s3, *_NAMES)

    @functools.wraps(s3._persist_object)
    def persist(bucket: str, key: str, record: dict[str, Any]) -> None:
        """Write an object and its metadata: after a kill both are there or neither. DiskError if the disk refuses.

        Replaces MiniStack's function of the same arguments. On an error what was stored before is read again.
        """
        path, data = s3._object_disk_path(bucket, key), record.get("body")
        if path is None:
            return
        history = s3._key_history_meta(bucket, key)
        sidecar = json.dumps({**s3._object_meta_from_record(record), **history, "key": key})
        try:
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if data is None:
                # Of the bytes that are there already, e.g. its tags changed.
                s3._atomic_write(path + SIDECAR, sidecar, text=True)
            else:
                commits.put(path, on_disk(data, commits.folder), sidecar)
            s3._remove_key_files(
                s3._other_key_disk_path(str(Path(s3.DATA_DIR, s3.get_account_id(), bucket)), key, path)
            )
        except (OSError, DiskError) as error:
            _read_again(s3, bucket, key, path)
            raise DiskError(
                f"s3://{bucket}/{key} could not be written: {getattr(error, 'strerror', None) or error}"
            ) from error
        record["body"] = None
        for version in s3._object_versions.get((bucket, key)) or []:
            if "data" in version:
                version["data"] = None  # on disk, as an object or as a displaced version

    @functools.wraps(s3._persist_displaced_version)
    def keep_displaced(bucket: str, key: str, prior: dict[str, Any] | None, versioning: str) -> None:
        """Keep the bytes of the version that a put or a delete marker displaces, under its version id."""
        if versioning == "Suspended":
            s3._delete_version_file(bucket, key, "null")
        version = "" if prior is None else prior.get("version_id") or "null"
        if prior is None or (versioning == "Suspended" and version == "null"):
            return
        kept, source = s3._version_disk_path(bucket, key, version), s3._object_disk_path(bucket, key)
        if kept is None or source is None or Path(kept).exists():
            return
        try:
            Path(kept).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if prior.get("body") is not None:
                s3._atomic_write(kept, bytes(prior["body"]))
            elif Path(source).stat().st_size == prior["size"]:
                # Bytes are replaced, never changed, so both names may have the same.
                Path(kept).hardlink_to(source)
            else:
                logger.error("s3://%s/%s: version %s is not kept, its bytes are not there", bucket, key, version)
        except OSError as error:
            _read_again(s3, bucket, key, source)
            raise DiskError(f"version {version} of s3://{bucket}/{key} could not be kept: {error.strerror}") from error

    put_object, remove_files, record_version = s3._put_object, s3._remove_key_files, s3._record_object_version

    @functools.wraps(remove_files)
    def remove(path: str | None) -> None:
        """Remove the bytes and the sidecar of an object, if they are there."""
        if path:
            free_later(Path(path), commits.folder)
        remove_files(path)

    @functools.wraps(put_object)
    def put(bucket: str, key: str, body: bytes, headers: dict[str, str]) -> Any:
        """PutObject; a large body is written in a thread before anything is changed."""
        on_disk(body, commits.folder)
        return put_object(bucket, key, body, headers)

    @functools.wraps(record_version)
    def record(bucket: str, key: str, *written: Any) -> Any:
        """Note the version that a put makes. Tags and access list of an object that it replaces are gone, as on AWS."""
        if s3._bucket_versioning.get(bucket) != "Enabled":
            for store in (s3._object_tags, s3._object_acl):
                store.pop((bucket, key, None), None)
        return record_version(bucket, key, *written)

    s3._put_object, s3._remove_key_files, s3._record_object_version = put, remove, record
    s3._persist_object, s3._persist_displaced_version = persist, keep_displaced


def _read_again(s3: Any, bucket: str, key: str, path: str) -> None:
    """Make memory show the object that is on disk: the put that would replace it failed."""
    held = s3._ensure_bucket(bucket)
    held["objects"].pop(key, None)
    s3._object_versions.pop((bucket, key), None)
    with contextlib.suppress(OSError):
        take(s3, held, (s3.get_account_id(), bucket, key), path)


def repair(folder: Path, since: int = 0, *, after_crash: bool = False) -> list[str]:
    """Make objects readable that a kill left torn before puts were committed in one step; their paths.

    Looked at is what was written since a time, epoch nanoseconds: reading every sidecar takes long.
    Such an object is newer than its sidecar, and its size, or at the same size its MD5, is not that of its sidecar.
    The bytes of the version that the sidecar names are taken where they were kept; else the sidecar is changed to
    describe the bytes. Other bytes that are not those of their sidecar are damaged: StartError. Their MD5 is looked at
    only `after_crash` of the machine.
    """
    repaired: list[str] = []
    broken: list[tuple[Path, str]] = []
    for data, sidecar in _objects(str(folder), since):
        try:
            meta = json.loads(read(sidecar.path))
        except ValueError as error:
            broken.append((Path(sidecar.path), str(error)))
            continue
        if meta.get("is_delete_marker") or meta.get("size") is None:
            continue
        # The sidecar is written last: bytes that are newer than it are of another put.
        if data.stat().st_mtime_ns > sidecar.stat().st_mtime_ns:
            if _differs(data, meta, content=True):
                _repair(Path(data), Path(sidecar), meta, _kept(folder, data, meta))
                repaired.append(data.path)
        elif why := _differs(data, meta, after_crash):
            broken.append((Path(data), why))
        for version in meta.get("versions", []):
            displaced = _kept(folder, data, version)
            if displaced.is_file() and (why := _differs(displaced, version, after_crash)):
                broken.append((displaced, why))
    if broken:
        path, why = broken[0]
        raise damaged(path, f"{why}; {len(broken)} such files" if len(broken) > 1 else why)
    return repaired


def _kept(folder: Path, data: os.DirEntry[str], version: dict[str, Any]) -> Path:
    """Where the bytes of a version of an object are if another one displaced it."""
    account, bucket, *key = Path(data).relative_to(folder).parts
    return folder.joinpath(_VERSIONS, account, bucket, version.get("version_id") or "null", *key)


def _repair(data: Path, sidecar: Path, meta: dict[str, Any], kept: Path) -> None:
    """Give a torn object the bytes that were `kept` of its version, or else a sidecar that describes its bytes."""
    if kept.is_file() and kept.stat().st_size == meta.get("size"):
        partial = data.with_name(data.name + ".tmp")
        partial.write_bytes(kept.read_bytes())
        partial.replace(data)
        return
    body = data.read_bytes()
    meta.update(size=len(body), etag=f'"{_md5(body)}"', checksums={})
    for version in meta.get("versions", []):
        if version["version_id"] == meta.get("version_id"):
            version.update(size=meta["size"], etag=meta["etag"])
    partial = sidecar.with_name(sidecar.name + ".tmp")
    partial.write_text(json.dumps(meta))
    partial.replace(sidecar)


def _objects(folder: str, since: int) -> Iterator[tuple[os.DirEntry[str], os.DirEntry[str]]]:
    """The data files that have sidecars, and these, if one was written since then; not those of displaced versions."""
    folders = [folder]
    while folders:
        place = folders.pop()
        changed = Path(place).stat().st_mtime_ns >= since
        with os.scandir(place) as found:
            entries = {entry.name: entry for entry in found if changed or entry.is_dir(follow_symlinks=False)}
        for name, entry in entries.items():
            sidecar = entries.get(name + SIDECAR)
            if entry.is_dir(follow_symlinks=False):
                if entry.path != f"{folder}/{_VERSIONS}":
                    folders.append(entry.path)
            elif sidecar and max(entry.stat().st_mtime_ns, sidecar.stat().st_mtime_ns) >= since:
                yield entry, sidecar


def _differs(data: Path | os.DirEntry[str], meta: dict[str, Any], content: bool) -> str:
    """How a file differs from the bytes that `meta` describes, their `content` too if asked for; empty if not."""
    size, etag = data.stat().st_size, str(meta.get("etag", "")).strip('"')
    if meta.get("size") is not None and size != meta["size"]:
        return f"it has {size} bytes, not {meta['size']}"
    # An ETag of parts is no MD5.
    return "its MD5 is not its ETag" if content and len(etag) == 32 and _md5(Path(data).read_bytes()) != etag else ""


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
