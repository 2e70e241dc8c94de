"""Finds the photos to learn from: what the user names, the CIFAR-100 archive, or drawn samples in its place.

In this order: the archive or folder that is named; `CIFAR100_ARCHIVE`; the cache; a download; drawn samples, saying
why. What the cache and the download give must have the archive's md5; what the user names is taken as it is, and the
Stage step reads it without trusting it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import unicodedata
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadingbay.data import download
from loadingbay.data.download import CIFAR_100, DataError, Source
from loadingbay.data.files import SUFFIXES, photos_among, printable, require_text
from pipelines.parameters import CLASS_NAME

ARCHIVE_NAME = "cifar-100-python.tar.gz"
DRAWN_NAME = "drawn-samples.tar.gz"  # as loadingbay.data.samples writes it into the file
MAX_PHOTOS = 200_000
SMALL = 1 << 20  # hashing a smaller file again is quicker than remembering it

__all__ = ["CIFAR_100", "Data", "DataError", "Source", "acquire", "cache_folder"]


@dataclass(frozen=True)
class Data:
    """Photos to learn from. `files` are (name below the data's prefix, local path); `sha256` is of what is in them."""

    label: str  # "cifar-100", "drawn samples" or "photos"
    sha256: str
    files: tuple[tuple[str, Path], ...]
    origin: str  # one line for a person

    @property
    def path(self) -> Path:
        """The archive, or the first photo."""
        return self.files[0][1]


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where downloads and drawn samples are kept."""
    base = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or Path.home()) / ".cache"
    return Path(base) / "loadingbay"


def acquire(
    named: Path | None,
    *,
    environment: Mapping[str, str],
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
    source: Source = CIFAR_100,
) -> Data:
    """Returns the data to learn from; `progress(done, total)` counts bytes, by default `say` shows a bar.

    Raises DataError: a named input is missing, empty or no archive or folder of two classes; a download has a wrong
    md5; the cache cannot be written.
    """
    cache = cache or cache_folder(environment)
    digests = _Digests(cache / "digests.json")
    try:
        if named is not None:
            return _named(named, str(named), digests)
        if environment.get("CIFAR100_ARCHIVE"):
            path = Path(environment["CIFAR100_ARCHIVE"]).expanduser()
            return _named(path, f"CIFAR100_ARCHIVE={path}", digests)
        return _found(cache, source, digests, progress or _bar(say), say)
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        raise DataError(f"reading or writing{place} failed ({error.strerror}); the cache is {cache}") from error
    finally:
        digests.save()


# --- what the user names -----------------------------------------------------------------------------------------


def _named(path: Path, origin: str, digests: _Digests) -> Data:
    """Return the data at `path`, an archive or a folder; DataError, which names `origin`, for anything else."""
    if path.is_dir():
        return _folder(path, origin, digests)
    if not path.exists():
        raise DataError(f"{origin}: there is no such archive or folder")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise DataError(f"{origin}: the file is empty; it should be an archive in CIFAR-100's python format")
    if not head.startswith(b"\x1f\x8b"):
        raise DataError(f"{origin}: not a .tar.gz; it should be an archive in CIFAR-100's python format, or a folder")
    drawn = DRAWN_NAME.removesuffix(".gz").encode() in head  # gzip keeps the name it had
    return _archive(path, "drawn samples" if drawn else "cifar-100", origin, digests)


def _archive(path: Path, label: str, origin: str, digests: _Digests) -> Data:
    # One name for all archives: one prefix holds one archive whatever the file was called.
    return Data(label, digests.of(path, "sha256"), ((ARCHIVE_NAME, path),), origin)


def _folder(root: Path, origin: str, digests: _Digests) -> Data:
    """Photos in `root/<class>/`, sorted; the hash is over their names and contents."""
    inside = root.resolve()
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    listed = photos_among(path for folder in folders for path in sorted(folder.iterdir()) if not path.is_dir())
    files: list[tuple[str, Path]] = []
    for path in listed.photos:
        require_text(path)
        name = f"{path.parent.name}/{path.name}"
        if not path.resolve().is_relative_to(inside):
            raise DataError(f"{origin}: {name} is a link that leads out of the folder; copy the photo instead")
        if path.is_file():
            files.append((name, path))
    classes = sorted({name.partition("/")[0] for name, _ in files})
    for name in classes:
        if not CLASS_NAME.fullmatch(name):
            plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
            other = re.sub("[^A-Za-z0-9_-]+", "-", plain).strip("-")[:64]
            example = f", for example to {other}" if other and other not in classes else ""
            raise DataError(
                f"{origin}: the folder {name!r} cannot be a class: its name must be 1 to 64 ASCII letters, digits, - "
                f"and _; rename it{example}"
            )
    if len(classes) < 2:
        what = f"photos of one class only, {classes[0]!r}" if classes else "no photos"
        raise DataError(
            f"{origin}: the folder has {what}; two or more are needed, as <class>/*.png, *.jpg or *.jpeg{listed.remark}"
            f"{_instead(root)}"
        )
    if len(files) > MAX_PHOTOS:
        raise DataError(f"{origin}: {len(files):,} photos are more than the {MAX_PHOTOS:,} that can be staged")
    whole = hashlib.sha256()
    for name, path in files:
        whole.update(f"{name}\0{digests.of(path, 'sha256')}\n".encode())
    counted = f"{len(files):,} photos of {', '.join(classes[:5])}" + (" and more" if len(classes) > 5 else "")
    return Data("photos", whole.hexdigest(), tuple(files), f"{counted} in {origin}{listed.remark}")


def _instead(root: Path) -> str:
    """What the user may have meant by a folder without photos of two classes; "" if there is nothing to say."""
    archives = sorted(path.name for path in root.iterdir() if path.name.endswith((".tar.gz", ".tgz")))
    if archives:
        return f"; if the archive in it, {printable(Path(archives[0]))}, was meant, name that"
    if any((folder / "meta").is_file() and (folder / "train").is_file() for folder in (root, *root.iterdir())):
        return "; this is an archive that was unpacked: name the .tar.gz itself"
    if photos_among(root.iterdir()).photos:
        return "; there are photos in the folder itself: move those of each class into a folder of its name"
    deeper = sorted({path.parent.parent.name for path in root.glob("*/*/*") if path.suffix.lower() in SUFFIXES})
    return f"; there are photos one folder deeper: name {printable(root / deeper[0])}" if deeper else ""


# --- the archive, or what takes its place ------------------------------------------------------------------------


def _found(
    cache: Path, source: Source, digests: _Digests, progress: Callable[[int, int], None], say: Callable[[str], None]
) -> Data:
    """Return the CIFAR-100 archive from the cache or the network, else drawn samples, and `say` why."""
    cached, remark = cache / ARCHIVE_NAME, ""
    if cached.exists():
        md5 = digests.of(cached, "md5")
        if md5 == source.md5:
            return _archive(cached, "cifar-100", f"CIFAR-100 from the cache, {cached}", digests)
        aside = cached.with_name(f"{cached.name}.wrong-md5-{md5[:8]}")
        cached.replace(aside)
        remark = f"the cached archive has md5 {md5} instead of {source.md5} and was set aside as {aside}; "
        say(remark.rstrip("; "))
    try:
        download.fetch(source, cached, progress)
    except download.Unreachable as error:
        reason = f"{remark}CIFAR-100 could not be downloaded from {source.host} ({error})"
    else:
        return _archive(cached, "cifar-100", f"{remark}CIFAR-100, downloaded from {source.host} to {cached}", digests)
    say(f"{reason}; drawing samples instead")
    return _archive(_drawn(cache, say), "drawn samples", f"drawn samples, because {reason}", digests)


def _drawn(cache: Path, say: Callable[[str], None]) -> Path:
    """The drawn archive, made when the cache has none of this very code or a damaged one."""
    from loadingbay.data import samples  # takes a moment to import, and is seldom needed

    code = sorted(Path(samples.__file__).parent.glob("*.py"))
    version = hashlib.sha256(b"".join(path.read_bytes() for path in code)).hexdigest()[:12]
    path = cache / f"{version}-{DRAWN_NAME}"
    if _intact(path):
        return path
    done = 0

    def drew() -> None:
        nonlocal done
        done += 1
        if done % 100 == 0:
            say(f"drawing samples: {done:,} photos")

    samples.write_archive(path, progress=drew)
    return path


def _intact(path: Path) -> bool:
    """Whether the gzip file can be read to its end, checksum included."""
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error):
        return False
    return True


def _bar(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """A progress bar in one line of text, told once a percent."""
    told = -1

    def progress(done: int, total: int) -> None:
        nonlocal told
        percent = min(100, 100 * done // max(total, 1))
        if percent != told:
            told = percent
            bar = "━" * (percent // 5) + "╌" * (20 - percent // 5)
            say(f"downloading CIFAR-100 {bar} {percent} % of {total / 1e6:.0f} MB")

    return progress


class _Digests:
    """Hashes of large files, remembered by path, size and time of change: a rerun does not read them again."""

    def __init__(self, path: Path) -> None:
        self._path, self._changed = path, False
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            known = {}
        self._known: dict[str, dict[str, Any]] = known if isinstance(known, dict) else {}

    def of(self, path: Path, algorithm: str) -> str:
        """The hexadecimal digest of a file's content."""
        key, state = str(path.resolve()), path.stat()
        seen = {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "inode": state.st_ino}
        known = self._known.get(key)
        if not isinstance(known, dict) or {name: known.get(name) for name in seen} != seen:
            known = dict(seen)
        if not isinstance(known.get(algorithm), str):
            with path.open("rb") as file:
                # md5 is what the archive's publisher gives; it finds damage, and is no signature.
                known[algorithm] = hashlib.file_digest(
                    file, lambda: hashlib.new(algorithm, usedforsecurity=False)
                ).hexdigest()
            if state.st_size >= SMALL:
                self._known[key], self._changed = known, True
        return str(known[algorithm])

    def save(self) -> None:
        """Keeps what was learned; where the cache cannot be written, it is learned again next time."""
        if not self._changed:
            return
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(self._known))
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)
