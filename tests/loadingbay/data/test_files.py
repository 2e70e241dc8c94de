"""Which files are photos, what is said of the others, and names that S3 cannot hold."""

import os
from pathlib import Path

import pytest

from loadingbay.data.files import photos_among, printable, require_text
from loadingbay.errors import WorkError


def test_hidden_files_are_neither_photos_nor_worth_a_word():
    listed = photos_among([Path("a.png"), Path("._a.png"), Path(".DS_Store")])
    assert (listed.photos, listed.remark) == ((Path("a.png"),), "")


def test_files_of_another_kind_are_counted_by_their_ending():
    listed = photos_among(map(Path, ["a.JPG", "b.jfif", "c.JFIF", "d.webp", "README"]))
    assert listed.photos == (Path("a.JPG"),)
    assert "left out: 4 files that do not end in .png, .jpg or .jpeg (2 .jfif, 1 .webp, 1 without" in listed.remark


def test_files_of_many_kinds_are_all_counted():
    remark = photos_among(map(Path, ["a.b", "b.b", *(f"x.{number}" for number in range(6))])).remark
    assert "left out: 8 files" in remark
    assert "(2 .b, 1 .0, 1 .1, 1 .2, 1 .3 and 2 of other kinds)" in remark


def test_a_name_that_is_no_text_is_said_with_its_bytes():
    path = Path(os.fsdecode(b"v\xe9lo.png"))
    assert printable(path) == r"v\xe9lo.png"
    with pytest.raises(WorkError, match=r"v\\xe9lo\.png: the name is not UTF-8"):
        require_text(path)
    require_text(Path("vélo.png"))


def test_a_name_that_only_the_locale_cannot_hold_is_told_apart():
    # "vélo.png" as a C locale reads it.
    with pytest.raises(WorkError, match="cannot hold the name: unset PYTHONUTF8"):
        require_text(Path("v\udcc3\udca9lo.png"))
