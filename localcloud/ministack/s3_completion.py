"""CompleteMultipartUpload: the parts are checked as on AWS and joined in a thread; one step makes them the object.

MiniStack joins them in memory, on the thread that answers all requests, in whatever order they are named.
Source: Amazon S3 API Reference, "CompleteMultipartUpload".
"""

import hashlib
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs
from xml.etree.ElementTree import Element, SubElement

from localcloud.ministack.private_names import find_names
from localcloud.ministack.s3_checksums import COMPOSITE, of_parts
from localcloud.ministack.s3_requests import in_thread
from localcloud.ministack.s3_uploads import Answer, Uploads

LEAST_PART_BYTES = 5 * 1024 * 1024
"""Of every part but the last."""

_NAMES = (
    "_complete_multipart_upload", "_completed_multipart_uploads", "_multipart_uploads", "_ensure_bucket",
    "_no_such_bucket", "_check_sse_c_part", "_check_put_preconditions", "_stored_sse_headers", "_maybe_replicate",
    "_record_object_version", "_persist_object", "_fire_s3_event_async", "_compute_s3_checksum", "_error", "_xml_body",
    "_apply_object_lock_from_headers", "_canned_acl_policy_xml", "_canonical_owner_id", "_grant_headers_acl",
    "_bucket_owner_enforced", "_object_tags", "_object_acl", "fromstring", "ParseError", "now_iso", "S3_NS", "_qp",
)  # fmt: skip
_NO_PART = (
    "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified "
    "entity tag may not match the part's entity tag."
)

_MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"


class PartError(Exception):
    """The upload cannot be completed, or the parts that a request names are not its parts. `code` is AWS's."""

    def __init__(self, code: str, message: str, status: int = 400, **details: str) -> None:
        super().__init__(message)
        self.code, self.status, self.details = code, status, details


def named_parts(document: Any) -> list[dict[str, str]]:
    """The parts of a CompleteMultipartUpload document: the text of each member by its name. PartError without any."""
    parts = [
        {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in part}
        for part in document
        if part.tag.rpartition("}")[2] == "Part"
    ]
    if not parts or not all(part.get("PartNumber", "").isdecimal() and part.get("ETag") for part in parts):
        raise PartError("MalformedXML", _MALFORMED)
    return parts


def chosen_parts(named: list[dict[str, str]], stored: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """The stored parts that are named, each with its `number`; PartError if they cannot make an object."""
    numbers = [int(part["PartNumber"]) for part in named]
    if any(number >= following for number, following in pairwise(numbers)):
        raise PartError(
            "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number."
        )
    chosen: list[dict[str, Any]] = []
    for number, part in zip(numbers, named, strict=True):
        found, etag = stored.get(number), part["ETag"].strip('"')
        checksums = {
            name[len("Checksum") :].upper(): text for name, text in part.items() if name.startswith("Checksum")
        }
        if (
            found is None
            or found["etag"].strip('"') != etag
            or any(text and found["checksums"].get(name) != text for name, text in checksums.items())
        ):
            raise PartError("InvalidPart", _NO_PART, PartNumber=str(number), ETag=etag)
        chosen.append({**found, "number": number})
    for part in chosen[:-1]:
        if int(part["size"]) < LEAST_PART_BYTES:
            raise PartError(
                "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size",
                ProposedSize=str(part["size"]), MinSizeAllowed=str(LEAST_PART_BYTES), PartNumber=str(part["number"]),
                ETag=part["etag"].strip('"'),
            )  # fmt: skip
    return chosen


def etag_of(parts: list[dict[str, Any]]) -> str:
    """The ETag of an object: the MD5 of its parts' MD5s, and their number."""
    digests = b"".join(bytes.fromhex(part["etag"].strip('"')) for part in parts)
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'


class _Completion:
    """CompleteMultipartUpload on MiniStack's S3."""

    def __init__(self, s3: Any, uploads: Uploads) -> None:
        self._s3, self._uploads = s3, uploads

    def __call__(
        self, bucket_name: str, key: str, body: bytes, query: dict[str, Any], headers: dict[str, str] | None = None
    ) -> Answer:
        """Make an upload the object of its key. DiskError if the disk refuses: the upload is then as before."""
        s3, upload_id = self._s3, self._s3._qp(query, "uploadId")
        bucket, done = s3._ensure_bucket(bucket_name), s3._completed_multipart_uploads.get(upload_id)
        answer: Answer
        if bucket is None:
            answer = s3._no_such_bucket(bucket_name)
        elif done is not None and done["key"] == key:
            answer = done["response"]
        else:
            try:
                answer = self._complete(bucket, (bucket_name, key), upload_id, body, headers or {})
            except PartError as error:
                answer = s3._error(error.code, str(error), error.status, f"/{bucket_name}/{key}", error.details)
        return answer

    def _complete(
        self, bucket: dict[str, Any], place: tuple[str, str], upload_id: str, body: bytes, headers: dict[str, str]
    ) -> Answer:
        """The answer to a request that is sent for the first time; `place` are bucket and key. PartError."""
        s3 = self._s3
        upload = s3._multipart_uploads.get(upload_id)
        if upload is None or (upload["bucket"], upload["key"]) != place:
            raise PartError("NoSuchUpload", "The specified multipart upload does not exist.", 404)
        refused: Answer | None = s3._check_sse_c_part(headers, upload)
        refused = refused or s3._check_put_preconditions(headers, bucket["objects"].get(place[1]))
        if refused:
            return refused
        parts = chosen_parts(named_parts(self._document(body)), upload["parts"])
        checksum = self._checksum(upload, parts, headers)
        _check_size(parts, headers)
        joined = in_thread("joined", lambda: self._uploads.join(upload_id, parts))
        answer = self._commit(bucket, upload, parts, joined if len(joined) else b"", checksum, headers)
        del s3._multipart_uploads[upload_id]
        s3._completed_multipart_uploads[upload_id] = {"key": place[1], "response": answer}
        self._uploads.end(upload_id)
        return answer

    def _document(self, body: bytes) -> Any:
        try:
            return self._s3.fromstring(body)
        except self._s3.ParseError:
            raise PartError("MalformedXML", _MALFORMED) from None

    def _checksum(self, upload: dict[str, Any], parts: list[dict[str, Any]], headers: dict[str, str]) -> str | None:
        """The checksum of the object, if the upload has an algorithm; PartError if the request names another one."""
        name = upload.get("checksum_algorithm")
        if not name:
            return None
        kind = headers.get("x-amz-checksum-type", upload["checksum_type"]).upper()
        if kind != upload["checksum_type"]:
            raise PartError(
                "InvalidRequest",
                f"The upload was created using the {upload['checksum_type']} checksum mode. The complete request must "
                "use the same checksum mode.",
            )
        pairs = [(part["checksums"][name], part["size"]) for part in parts]
        found = of_parts(name, kind, pairs, self._s3._compute_s3_checksum)
        wanted = headers.get(f"x-amz-checksum-{name.lower()}", found)
        # A composite checksum may be given without the number of parts.
        if wanted not in (found, found.rpartition("-")[0] if kind == COMPOSITE else found):
            raise PartError("BadDigest", f"The {name.lower()} you specified did not match the calculated checksum.")
        return found

    def _commit(
        self,
        bucket: dict[str, Any],
        upload: dict[str, Any],
        parts: list[dict[str, Any]],
        body: Any,
        checksum: str | None,
        headers: dict[str, str],
    ) -> Answer:
        """Put the object, with what CreateMultipartUpload said of it, and answer."""
        s3, name, key = self._s3, upload["bucket"], upload["key"]
        algorithm, given = upload.get("checksum_algorithm"), upload.get("headers", {})
        record = {
            **{member: upload[member] for member in ("content_type", "content_encoding", "metadata")},
            "body": body,
            "etag": etag_of(parts),
            "last_modified": s3.now_iso(),
            "size": len(body),
            "preserved_headers": upload["preserved_headers"],
            "storage_class": upload["storage_class"] or "STANDARD",
            "parts": [
                {"PartNumber": part["number"], "Size": part["size"], "Checksums": part["checksums"]} for part in parts
            ],
            "checksums": {algorithm: checksum} if checksum else {},
            "checksum_type": upload.get("checksum_type") if checksum else None,
        }
        tags = {tag: values[0] for tag, values in parse_qs(given.get("x-amz-tagging", ""), True).items()}
        prior = bucket["objects"].get(key)
        bucket["objects"][key] = record
        s3._maybe_replicate(name, key, record, body, tags or None)
        version = s3._record_object_version(name, key, prior, record, body)
        place = (name, key, record.get("version_id"))
        s3._apply_object_lock_from_headers(name, key, given, record.get("version_id"))
        granted, _ = s3._grant_headers_acl(given, s3._bucket_owner_enforced(bucket))
        if "x-amz-acl" in given:
            granted = s3._canned_acl_policy_xml(given["x-amz-acl"], s3._canonical_owner_id())
        for store, value in ((s3._object_tags, tags), (s3._object_acl, granted)):
            if value:
                store[place] = value
            else:
                store.pop(place, None)
        s3._persist_object(name, key, record)
        s3._fire_s3_event_async(
            name, key, "s3:ObjectCreated:CompleteMultipartUpload", size=record["size"], etag=record["etag"],
            version_id=version,
        )  # fmt: skip
        return 200, self._answer_headers(record, version), self._answer(upload, record, headers)

    def _answer_headers(self, record: dict[str, Any], version: str | None) -> dict[str, str]:
        shown = {"x-amz-version-id": version} if version else {}
        return {"Content-Type": "application/xml", **self._s3._stored_sse_headers(record), **shown}

    def _answer(self, upload: dict[str, Any], record: dict[str, Any], headers: dict[str, str]) -> Any:
        """The answer's body, in XML: where the object is, its ETag and its checksums."""
        root = Element("CompleteMultipartUploadResult", xmlns=self._s3.S3_NS)
        place = f"{upload['bucket']}/{upload['key']}"
        members = {
            "Location": f"http://{headers.get('host', '127.0.0.1')}/{place}",
            "Bucket": upload["bucket"],
            "Key": upload["key"],
            "ETag": record["etag"],
            **{f"Checksum{name}": value for name, value in record["checksums"].items()},
            **({"ChecksumType": record["checksum_type"]} if record["checksums"] else {}),
        }
        for name, text in members.items():
            SubElement(root, name).text = text
        return self._s3._xml_body(root)


def _check_size(parts: list[dict[str, Any]], headers: dict[str, str]) -> None:
    """PartError if the request names another size of the object than its parts have."""
    declared, size = headers.get("x-amz-mp-object-size"), sum(part["size"] for part in parts)
    if declared is None:
        return
    if not declared.isdecimal():
        raise PartError("InvalidRequest", f"Value for x-amz-mp-object-size header is invalid: '{declared}'")
    if int(declared) != size:
        raise PartError(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {declared} does not match what was computed: {size}",
        )


def install(s3: Any, uploads: Uploads) -> None:
    """Patch ministack.services.s3 to complete uploads that are kept in `uploads`."""
    find_names(s3, *_NAMES)
    s3._complete_multipart_upload = _Completion(s3, uploads)
