"""Reads and writes labelled photos in MXNet's RecordIO format, without MXNet, whose import takes seconds.

A file is a row of records; a record is a header and an encoded photo. Format, all little-endian:

    record = part, or first part, middle parts, last part when the content holds the magic number at a multiple of 4
    part   = magic u32, kind << 29 | length u32, `length` bytes, zeros to the next multiple of 4
    kind   = 0 the only part, 1 the first, 2 a middle one, 3 the last; the magic number between two parts is left out
    header = flag u32 (0), label f32, number u64, number u64 (0)

Sources: https://github.com/dmlc/dmlc-core/blob/main/include/dmlc/recordio.h and `IRHeader` in MXNet's recordio.py.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

MAGIC = 0xCED7230A
WHOLE, FIRST, MIDDLE, LAST = range(4)
MAX_LENGTH = (1 << 29) - 1
_MAGIC_BYTES = struct.pack("<I", MAGIC)
_MAGIC = re.compile(re.escape(_MAGIC_BYTES))
_PART = struct.Struct("<II")
_HEADER = struct.Struct("<IfQQ")


class RecordError(ValueError):
    """The file is not in RecordIO format, or is damaged; the sentence says after how many records."""


def write(path: Path, photos: Iterable[tuple[int, bytes]]) -> int:
    """Write (class index, encoded photo) pairs to `path`, and their offsets to the `.idx` file beside it.

    The bytes depend on the pairs alone. Returns the number of records.
    """
    count = 0
    with path.open("wb") as records, path.with_suffix(".idx").open("w", encoding="ascii") as index:
        for count, (label, photo) in enumerate(photos, start=1):
            index.write(f"{count - 1}\t{records.tell()}\n")
            for part in _parts(_HEADER.pack(0, label, count - 1, 0) + photo):
                records.write(part)
    return count


def _parts(content: bytes) -> Iterator[bytes]:
    """Yield the encoded parts of one record: it is cut where its content holds the format's magic number."""
    if len(content) > MAX_LENGTH:
        raise RecordError(f"a record of {len(content)} bytes is larger than the format allows, {MAX_LENGTH}")
    cuts = [found.start() for found in _MAGIC.finditer(content) if found.start() % 4 == 0]
    starts, ends = [0, *(cut + 4 for cut in cuts)], [*cuts, len(content)]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        kind = WHOLE if not cuts else FIRST if number == 0 else LAST if number == len(cuts) else MIDDLE
        length = end - start
        yield _PART.pack(MAGIC, kind << 29 | length) + content[start:end] + b"\0" * (-length % 4)


def read(path: Path) -> Iterator[tuple[float, bytes]]:
    """(label, encoded photo) of each record in order. RecordError when the file is damaged."""
    count = 0
    with path.open("rb") as records:
        while (content := _next(records.read, count)) is not None:
            if len(content) < _HEADER.size:
                raise RecordError(f"record {count} has {len(content)} bytes, less than its header")
            flag, label, _, _ = _HEADER.unpack_from(content)
            if flag:
                raise RecordError(f"record {count} has {flag} labels; one is read")
            yield label, content[_HEADER.size :]
            count += 1


def _next(read: Callable[[int], bytes], count: int) -> bytes | None:
    """The next record's content, its parts put together; None at the end of the file."""
    parts: list[bytes] = []
    while head := read(_PART.size):
        magic, word = _PART.unpack(head) if len(head) == _PART.size else (0, 0)
        kind, length = word >> 29, word & MAX_LENGTH
        if magic != MAGIC or kind not in ((MIDDLE, LAST) if parts else (WHOLE, FIRST)):
            raise RecordError(f"record {count} does not begin as RecordIO does")
        padded = read(length + -length % 4)
        if len(padded) < length + -length % 4:
            raise RecordError(f"record {count} is cut short")
        parts.append(padded[:length])
        if kind in (WHOLE, LAST):
            return _MAGIC_BYTES.join(parts)
    if parts:
        raise RecordError(f"record {count} is cut short")
    return None
