"""Reads folders of JSON lines that others wrote: whatever cannot be read is counted, and ends nothing."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAX_LINE_BYTES = 32 << 20  # a 6 MB photo as base64, with room for a list of them
# What Python's json and csv raise, and what looking into a value of the wrong shape raises.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError, csv.Error)


@dataclass
class Tally:
    """What could not be read of a folder."""

    lines: int = 0
    files: list[str] = field(default_factory=list)  # names of files that could not be read to their end
    ignored: list[str] = field(default_factory=list)  # names of files that are of another kind


@dataclass(frozen=True)
class Line:
    """A line, and where it stands: its file, and the byte it begins at."""

    content: bytes
    path: Path
    offset: int


def read(folder: Path, suffixes: Sequence[str], tally: Tally) -> Iterator[Line]:
    """The lines of all files below `folder`, or of the one file, whose names end so, in order of path.

    Empty lines are left out. Lines above MAX_LINE_BYTES count as unreadable; hidden files, such as the `._*` of macOS,
    and the empty objects that stand for folders in S3 are no files.
    """
    files = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        name = path.relative_to(folder).as_posix() if path != folder else path.name
        if path.name.startswith("."):
            continue
        if path.suffix.lower() not in suffixes:
            if path.stat().st_size:
                tally.ignored.append(name)
            continue
        try:
            yield from _lines(path, tally)
        except OSError:
            tally.files.append(name)


def _lines(path: Path, tally: Tally) -> Iterator[Line]:
    """Yield the lines of one file; those above MAX_LINE_BYTES are skipped and counted as unreadable."""
    with path.open("rb") as file:
        offset = 0
        while content := file.readline(MAX_LINE_BYTES):
            begin, offset = offset, offset + len(content)
            if len(content) == MAX_LINE_BYTES and not content.endswith(b"\n"):
                tally.lines += 1
                while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    offset += len(rest)
                offset += len(rest)
            elif content.strip():
                yield Line(content, path, begin)


def parse(content: bytes | str) -> Any:
    """Return the JSON value in a line.

    Raises one of UNREADABLE for another text, also for NaN and Infinity, which JSON does not have.
    """

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(content, parse_constant=refuse)


def text(value: Any) -> str:
    """Return the value without spaces around it if it is Unicode text that is not empty; ValueError otherwise."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r:.80} is no text")
    value.encode()  # JSON can name half of a surrogate pair, which no file and no picture can hold
    return value.strip()


def share(value: Any) -> float:
    """Return the value if it is a number from 0 to 1; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1 or math.isnan(value):
        raise ValueError(f"{value!r:.80} is no number from 0 to 1")
    return float(value)


def limit(value: Any) -> float:
    """Return the value if it is a threshold: from 0 to 1, or 1.01, which accepts nothing. ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1.01:
        raise ValueError(f"{value!r:.80} is no number from 0 to 1.01")
    return float(value)
