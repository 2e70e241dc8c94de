"""Ranges and parts of objects of S3: GetObject and HeadObject with Range or partNumber, also of versions.

MiniStack answers a range of a version with the whole of it, from which clients that download in ranges assemble a
damaged file; it knows no ranges of HeadObject, no parts of versions, and forgets the parts of objects when it ends.
Source: Amazon S3 API Reference, "GetObject", "HeadObject" and "GetObjectAttributes".
"""

import functools
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import SubElement

from localcloud.ministack.private_names import find_names
from localcloud.ministack.s3_checksums import FULL
from localcloud.ministack.s3_loading import KEPT
from localcloud.ministack.s3_uploads import MOST_PARTS, Answer

_NAMES = (
    "_get_object", "_head_object", "_get_object_attributes", "_append_object_parts", "_object_meta_from_record",
    "_version_entry_from_record", "_object_record_from_version", "_object_versions", "_buckets", "_parse_range", "_qp",
    "_error",
)  # fmt: skip


def install(s3: Any) -> None:
    """Patch ministack.services.s3."""
    find_names(s3, *_NAMES)
    for name in ("_object_meta_from_record", "_version_entry_from_record", "_object_record_from_version"):
        setattr(s3, name, _keeping(getattr(s3, name)))
    s3._get_object, s3._head_object = _ranged(s3, s3._get_object), _ranged(s3, s3._head_object)
    _describe_parts(s3)


def _keeping(describe: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """`describe`, whose description also has what else the object has of KEPT."""

    @functools.wraps(describe)
    def described(known: dict[str, Any], *more: Any) -> dict[str, Any]:
        return {**describe(known, *more), **{name: known[name] for name in KEPT if known.get(name)}}

    return described


def _record(s3: Any, bucket: str, key: str, query: dict[str, Any]) -> dict[str, Any]:
    """What MiniStack knows of the object, or of the version that a request names; {} if there is none."""
    wanted = s3._qp(query, "versionId")
    current = (s3._buckets.get(bucket) or {"objects": {}})["objects"].get(key) or {}
    if not wanted:
        return dict(current)
    versions = s3._object_versions.get((bucket, key)) or []
    return next((dict(version) for version in versions if version["version_id"] == wanted), dict(current))


def _ranged(s3: Any, read: Callable[..., Answer]) -> Callable[..., Answer]:
    """GetObject or HeadObject, which answers a range or a part with that."""

    @functools.wraps(read)
    def answer(
        bucket: str, key: str, headers: dict[str, str] | None = None, query: dict[str, Any] | None = None
    ) -> Answer:
        """Answer the range or part that is asked for with status 206; S3's error where there is none."""
        headers, query = headers or {}, query or {}
        asked, number = headers.get("range", ""), s3._qp(query, "partNumber")
        if not asked and not number:
            return read(bucket, key, headers, query)
        place = f"/{bucket}/{key}"
        refused = _wrong_number(number) if number else None
        if asked and number:
            refused = ("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
        if refused is not None:
            error: Answer = s3._error(*refused, 400, place)
            return error
        status, answered, body = read(
            bucket, key, {name: value for name, value in headers.items() if name != "range"},
            {name: value for name, value in query.items() if name != "partNumber"},
        )  # fmt: skip
        if status != 200:
            return status, answered, body
        record = _record(s3, bucket, key, query)
        size = int(record["size"])
        found = _place_of_part(record, int(number)) if number else s3._parse_range(asked, size)
        if found is None:
            refused = ("InvalidRange", "The requested range is not satisfiable")
            if number:
                refused = ("InvalidPartNumber", "The requested partnumber is not satisfiable")
            error = s3._error(*refused, 416, place)
            return error[0], {**error[1], "Content-Range": f"bytes */{size}"}, error[2]
        start, end = found
        # The checksums are of the whole object.
        kept = {name: value for name, value in answered.items() if not name.lower().startswith("x-amz-checksum-")}
        if number and record.get("parts"):
            kept["x-amz-mp-parts-count"] = str(len(record["parts"]))
        if size == 0:
            return status, kept, body
        kept["Content-Range"] = f"bytes {start}-{end}/{size}"
        kept["Content-Length"] = str(end + 1 - start)
        return 206, kept, body[start : end + 1]

    return answer


def _wrong_number(number: str) -> tuple[str, str] | None:
    """The code and the message of the refusal of a part's number; None if it is one."""
    if number.isdecimal() and len(number) <= len(str(MOST_PARTS)) and 1 <= int(number) <= MOST_PARTS:
        return None
    return "InvalidArgument", f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive"


def _place_of_part(record: dict[str, Any], number: int) -> tuple[int, int] | None:
    """The first and the last byte of a part; None if the object has none of this number. A whole object is part 1."""
    start = 0
    for part in record.get("parts") or [{"PartNumber": 1, "Size": record["size"]}]:
        if part["PartNumber"] == number:
            return start, start + part["Size"] - 1
        start += part["Size"]
    return None


def _describe_parts(s3: Any) -> None:
    """Have GetObjectAttributes tell the parts' checksums, and the right type of the whole's."""
    append, attributes = s3._append_object_parts, s3._get_object_attributes

    @functools.wraps(append)
    def with_checksums(root: Any, record: dict[str, Any], headers: dict[str, str]) -> None:
        append(root, record, headers)
        checksums = {str(part["PartNumber"]): part.get("Checksums") or {} for part in record.get("parts") or []}
        for part in root.iter("Part"):
            for name, value in checksums[part.findtext("PartNumber")].items():
                SubElement(part, f"Checksum{name}").text = value

    @functools.wraps(attributes)
    def describe(bucket: str, key: str, headers: dict[str, str], query: dict[str, Any]) -> Answer:
        status, answered, body = attributes(bucket, key, headers, query)
        if status == 200 and _record(s3, bucket, key, query).get("checksum_type") == FULL:
            # MiniStack takes all checksums of objects with parts for those of their parts.
            body = body.replace(b"<ChecksumType>COMPOSITE<", b"<ChecksumType>FULL_OBJECT<")
        return status, answered, body

    s3._append_object_parts, s3._get_object_attributes = with_checksums, describe
