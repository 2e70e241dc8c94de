"""Writes tar.gz files whose bytes depend on their contents alone: sorted, without times and owners."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from localcloud.jobs.failure import JobError

_NO_MATTER = 16 * 2**20
"""Bytes for which the disk's free space is not asked."""


def collect(roots: Sequence[Path]) -> dict[str, Path]:
    """Return the regular files under `roots` by relative path, sorted; if two roots hold the same path, the first wins.

    Symbolic links are skipped, because they may point outside the job's directory; JobError where a job has put one in
    the place of a root, or of a directory above it.
    """
    found: dict[str, Path] = {}
    for root in roots:
        link = replaced(root)
        if link is not None:
            raise JobError(
                "ClientError",
                f"The job has put a symbolic link in the place of its directory {link.name!r}: outputs are taken from "
                "the job's own directories only.",
            )
        for folder, _, names in os.walk(root):
            for name in names:
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    found.setdefault(path.relative_to(root).as_posix(), path)
    return dict(sorted(found.items()))


def replaced(path: Path) -> Path | None:
    """The symbolic link at a path of a job, or above it up to its /opt/ml; None if there is none.

    A job makes links as it likes, and what follows them is not held by its sandbox.
    """
    above = (path, *path.parents)
    # The outermost: a job can make directories of these names.
    top = next((place for place in reversed(above) if place.parts[-2:] == ("opt", "ml")), path.parent)
    return next((place for place in above if top in place.parents and place.is_symlink()), None)


def check_space(files: Iterable[Path]) -> None:
    """JobError if the disk has no space for a copy of these files, which S3 keeps on the same one.

    A sparse file takes no space until it is copied: a job can make one that is larger than any disk.
    """
    sizes = {path: path.stat().st_size for path in files}
    size = sum(sizes.values())
    largest = max(sizes, key=sizes.__getitem__, default=None)
    if largest is not None and size > _NO_MATTER and size > (free := shutil.disk_usage(largest.parent).free):
        raise JobError(
            "ClientError",
            f"The job's outputs have {size:,} bytes (the largest file, {largest.name!r}, {sizes[largest]:,}), and the "
            f"disk has {free:,} bytes free: write less, or free some space.",
        )


def write_tar_gz(files: dict[str, Path], target: Path) -> None:
    """Write the tar.gz file `target` from `files` (name in the archive -> file on disk); JobError for want of space."""
    check_space(files.values())
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, path in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = path.stat().st_size
            entry.mode = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)
