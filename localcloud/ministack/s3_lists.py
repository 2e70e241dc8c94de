"""Lists of objects and of their versions: a page costs what is on it, however many objects there are.

MiniStack goes through all keys of a bucket for each page, and for versions through those of all buckets; it gives any
number of keys at once where S3 gives 1,000, and a list of versions that is grouped starts a group again on each page.
Source: Amazon S3 API Reference, "ListObjects", "ListObjectsV2" and "ListObjectVersions".
"""

import binascii
import functools
import heapq
from base64 import b64decode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from localcloud.ministack.private_names import find_names
from localcloud.ministack.s3_keys import ByKey, Versions, objects_of
from localcloud.ministack.s3_uploads import Answer

MOST = 1000
"""Of keys, versions or uploads on a page."""
_NAMES = (
    "_buckets._data", "_object_versions._data", "_ensure_bucket", "_bucket_has_versions", "_collect_list_entries",
    "_list_objects_v1", "_list_objects_v2", "_list_object_versions", "_list_multipart_uploads", "_no_such_bucket",
    "_canonical_owner_id", "_url_encode", "_xml_body", "_error", "_qp", "get_account_id", "S3_NS",
)  # fmt: skip

Row = tuple[str, bool]
"""A key, or what begins all keys of a group, and whether it is a group."""


def rows(keys: list[str], prefix: str, delimiter: str, after: str) -> Iterator[Row]:
    """What a list shows of sorted keys, in order: those that begin with `prefix` and come after `after`.

    Keys in which `delimiter` follows the prefix are one row, a group, up to the first delimiter.
    """
    place = max(bisect_left(keys, prefix), bisect_right(keys, after) if after else 0)
    while place < len(keys) and keys[place].startswith(prefix):
        key = keys[place]
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            yield key, False
            place += 1
            continue
        size = end + len(delimiter)
        group = key[:size]
        if group > after:
            yield group, True
        place = bisect_right(keys, group, place, key=itemgetter(slice(size)))


def page(keys: ByKey, prefix: str, delimiter: str, most: int, after: str) -> tuple[list[str], list[str], bool, str]:
    """A page of a bucket's keys: the keys, the groups, whether more follow, and the last of them."""
    found = rows(keys.ordered(), prefix, delimiter, after)
    shown = list(islice(found, most))
    more = bool(most) and next(found, None) is not None
    last = shown[-1][0] if shown else ""
    return [row for row, group in shown if not group], [row for row, group in shown if group], more, last


def install(s3: Any) -> None:
    """Patch ministack.services.s3, whose objects must not have been loaded."""
    find_names(s3, *_NAMES)
    versions = s3._object_versions._data = Versions()
    ensure_bucket = s3._ensure_bucket

    @functools.wraps(ensure_bucket)
    def ensure(name: str) -> Any:
        """A bucket, whose objects are held by key, or None."""
        bucket = ensure_bucket(name)
        if bucket is not None:
            objects_of(bucket)
        return bucket

    s3._ensure_bucket, s3._collect_list_entries = ensure, page
    s3._bucket_has_versions = lambda bucket: _has_versions(versions.of(s3.get_account_id(), bucket))
    s3._list_object_versions = functools.partial(_list_versions, s3)
    for name, asked in (
        ("_list_objects_v1", "max-keys"), ("_list_objects_v2", "max-keys"), ("_list_object_versions", "max-keys"),
        ("_list_multipart_uploads", "max-uploads"),
    ):  # fmt: skip
        setattr(s3, name, _bounded(s3, getattr(s3, name), asked))


def _has_versions(versions: ByKey) -> bool:
    """Whether a bucket, which has no objects, has versions of any or delete markers."""
    return any(versions.get(key) for key in list(versions))


def _bounded(s3: Any, answer: Callable[[str, dict[str, Any]], Answer], name: str) -> Callable[..., Answer]:
    """A list that shows at most 1,000, and refuses what MiniStack reads otherwise than S3.

    The front door refuses what is no number.
    """

    def bounded(bucket: str, query: dict[str, Any]) -> Answer:
        if s3._ensure_bucket(bucket) is not None and (said := _refusal(s3, query)):
            refused: Answer = s3._error("InvalidArgument", said, 400, f"/{bucket}")
            return refused
        return answer(bucket, {**query, name: [str(min(int(s3._qp(query, name, str(MOST))), MOST))]})

    return bounded


def _refusal(s3: Any, query: dict[str, Any]) -> str:
    """Why a list is refused: a token that none gave, or an unknown encoding; "" if it is not."""
    if s3._qp(query, "encoding-type") not in ("", "url"):
        return "Invalid Encoding Method specified in Request"
    if "continuation-token" in query:
        try:
            known = b64decode(s3._qp(query, "continuation-token"), validate=True).decode()
        except (binascii.Error, ValueError):
            known = ""
        if not known:
            return "The continuation token provided is incorrect"
    return ""


def _list_versions(s3: Any, name: str, query: dict[str, Any]) -> Answer:
    """ListObjectVersions."""
    bucket = s3._ensure_bucket(name)
    answer: Answer
    if bucket is None:
        answer = s3._no_such_bucket(name)
        return answer
    prefix, delimiter, marker, version_marker = (
        s3._qp(query, member) for member in ("prefix", "delimiter", "key-marker", "version-id-marker")
    )
    if version_marker and not marker:
        answer = s3._error(
            "InvalidArgument", "A version-id marker cannot be specified without a key marker.", 400, f"/{name}"
        )
        return answer
    most, encode = int(s3._qp(query, "max-keys")), s3._qp(query, "encoding-type") == "url"
    shown: Callable[[str], str] = s3._url_encode if encode else str
    root = Element("ListVersionsResult", xmlns=s3.S3_NS)
    head = {
        "Name": name, "Prefix": shown(prefix), "KeyMarker": shown(marker), "VersionIdMarker": version_marker,
        "MaxKeys": str(most), **({"Delimiter": shown(delimiter)} if delimiter else {}),
        **({"EncodingType": "url"} if encode else {}),
    }  # fmt: skip
    for tag, text in head.items():
        SubElement(root, tag).text = text
    found = _versions(s3, bucket["objects"], name, (prefix, delimiter, marker, version_marker))
    last: tuple[str, str] | None = None
    for row, version in islice(found, most):
        last = row, version["version_id"] if version else ""
        if version is None:
            SubElement(SubElement(root, "CommonPrefixes"), "Prefix").text = shown(row)
        else:
            _describe(s3, root, shown(row), version)
    more = last is not None and next(found, None) is not None
    SubElement(root, "IsTruncated").text = str(more).lower()
    if more and last is not None:
        SubElement(root, "NextKeyMarker").text = shown(last[0])
        if last[1]:
            SubElement(root, "NextVersionIdMarker").text = last[1]
    return 200, {"Content-Type": "application/xml"}, s3._xml_body(root)


def _versions(
    s3: Any, objects: ByKey, bucket: str, asked: tuple[str, str, str, str]
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The rows of a list of versions that follow its markers: a key with each of its versions, or a group without."""
    prefix, delimiter, marker, version_marker = asked
    if version_marker and marker.startswith(prefix):
        for version in _after(_versions_of(s3, objects, bucket, marker), version_marker):
            yield marker, version
    sources = (objects, s3._object_versions._data.of(s3.get_account_id(), bucket))
    for (row, group), _ in groupby(heapq.merge(*(rows(keys.ordered(), prefix, delimiter, marker) for keys in sources))):
        if group:
            yield row, None
        else:
            for version in _versions_of(s3, objects, bucket, row):
                yield row, version


def _versions_of(s3: Any, objects: ByKey, bucket: str, key: str) -> list[dict[str, Any]]:
    """The versions of a key, newest first; of one that has none, its object as the version `null`."""
    versions = s3._object_versions.get((bucket, key))
    if versions:
        return list(reversed(versions))
    current = objects.get(key)
    return [{**current, "version_id": current.get("version_id") or "null", "is_latest": True}] if current else []


def _after(versions: list[dict[str, Any]], version_id: str) -> list[dict[str, Any]]:
    """The versions that follow one; all that are left if it is gone, as the page before may have been deleted since."""
    places = [place for place, version in enumerate(versions) if version["version_id"] == version_id]
    return versions[places[0] + 1 :] if places else versions


def _describe(s3: Any, root: Element, key: str, version: dict[str, Any]) -> None:
    """Add a version or a delete marker to a list."""
    marker = version.get("is_delete_marker")
    element = SubElement(root, "DeleteMarker" if marker else "Version")
    members = {
        "Key": key, "VersionId": version["version_id"], "IsLatest": str(bool(version["is_latest"])).lower(),
        "LastModified": version["last_modified"],
    }  # fmt: skip
    if not marker:
        members |= {
            "ETag": version["etag"], "Size": str(version["size"]),
            "StorageClass": version.get("storage_class") or "STANDARD",
        }  # fmt: skip
    for tag, text in members.items():
        SubElement(element, tag).text = text
    owner = SubElement(element, "Owner")
    SubElement(owner, "ID").text = s3._canonical_owner_id()
    SubElement(owner, "DisplayName").text = "ministack"
