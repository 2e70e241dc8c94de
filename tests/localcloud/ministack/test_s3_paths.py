"""Where objects' files are: where MiniStack finds them, and never outside of the bucket's folder."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from localcloud.ministack import s3_paths


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The function that finds a key's file, and MiniStack's."""
    s3: Any = importlib.import_module("ministack.services.s3")
    theirs = s3._key_disk_path
    monkeypatch.setattr(s3, "_key_disk_path", theirs)
    s3_paths.install(s3)
    return s3._key_disk_path, getattr(theirs, "__wrapped__", theirs)


@pytest.mark.parametrize(
    ("key", "by_name"),
    [
        ("plain", True), ("a/b/c", True), ("missing", True), ("a/missing", True), ("plain/under", False), ("a", False),
        ("out", False), ("folder/x", False), ("back", True), ("../x", False), ("a/../../x", False), ("/x", False),
        ("", False), ("a//b", False), ("x\x00", False),
    ],
)  # fmt: skip
def test_a_key_is_found_where_ministack_finds_it(places: Any, tmp_path: Path, key: str, by_name: bool) -> None:
    ours, theirs = places
    bucket, other = tmp_path / "bucket", tmp_path / "other"
    for file in (bucket / "plain", bucket / "a" / "b" / "c", other / "x"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x", encoding="utf-8")
    (bucket / "out").symlink_to(other / "x")
    (bucket / "folder").symlink_to(other)
    (bucket / "back").symlink_to("plain")

    found = ours(str(bucket), key)

    assert found == theirs(str(bucket), key)
    assert Path(found).resolve().is_relative_to(bucket.resolve())
    assert (found == str(bucket / key)) == by_name
