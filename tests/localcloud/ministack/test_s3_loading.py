"""What a start finds of objects on disk: the same as MiniStack does, in one walk."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.ministack import s3_loading

ENCODED = ".ministack-keys"


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MiniStack's module of S3 on an empty folder, without objects in memory."""
    module = importlib.import_module("ministack.services.s3")
    for name, value in (("DATA_DIR", str(tmp_path)), ("S3_PERSIST", False)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "_persisted_key_files", module._persisted_key_files)
    for name in ("_buckets", "_object_versions"):
        monkeypatch.setattr(getattr(module, name), "_data", {})
    return module


def written(bucket: Path, name: str, sidecar: dict[str, Any] | None = None, data: bool = True) -> None:
    path = bucket / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if data:
        path.write_text(name, encoding="utf-8")
    if sidecar is not None:
        Path(f"{path}.meta.json").write_text(json.dumps(sidecar), encoding="utf-8")


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """Objects with and without sidecars, delete markers, encoded keys, and what a put left behind."""
    bucket = tmp_path / "000000000000" / "bucket"
    marker = {"is_delete_marker": True, "version_id": "v2", "key": "gone"}
    written(bucket, "plain", {"size": 5, "etag": '"e"'})
    written(bucket, "a/b/c.json", {"size": 10, "etag": '"e"', "version_id": "v1"})
    written(bucket, "bare")
    written(bucket, "hidden", {**marker, "key": "hidden"})
    written(bucket, "gone", marker, data=False)
    written(bucket, "partial.tmp")
    written(bucket, f"{ENCODED}/a%2F", {"size": 3, "etag": '"e"', "key": "a/"})
    written(bucket, f"{ENCODED}/lone", {**marker, "key": "lone/"}, data=False)
    return bucket


def test_the_objects_are_those_that_ministack_finds(s3: Any, bucket: Path) -> None:
    theirs, their_sidecars = (list(s3._persisted_key_files(str(bucket), sidecars)) for sidecars in (False, True))
    lone = {(path, key) for path, key in their_sidecars if not Path(path.removesuffix(".meta.json")).exists()}

    s3_loading.load(s3)

    assert sorted(s3._persisted_key_files(str(bucket), False)) == sorted(theirs)
    assert len(theirs) == 5
    ours = set(s3._persisted_key_files(str(bucket), True))
    assert lone <= ours
    assert {key for _, key in lone} == {"gone", "lone/"}


def test_objects_and_delete_markers_are_in_memory_afterwards(s3: Any, bucket: Path) -> None:
    s3_loading.load(s3)

    [held] = s3._buckets._data.values()
    assert sorted(held["objects"]) == ["a/", "a/b/c.json", "bare", "plain"]
    assert held["objects"]["bare"]["size"] == len("bare")
    markers = [
        key for (_, (_, key)), versions in s3._object_versions._data.items() if "is_delete_marker" in versions[-1]
    ]
    assert sorted(markers) == ["gone", "hidden", "lone/"]
    assert s3.S3_PERSIST
