"""What a start finds of objects on disk: the same as MiniStack's own code, whatever is asked for first."""

import json
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from localcloud.ministack import s3_lists, s3_loading
from tests.localcloud.ministack.s3_modules import ACCOUNT, ask, module, version

ENCODED = ".ministack-keys"
STORES = ("_object_versions", "_object_tags", "_object_acl")


def loaded(folder: Path) -> Any:
    """MiniStack's module of S3 after a start on a folder."""
    s3 = module(folder, persist=False)
    s3_lists.install(s3)
    s3_loading.load(s3, folder / "note")
    return s3


def loaded_by_ministack(folder: Path) -> Any:
    s3 = module(folder, persist=True)
    s3._load_persisted_data()
    return s3


def written(bucket: Path, name: str, sidecar: dict[str, Any] | None = None, data: bool = True) -> None:
    path = bucket / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if data:
        path.write_text(name, encoding="utf-8")
    if sidecar is not None:
        Path(f"{path}.meta.json").write_text(json.dumps(sidecar), encoding="utf-8")


def stamped(*names: str) -> dict[str, Any]:
    """A sidecar's members that have no default but the time of the start."""
    return {"size": 5, "etag": '"e"', "last_modified": "2026-01-01T00:00:00.000Z", **dict.fromkeys(names)}


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """Objects with and without sidecars, delete markers, encoded keys, and what a put left behind."""
    bucket = tmp_path / ACCOUNT / "bucket"
    marker = {"is_delete_marker": True, "version_id": "v2", "key": "gone", "last_modified": "2026"}
    written(bucket, "plain", stamped())
    written(bucket, "a/b/c.json", {**stamped(), "version_id": "v1"})
    written(bucket, "tagged", {**stamped(), "tags": {"null": {"a": "b"}}, "acl": {"null": "<x/>"}})
    written(bucket, "named", {**stamped(), "metadata": {"versions": "1", "version_id": "2", "tags": "3"}})
    written(bucket, "without-size", {"last_modified": "2026"})
    written(bucket, "hidden", {**marker, "key": "hidden"})
    written(bucket, "gone", marker, data=False)
    written(bucket, "alone", stamped(), data=False)
    written(bucket, "partial.tmp")
    written(bucket, f"{ENCODED}/a%2F", {**stamped(), "key": "a/"})
    written(bucket, f"{ENCODED}/b%2F", stamped())
    written(bucket, f"{ENCODED}/lone", {**marker, "key": "lone/"}, data=False)
    written(bucket, f"{ENCODED}/plain", {**stamped(), "key": "plain", "content_type": "of/the-encoded-one"})
    return bucket


def plain(value: Any) -> Any:
    """A list of versions without members that are None; anything else as it is."""
    if not isinstance(value, list):
        return value
    return [{name: member for name, member in version.items() if member is not None} for version in value]


def same(ours: Any, theirs: Any, choose: random.Random) -> None:
    """Whether two modules hold the same; ours is asked for its parts in a random order."""
    mine, other = ours._buckets._data[ACCOUNT, "bucket"]["objects"], theirs._buckets._data[ACCOUNT, "bucket"]["objects"]
    assert set(mine) == set(other)
    places = [("objects", key) for key in other] + [("versions", key) for key in theirs._object_versions._data]
    for kind, key in choose.sample(places, len(places)):
        if kind == "objects":
            assert mine[key] == other[key], key
        else:
            assert plain(ours._object_versions._data[key]) == plain(theirs._object_versions._data[key]), key
    for store in STORES:
        held, expected = (getattr(s3, store)._data for s3 in (ours, theirs))
        assert {place: plain(held[place]) for place in held} == {place: plain(expected[place]) for place in expected}
    assert not ours._object_versions._data.keys() - theirs._object_versions._data.keys()


@pytest.mark.parametrize("seed", range(5))
def test_the_objects_are_those_that_ministack_finds(tmp_path: Path, bucket: Path, seed: int) -> None:
    same(loaded(tmp_path), loaded_by_ministack(tmp_path), random.Random(seed))  # noqa: S311 - not a secret


@pytest.mark.parametrize("seed", range(15))
def test_what_random_requests_left_is_found_again(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 - not a secret
    s3 = module(tmp_path, persist=True)
    ask(s3, "PUT", "/bucket")
    for _ in range(120):
        key = choose.choice(["a", "b", "g/b", "folder/c", "folder/", "é", "d..", "x" * 300])
        what = choose.random()
        if what < 0.1:
            version(s3, "bucket", choose.choice(["Enabled", "Enabled", "Suspended"]))
        elif what < 0.5:
            ask(s3, "PUT", f"/bucket/{key}", body=choose.randbytes(5), x_amz_meta_tags="versions")
        elif what < 0.6:
            ask(s3, "PUT", f"/bucket/{key}", body=choose.randbytes(5), x_amz_tagging="a=b")
        elif what < 0.8:
            ask(s3, "DELETE", f"/bucket/{key}")
        elif held := s3._object_versions.get(("bucket", key)):
            ask(s3, "DELETE", f"/bucket/{key}", {"versionId": choose.choice(held)["version_id"]})

    same(loaded(tmp_path), loaded_by_ministack(tmp_path), choose)


def test_a_delete_marker_is_found_beside_a_folder_of_its_name(tmp_path: Path) -> None:
    written(tmp_path / ACCOUNT / "bucket", "a", {"is_delete_marker": True, "version_id": "v", "key": "a"}, data=False)
    written(tmp_path / ACCOUNT / "bucket", "a/b", stamped())

    assert loaded(tmp_path)._object_versions._data[ACCOUNT, ("bucket", "a")][0]["is_delete_marker"]


def test_an_object_is_described_once_for_all_threads(tmp_path: Path, bucket: Path) -> None:
    objects = loaded(tmp_path)._buckets._data[ACCOUNT, "bucket"]["objects"]
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(objects["a/b/c.json"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert all(record is found[0] for record in found)


def test_parts_of_an_object_are_found_again(tmp_path: Path) -> None:
    parts = [{"PartNumber": 1, "Size": 5, "Checksums": {}}]
    written(tmp_path / ACCOUNT / "bucket", "key", {**stamped(), "parts": parts, "checksum_type": "COMPOSITE"})

    record = loaded(tmp_path)._buckets._data[ACCOUNT, "bucket"]["objects"]["key"]

    assert (record["parts"], record["checksum_type"]) == (parts, "COMPOSITE")


def test_annotations_alone_are_found_again(tmp_path: Path) -> None:
    written(tmp_path / ACCOUNT / "bucket", "key", {**stamped(), "annotations": {"null": {"a": {}}}})

    assert loaded(tmp_path)._object_annotations._data == {(ACCOUNT, ("bucket", "key", None)): {"a": {}}}
