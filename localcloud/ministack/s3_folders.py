"""Which folders of objects are as an earlier start found them, so that their sidecars need not be read again.

Every put, delete and change of an object's description renames or removes a file, which changes the time of the folder
(its inode's, which no program sets). A missing or damaged note, and a copied folder, only make a start slower.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# A folder that changes twice within a tick of the file system's clock has the same time after both.
_TICK_NS = 2_000_000_000


class Folders:
    """What is noted of the folders below `root`, in a file."""

    def __init__(self, file: Path, root: str) -> None:
        self._file, self._root, self._began = file, root, time.time_ns()
        self._known: dict[str, Any] = {}
        self._found: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(known, dict):
                self._known = known

    def names(self, folder: str, look: Callable[[], list[str]]) -> list[str]:
        """The names that `look()` finds in a folder; those that an earlier start found if it has not changed since."""
        found = Path(folder).stat()
        place, stamp = os.path.relpath(folder, self._root), [found.st_ino, found.st_ctime_ns]
        match self._known.get(place):
            case [*known, list(names)] if known == stamp:
                pass
            case _:
                names = look()
        if found.st_ctime_ns < self._began - _TICK_NS:
            self._found[place] = [*stamp, names]
        return names

    def write(self) -> None:
        """Note what was found, in one step. Without effect if the disk refuses."""
        if self._found == self._known:
            return
        partial = self._file.with_suffix(".partial")
        with contextlib.suppress(OSError):
            partial.write_text(json.dumps(self._found), encoding="utf-8")
            partial.replace(self._file)
