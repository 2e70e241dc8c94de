"""A start that knows the folders of objects finds the same as one that knows nothing."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from localcloud.ministack import s3_folders, s3_lists, s3_loading
from localcloud.ministack.durable import recover_objects
from localcloud.ministack.s3_folders import Folders
from tests.localcloud.ministack.s3_modules import ACCOUNT, ask, module, version

TICK = 0.02


@pytest.fixture(autouse=True)
def _short_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_folders, "_TICK_NS", int(TICK * 1e9))


def started(folder: Path, note: Path) -> Any:
    """MiniStack's module of S3 after a start on a folder that was left alone for some ticks."""
    time.sleep(2 * TICK)
    s3 = module(folder, persist=False)
    s3_lists.install(s3)
    s3_loading.load(s3, note)
    return s3


def shown(s3: Any) -> dict[str, Any]:
    """What a module holds of the bucket."""
    objects, versions = s3._buckets._data[ACCOUNT, "bucket"]["objects"], s3._object_versions._data
    stores = {name: dict(getattr(s3, name)._data) for name in ("_object_tags", "_object_acl")}
    return {"objects": dict(objects), "versions": dict(versions), **stores}


@pytest.mark.parametrize("seed", range(8))
def test_starts_with_and_without_the_note_find_the_same(tmp_path: Path, seed: int) -> None:
    choose, note = random.Random(seed), tmp_path / "note"  # noqa: S311 - not a secret
    first = module(tmp_path / "s3", persist=True)
    ask(first, "PUT", "/bucket")
    ask(first, "PUT", "/bucket/first", body=b"x")
    keys = ["a", "b", "folder/c", "folder/d", "other/e", "other/below/f", "folder/", "d.."]
    for number in range(6):
        s3 = started(tmp_path / "s3", note)
        for _ in range(choose.randint(0, 6)):
            key, what = choose.choice(keys), choose.random()
            if what < 0.2:
                version(s3, "bucket", choose.choice(["Enabled", "Suspended"]))
            elif what < 0.6:
                ask(s3, "PUT", f"/bucket/{key}", body=choose.randbytes(5))
            elif what < 0.75:
                body = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
                ask(s3, "PUT", f"/bucket/{key}", {"tagging": ""}, body)
            elif what < 0.85 and (held := s3._object_versions.get(("bucket", key))):
                ask(s3, "DELETE", f"/bucket/{key}", {"versionId": choose.choice(held)["version_id"]})
            else:
                ask(s3, "DELETE", f"/bucket/{key}")
        ask(s3, "PUT", f"/bucket/always/{number}", body=b"x")

        assert shown(started(tmp_path / "s3", note)) == shown(started(tmp_path / "s3", tmp_path / f"{number}"))


def test_only_folders_that_changed_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3, note = module(tmp_path / "s3", persist=True), tmp_path / "note"
    ask(s3, "PUT", "/bucket")
    for key in ("a", "folder/b", "folder/c", "other/d"):
        ask(s3, "PUT", f"/bucket/{key}", body=b"x")
    read, was_read = s3_loading.read, list[str]()
    monkeypatch.setattr(s3_loading, "read", lambda path: was_read.append(Path(path).name) or read(path))
    started(tmp_path / "s3", note)
    assert len(was_read) == 4

    was_read.clear()
    later = started(tmp_path / "s3", note)
    assert was_read == []
    ask(later, "PUT", "/bucket/folder/e", body=b"x")
    found = started(tmp_path / "s3", note)

    assert sorted(was_read) == ["b.meta.json", "c.meta.json", "e.meta.json"]
    assert sorted(found._buckets._data[ACCOUNT, "bucket"]["objects"]) == [
        "a", "folder/b", "folder/c", "folder/e", "other/d",
    ]  # fmt: skip


def test_a_folder_that_changed_a_moment_ago_is_not_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_folders, "_TICK_NS", 10**12)
    folders = Folders(tmp_path / "note", str(tmp_path))
    folders.names(str(tmp_path), lambda: ["found"])
    folders.write()

    assert not (tmp_path / "note").exists()


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"\xff", b'{".": 1}', b'{".": [1, 2]}', b'{".": [1, 2, 3]}'])
def test_a_damaged_note_is_as_none(tmp_path: Path, note: bytes) -> None:
    (tmp_path / "note").write_bytes(note)

    assert Folders(tmp_path / "note", str(tmp_path)).names(str(tmp_path), lambda: ["found"]) == ["found"]


def test_after_a_crash_of_the_machine_all_folders_are_read(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    (tmp_path / "s3-folders.json").write_text("{}", encoding="utf-8")
    recover_objects(tmp_path)
    assert (tmp_path / "s3-folders.json").exists()

    recover_objects(tmp_path, after_crash=True)

    assert not (tmp_path / "s3-folders.json").exists()
