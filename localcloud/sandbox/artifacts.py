"""Unpacks untrusted model archives (.tar.gz): files and directories only, inside one directory, bounded in size."""

import errno
import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

MOST_BYTES = 5 * 1024**3
MOST_MEMBERS = 20_000
MOST_RATIO = 100
"""Unpacked bytes for each byte of the archive. gzip reaches 1,032 with zeros; weights stay below 2."""
FREE_BYTES = 256 * 1024**2
"""Up to this unpacked size the ratio is not checked."""


# Bytes for each member's header and padding, and for the end of the archive.
_MARGIN = MOST_MEMBERS * 1024 + 20_480
_LONGEST_NAME = 64 * 1024
"""Bytes of a header that holds a name or attributes: tarfile reads it whole."""
_HEADERS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
)  # fmt: skip
# What the system says of names that cannot be, or that are of a file here and of a directory there.
_OF_NAMES = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)


class ArtifactError(Exception):
    """The archive was rejected; the message names the member and what is wrong with it."""


def unpack(archive: Path, target: Path, most_bytes: int = MOST_BYTES, free_bytes: int = FREE_BYTES) -> None:
    """Unpack a .tar.gz into the new directory `target`; ArtifactError and no directory if anything in it is wrong.

    At most `most_bytes` are unpacked, and at most MOST_RATIO times the archive's size unless that is less than
    `free_bytes`; headers count too. OSError if it cannot be read, or the files not be written.
    """
    target.mkdir(parents=True)
    try:
        _unpack(archive, target, min(most_bytes, max(free_bytes, MOST_RATIO * archive.stat().st_size)))
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in _OF_NAMES:
            raise ArtifactError(f"a member cannot have its name ({error.strerror})") from error
        if isinstance(error, OSError) and error.errno is not None:
            # An error of the disk (full, read-only), not of the archive: gzip's own errors have no errno.
            raise
        raise ArtifactError(f"it is not a whole .tar.gz archive ({error})") from error
    except ArtifactError:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _unpack(archive: Path, target: Path, most_bytes: int) -> None:
    with gzip.open(archive) as file:
        bounded = cast("IO[bytes]", _Bounded(file, most_bytes))  # tarfile calls nothing but read
        _unpack_members(bounded, target, most_bytes)
        while bounded.read(1024 * 1024):  # gzip's checksum is at its end
            pass


class _Member(tarfile.TarInfo):
    """A member of an archive; ArtifactError for a header that is too long."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return the member that a block of 512 bytes describes."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in _HEADERS and member.size > _LONGEST_NAME:
            raise ArtifactError(f"it has a header of {member.size:,} bytes, more than {_LONGEST_NAME:,}")
        return member


def _unpack_members(stream: IO[bytes], target: Path, most_bytes: int) -> None:
    """Unpack an uncompressed tar into `target`; ArtifactError for links, devices, outside paths, and above limits."""
    left = most_bytes
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar:
        for count, member in enumerate(tar, 1):
            if count > MOST_MEMBERS:
                raise ArtifactError(f"it has more than {MOST_MEMBERS} members")
            path = PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts:
                raise ArtifactError(f"its member {member.name!r} would be written outside of the model directory")
            place = target.joinpath(*path.parts)
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
            elif member.isreg():
                left -= member.size
                if left < 0:
                    raise ArtifactError(f"unpacked it is larger than {most_bytes:,} bytes")
                _write(tar, member, place)
            else:
                raise ArtifactError(
                    f"its member {member.name!r} is neither a file nor a directory (a link or a device)"
                )


class _Bounded:
    """Reads a stream; ArtifactError once more than `most_bytes`, and the blocks that tar rounds up to, were read."""

    def __init__(self, stream: gzip.GzipFile, most_bytes: int) -> None:
        self._stream, self._most, self._left = stream, most_bytes, most_bytes + _MARGIN

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes; ArtifactError once more than the limit was read."""
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ArtifactError(f"unpacked it is larger than {self._most:,} bytes")
        return data


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    """Write a member of the archive to a file, executable if the archive says so for its owner."""
    place.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    if source is None:
        raise ArtifactError(f"its member {member.name!r} has no content")
    with source, place.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1024 * 1024)
    # Owner, times and mode of the archive are ignored, except the owner's execute bit.
    if member.mode & 0o100:
        place.chmod(place.stat().st_mode | 0o100)
