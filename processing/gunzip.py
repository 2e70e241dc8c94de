"""Reads compressed archives member by member, with limits: a small file can unpack to terabytes."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from processing.job import JobError

FREE_BYTES = 64 << 20  # unpack to this whatever the ratio
MAX_RATIO = 100  # of unpacked to packed beyond; photos and weights hardly shrink at all


class _Bounded:
    """A decompressed stream, up to a limit."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self.stream, self.left, self.limit = stream, limit, limit

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes; JobError once more than the limit came out."""
        data = self.stream.read(min(size, self.left + 1) if size >= 0 else self.left + 1)
        self.left -= len(data)
        if self.left < 0:
            raise JobError(f"unpacks to more than {self.limit >> 20} MiB")
        return data


@contextmanager
def opened_tar(path: Path, most: int) -> Iterator[tarfile.TarFile]:
    """The tar.gz at `path` as a stream that never seeks: each byte is decompressed once and counted once.

    JobError ("unpacks to more than ...", without the name) as soon as more than `most` bytes came out, or more than
    MAX_RATIO times the file's size where that is above FREE_BYTES. On leaving, the rest is read: gzip keeps its
    checksum at the end. Damage raises EOFError, tarfile.TarError, zlib.error, gzip.BadGzipFile, ValueError or
    OverflowError.
    """
    limit = min(most, max(FREE_BYTES, MAX_RATIO * path.stat().st_size))
    with gzip.open(path, "rb") as unzipped:
        bounded = _Bounded(unzipped, limit)
        with tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r|", bufsize=1 << 18) as tar:
            yield tar
        while bounded.read(1 << 20):
            pass
