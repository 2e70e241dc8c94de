"""Model archives are unpacked without trust: nothing leaves the directory, nothing but files, bounded in size."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

MOST_BYTES = 5 * 1024**3
MOST_MEMBERS = 20_000


class ArtifactError(Exception):
    """The archive is not one that is unpacked; the message names the member and what is wrong with it."""


def unpack(archive: Path, target: Path, most_bytes: int = MOST_BYTES) -> None:
    """Unpack a .tar.gz into the new directory `target`; ArtifactError and no directory if anything in it is wrong.

    OSError if it cannot be read, or the files not be written.
    """
    target.mkdir(parents=True)
    try:
        _unpack(archive, target, most_bytes)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None:
            # The disk's fault (full, or not to be written), not the archive's: gzip's own errors have no number.
            raise
        raise ArtifactError(f"it is not a whole .tar.gz archive ({error})") from error
    except ArtifactError:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _unpack(archive: Path, target: Path, most_bytes: int) -> None:
    left = most_bytes
    with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
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


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    if source is None:
        raise ArtifactError(f"its member {member.name!r} has no content")
    with source, place.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1024 * 1024)
    # Ownership and times are ours; of the mode only whether it may be run is kept.
    place.chmod(0o755 if member.mode & 0o100 else 0o644)
