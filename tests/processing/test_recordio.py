"""RecordIO without MXNet: MXNet reads what is written here, and what MXNet writes is read here."""

import struct
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing import recordio

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MXNet 1.9.1 warns of its own use of numpy.bool when it is imported
    import mxnet as mx

MAGIC = struct.pack("<I", recordio.MAGIC)
# Contents with the magic number in them, at multiples of 4 and elsewhere, are the format's hard case.
CONTENTS = st.lists(st.one_of(st.binary(max_size=9), st.just(MAGIC)), max_size=6).map(b"".join)
PAIRS = st.lists(st.tuples(st.integers(0, 1000), CONTENTS), max_size=5)


@settings(max_examples=200)
@given(PAIRS)
def test_both_write_the_same_bytes_and_read_them_back(pairs: list[tuple[int, bytes]]) -> None:
    with TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.rec", Path(folder) / "theirs.rec"
        assert recordio.write(ours, pairs) == len(pairs)
        writer = mx.recordio.MXIndexedRecordIO(str(theirs.with_suffix(".idx")), str(theirs), "w")
        for number, (label, content) in enumerate(pairs):
            header = mx.recordio.IRHeader(0, float(label), number, 0)
            writer.write_idx(number, mx.recordio.pack(header, content))
        writer.close()
        assert ours.read_bytes() == theirs.read_bytes()
        assert ours.with_suffix(".idx").read_text() == theirs.with_suffix(".idx").read_text()
        assert list(recordio.read(theirs)) == pairs


@settings(max_examples=300)
@given(PAIRS.filter(bool), st.data())
def test_a_damaged_file_is_an_error_or_gives_records(pairs: list[tuple[int, bytes]], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.rec"
        recordio.write(path, pairs)
        spoilt = bytearray(path.read_bytes())
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(spoilt[: data.draw(st.integers(0, len(spoilt)))])
        try:
            found = list(recordio.read(path))
        except recordio.RecordError:
            return
        assert len(found) <= len(pairs)


def test_a_file_cut_within_a_record_says_which(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    recordio.write(path, [(0, b"first"), (1, b"second")])
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(recordio.RecordError, match="record 1 is cut short"):
        list(recordio.read(path))
