"""Removes the directories of jobs that have ended, in the background: on some disks each folder takes milliseconds."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

AT_ONCE_BYTES = 16 * 2**20
"""What occupies more than this is removed at once: it may be what fills the disk."""
_THREADS = 4  # They wait for the disk, which takes several requests at a time.


class Remover:
    """Removes directories that lie on the same file system as `trash`. May be used from any thread."""

    def __init__(self, trash: Path) -> None:
        """Nothing is removed yet; `trash` is made when it is needed, and holds what is still to be removed."""
        self._trash = trash
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="remover")

    def remove(self, directory: Path) -> None:
        """Make a directory disappear; it need not exist.

        One that occupies at most AT_ONCE_BYTES is moved away and removed later, a larger one has been removed when this
        returns. What cannot be removed is left.
        """
        moved = self._trash / secrets.token_hex(8)
        try:
            self._trash.mkdir(exist_ok=True)
            if not larger(directory, AT_ONCE_BYTES):
                directory.rename(moved)
                self._pool.submit(shutil.rmtree, moved, ignore_errors=True)
                return
        except FileNotFoundError:
            return
        except (OSError, RuntimeError):
            # Another file system, a full one, or `close` came first.
            directory = moved if moved.exists() else directory
        shutil.rmtree(directory, ignore_errors=True)

    def close(self) -> None:
        """End the threads. What is not removed yet stays in `trash`."""
        self._pool.shutdown(cancel_futures=True)


def larger(directory: Path, size: int) -> bool:
    """Whether the files below a directory occupy more than `size` bytes of the disk; what cannot be read counts 0."""
    occupied = 0
    for folder, _, files in os.walk(directory):
        for name in files:
            with contextlib.suppress(OSError):
                occupied += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118 - twice as fast
        if occupied > size:
            return True
    return False
