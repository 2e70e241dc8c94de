"""The bytes of a large object as a range of its file, which is read when it is needed and never whole."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LARGE = 1024 * 1024
"""From this size on, bytes are read from their file piece by piece."""
_PIECE = 4 * 1024 * 1024


class _Descriptor:
    """A file that is open for reading until nobody refers to it."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it could not be opened
            os.close(self.number)


class FileBytes:
    """A range of a file that stands for `bytes`: it has a length and slices, which are ranges again if they are large.

    The file is held open, so the bytes stay what they were when another file takes its name.
    """

    def __init__(self, path: Path) -> None:
        """All bytes of a file. OSError if it cannot be opened."""
        self.path = path
        self._file = _Descriptor(path)
        self._found = os.fstat(self._file.number)
        self._start, self._stop = 0, self._found.st_size

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, wanted: slice) -> "FileBytes | bytes":
        """A range of these bytes: read at once if it is small."""
        start, stop, _ = wanted.indices(len(self))
        made = object.__new__(FileBytes)
        made.path, made._file, made._found = self.path, self._file, self._found
        made._start, made._stop = self._start + start, self._start + max(start, stop)
        return made if len(made) >= LARGE else bytes(made)

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces())

    def __deepcopy__(self, memo: dict[int, Any]) -> "FileBytes":
        return self

    @property
    def identity(self) -> tuple[int, ...]:
        """Equal for the same range of the same file, whatever its name is now."""
        return self._found.st_dev, self._found.st_ino, self._found.st_mtime_ns, self._start, self._stop

    @property
    def whole(self) -> bool:
        """Whether these are all bytes of the file."""
        return len(self) == self._found.st_size

    def pieces(self, most: int = _PIECE) -> Iterator[bytes]:
        """The bytes, at most `most` at a time. OSError if the file has become shorter."""
        position = self._start
        while position < self._stop:
            piece = os.pread(self._file.number, min(most, self._stop - position), position)
            if not piece:
                raise OSError(f"{self.path} has become shorter while it was read")
            position += len(piece)
            yield piece

    def write_to(self, target: Path) -> None:
        """Make `target`, which must not exist, hold these bytes. Bytes of objects are replaced, never changed in
        place, so a whole file gets a second name instead of a copy.
        """
        if self.whole and _is_file(self.path, self._found):
            target.hardlink_to(self.path)
            return
        write(target, self.pieces())


def write(target: Path, pieces: Iterator[bytes]) -> None:
    """Make a file that only the owner reads, of these pieces. On an error it is removed again; OSError if it exists."""
    target.touch(0o600, exist_ok=False)
    try:
        with target.open("wb") as file:
            file.writelines(pieces)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def join(files: list[Path], target: Path) -> None:
    """Make `target` hold the bytes of all `files`, one after the other; one file gets a second name."""
    if len(files) == 1:
        target.hardlink_to(files[0])
        return
    target.touch(0o600, exist_ok=False)
    try:
        with target.open("wb") as whole:
            for path in files:
                with path.open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    done = 0
                    while done < size:  # copied by the kernel: no bytes of it are in this process
                        done += os.sendfile(whole.fileno(), file.fileno(), done, size - done)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _is_file(path: Path, found: os.stat_result) -> bool:
    """Whether a path still names the file that was opened."""
    try:
        return os.path.samestat(path.stat(), found)
    except OSError:
        return False
