"""Puts to S3 that one step commits, and the repair of objects that were torn before."""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from localcloud.ministack.durable import recover_objects
from localcloud.ministack.s3_commits import Commits, install, repair
from localcloud.ministack.s3_files import FileBytes
from localcloud.settings import StartError
from tests.localcloud.ministack.s3_modules import ACCOUNT, ask, module, version


def sidecar(body: bytes, **members: Any) -> str:
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return json.dumps({"size": len(body), "etag": f'"{digest}"', **members})


def put(path: Path, body: bytes, description: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    path.with_name(path.name + ".meta.json").write_text(description)


def read(path: Path) -> tuple[bytes, dict[str, Any]]:
    return path.read_bytes(), json.loads(path.with_name(path.name + ".meta.json").read_text())


def make_newer(path: Path) -> None:
    """Make an object newer than its sidecar, as a kill of an older version left it."""
    later = path.stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(later, later))


class Killed(BaseException):
    """Ends a put where a kill would."""


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize("step", ["touch", "write_bytes", "hardlink_to", "symlink_to", "replace", "unlink"])
@pytest.mark.parametrize("nth", [1, 2])
def test_after_a_kill_at_any_step_an_object_is_the_old_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, nth: int, from_file: bool
) -> None:
    path, old, new = tmp_path / "s3" / "bucket" / "key", b"old", b"the new one"
    put(path, old, sidecar(old))
    (tmp_path / "joined").write_bytes(new)
    data = FileBytes(tmp_path / "joined") if from_file else new
    calls = 0
    original = getattr(Path, step)

    def killed(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth:
            raise Killed
        return original(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(f"localcloud.ministack.s3_commits.Path.{step}", killed)
        with contextlib.suppress(Killed):
            Commits(tmp_path / "commits").put(str(path), data, sidecar(new))
    Commits(tmp_path / "commits").recover()

    body, description = read(path)
    assert body in (old, new)
    assert description == json.loads(sidecar(body))
    assert list((tmp_path / "commits").iterdir()) == []


def test_a_put_that_does_not_fit_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    put(path, b"old", sidecar(b"old"))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("localcloud.ministack.s3_commits.Path.write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            Commits(tmp_path / "commits").put(str(path), b"new", sidecar(b"new"))

    assert read(path) == (b"old", json.loads(sidecar(b"old")))
    assert list((tmp_path / "commits").iterdir()) == []


def test_a_torn_object_gets_back_the_bytes_of_its_version(tmp_path: Path) -> None:
    path = tmp_path / "000000000000" / "bucket" / "folder" / "key"
    put(path, b"never acknowledged", sidecar(b"acknowledged", version_id="v1"))
    kept = tmp_path / ".versions" / "000000000000" / "bucket" / "v1" / "folder" / "key"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"acknowledged")
    make_newer(path)

    assert repair(tmp_path) == [str(path)]
    assert path.read_bytes() == b"acknowledged"


def test_a_torn_object_without_a_version_is_described_anew(tmp_path: Path) -> None:
    path = tmp_path / "000000000000" / "bucket" / "key"
    put(path, b"bytes of another put", sidecar(b"old"))
    make_newer(path)

    assert repair(tmp_path) == [str(path)]
    assert read(path)[1]["etag"] == json.loads(sidecar(b"bytes of another put"))["etag"]
    assert repair(tmp_path) == []


def test_a_torn_object_of_the_same_size_is_found_by_its_etag(tmp_path: Path) -> None:
    path = tmp_path / "000000000000" / "bucket" / "key"
    put(path, b"new", sidecar(b"old"))
    make_newer(path)

    assert repair(tmp_path) == [str(path)]


def test_whole_objects_and_delete_markers_are_left_alone(tmp_path: Path) -> None:
    bucket = tmp_path / "000000000000" / "bucket"
    put(bucket / "whole", b"whole", sidecar(b"whole"))
    put(bucket / "hidden", b"hidden", json.dumps({"is_delete_marker": True, "size": 0}))
    put(bucket / "parts", b"parts", json.dumps({"size": 5, "etag": '"0123-2"'}))

    assert repair(tmp_path) == []


def test_only_what_was_written_since_the_last_look_is_looked_at(tmp_path: Path) -> None:
    bucket = tmp_path / "000000000000" / "bucket"
    for name, at in (("old", 1_000), ("new", 3_000)):
        put(bucket / name, b"bytes of another put", sidecar(b"old"))
        os.utime(bucket / name, ns=(at + 1, at + 1))
        os.utime(bucket / f"{name}.meta.json", ns=(at, at))

    assert repair(tmp_path, since=2_000) == [str(bucket / "new")]


def test_a_start_looks_at_all_objects_once(tmp_path: Path) -> None:
    bucket = tmp_path / "s3" / "000000000000" / "bucket"
    put(bucket / "old", b"bytes of another put", sidecar(b"old"))
    os.utime(bucket / "old", ns=(1_001, 1_001))
    os.utime(bucket / "old.meta.json", ns=(1_000, 1_000))
    recover_objects(tmp_path)
    assert repair(tmp_path / "s3") == []

    for name in ("old", "new"):
        put(bucket / name, b"bytes of another put", sidecar(b"old"))
    os.utime(bucket / "old", ns=(1_001, 1_001))
    os.utime(bucket / "old.meta.json", ns=(1_000, 1_000))
    make_newer(bucket / "new")
    recover_objects(tmp_path)

    assert repair(tmp_path / "s3") == [str(bucket / "old")]


@pytest.mark.parametrize("cut", [b"", b"what", b"what was ackno\0\0\0\0\0\0"])
@pytest.mark.parametrize("part", ["object", "version", "sidecar"])
def test_what_a_crash_of_the_machine_damaged_is_named_and_not_served(tmp_path: Path, part: str, cut: bytes) -> None:
    path = tmp_path / "000000000000" / "bucket" / "key"
    versions = [{"version_id": "v1", **json.loads(sidecar(b"what was acknowledged"))}]
    put(path, b"what was acknowledged", sidecar(b"what was acknowledged", version_id="v2", versions=versions))
    kept = tmp_path / ".versions" / "000000000000" / "bucket" / "v1" / "key"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"what was acknowledged")
    assert repair(tmp_path, after_crash=True) == []
    described = path.with_name("key.meta.json")
    damaged = {"object": path, "version": kept, "sidecar": described}[part]
    damaged.write_bytes(cut)
    os.utime(path, ns=(0, 0))

    with pytest.raises(StartError, match=f"{damaged.name} is damaged"):
        repair(tmp_path, after_crash=True)


def test_an_object_that_was_cut_is_found_without_a_crash_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "000000000000" / "bucket" / "key"
    put(path, b"cut", sidecar(b"what was acknowledged"))
    os.utime(path, ns=(0, 0))

    with pytest.raises(StartError, match="it has 3 bytes, not 21"):
        repair(tmp_path)


@pytest.mark.parametrize("suffix", [".body", ".meta"])
def test_a_put_that_a_crash_cut_leaves_the_object_before_it(tmp_path: Path, suffix: str) -> None:
    path, folder = tmp_path / "s3" / "000000000000" / "bucket" / "key", tmp_path / "commits"
    put(path, b"before", sidecar(b"before"))
    folder.mkdir()
    (folder / "1.body").write_bytes(b"after")
    (folder / "1.meta").write_text(sidecar(b"after"))
    (folder / "1.commit").symlink_to(path)
    (folder / f"1{suffix}").write_bytes(b"")

    Commits(folder).recover()

    assert read(path) == (b"before", json.loads(sidecar(b"before")))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("status", ["", "Suspended", "Enabled"])
def test_a_put_leaves_no_tags_and_access_list_of_the_object_it_replaces(tmp_path: Path, status: str) -> None:
    s3 = module(tmp_path / "s3", persist=True)
    install(s3, Commits(tmp_path / "commits"))
    ask(s3, "PUT", "/bucket", x_amz_object_ownership="ObjectWriter")
    if status:
        version(s3, "bucket", status)
    tagged: dict[str, Any] = {"x_amz_tagging": "a=b", "x_amz_acl": "bucket-owner-full-control"}
    assert ask(s3, "PUT", "/bucket/key", body=b"1", **tagged)[0] == 200
    first = dict(s3._object_tags._data)
    assert (len(first), len(s3._object_acl._data)) == (1, 1)

    assert ask(s3, "PUT", "/bucket/key", body=b"2")[0] == 200

    assert s3._object_tags._data == (first if status == "Enabled" else {})
    assert len(s3._object_acl._data) == (status == "Enabled")
    written = read(tmp_path / "s3" / ACCOUNT / "bucket" / "key")[1]
    assert ("tags" in written, "acl" in written) == ((status == "Enabled"),) * 2
