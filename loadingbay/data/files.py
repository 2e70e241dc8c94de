"""Which files of a folder are photos, and what is said about the others."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loadingbay.errors import WorkError

SUFFIXES = (".png", ".jpg", ".jpeg")
"""How the name of a photo ends, in lower or upper case."""


@dataclass(frozen=True)
class Listed:
    """The photos among files, in their order, and how many visible others there are by how their names end."""

    photos: tuple[Path, ...]
    left_out: Counter[str]

    @property
    def remark(self) -> str:
        """Return a remark on the files left out, "" if there are none.

        Such as `; left out: 3 files that do not end in .png, .jpg or .jpeg (3 .jfif)`.
        """
        if not self.left_out:
            return ""
        common = self.left_out.most_common(5)
        count = self.left_out.total()
        others = count - sum(number for _, number in common)
        kinds = ", ".join(f"{number:,} {suffix}" for suffix, number in common)
        kinds += f" and {others:,} of other kinds" if others else ""
        files = "file that does" if count == 1 else "files that do"
        return f"; left out: {count:,} {files} not end in .png, .jpg or .jpeg ({kinds})"


def photos_among(files: Iterable[Path]) -> Listed:
    """Sorts files into photos and others. Hidden files, such as the `._` files of macOS, are neither."""
    photos: list[Path] = []
    left_out: Counter[str] = Counter()
    for path in files:
        if path.name.startswith("."):
            continue
        if path.suffix.lower() in SUFFIXES:
            photos.append(path)
        else:
            left_out[path.suffix.lower() or "without an ending"] += 1
    return Listed(tuple(photos), left_out)


def require_text(path: Path) -> None:
    """Raises WorkError when a file's name is not UTF-8, which neither S3 nor JSON can hold, or not in this locale."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        try:
            os.fsencode(path).decode()
        except UnicodeDecodeError:
            raise WorkError(f"{printable(path)}: the name is not UTF-8, which S3 requires: rename the file") from None
        raise WorkError(
            f"{printable(path)}: this locale ({sys.getfilesystemencoding()}) cannot hold the name: unset PYTHONUTF8, "
            "or set LC_ALL=C.UTF-8"
        ) from None


def printable(path: Path) -> str:
    r"""The path as text that every terminal and log can hold: bytes that are not UTF-8 as `\xe9`."""
    return os.fsencode(path).decode(errors="backslashreplace")
