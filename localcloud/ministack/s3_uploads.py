"""Uploads to S3 in parts, on disk: their parts take no memory, and an upload goes on after the server was killed.

Below the folder each upload has a directory: `upload.json` (what CreateMultipartUpload was given), and for each part
its bytes and a description (`00001.json`), which is written last and names the file of the bytes.
"""

import functools
import json
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from localcloud.ministack.private_names import find_names
from localcloud.ministack.s3_checksums import type_of_checksum, wrong_type_of_checksum
from localcloud.ministack.s3_files import FileBytes, join, write
from localcloud.ministack.s3_requests import afterwards, on_disk, temporary
from localcloud.settings import DiskError
from localcloud.state.damage import damaged

Answer = tuple[int, dict[str, str], Any]

_NAMES = (
    "_create_multipart_upload", "_upload_part", "_upload_part_copy", "_abort_multipart_upload", "_multipart_uploads",
    "_multipart_uploads._data", "_compute_s3_checksum", "_error", "_qp", "get_account_id",
)  # fmt: skip
MOST_PARTS = 10_000
# What CreateMultipartUpload says of the object and MiniStack forgets.
_KEPT_HEADERS = re.compile(r"x-amz-(tagging|acl|grant-.+|object-lock-.+)")


class Uploads:
    """The uploads below a folder, which is on the file system of the objects."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def begin(self, upload_id: str, account: str, upload: dict[str, Any]) -> None:
        """Note a new upload. OSError if it cannot be written."""
        (self.folder / upload_id).mkdir(mode=0o700)
        described = {"account": account, "upload": {**upload, "parts": {}}}
        self._write(upload_id, "upload.json", described)

    def keep(self, upload_id: str, number: int, part: dict[str, Any], data: bytes | FileBytes) -> dict[str, Any]:
        """Store the bytes of a part and its description, which is returned. OSError if they cannot be written."""
        described = {**part, "file": f"{number:05}-{uuid.uuid4().hex}"}
        target = self.folder / upload_id / described["file"]
        if isinstance(data, FileBytes):
            data.write_to(target)
        else:
            write(target, iter([data]))
        self._write(upload_id, f"{number:05}.json", described)
        return described

    def forget_part(self, upload_id: str, part: dict[str, Any]) -> None:
        """Remove the bytes of a part that another one has replaced."""
        (self.folder / upload_id / part["file"]).unlink(missing_ok=True)

    def join(self, upload_id: str, parts: list[dict[str, Any]]) -> FileBytes:
        """The bytes of parts, one after the other, in a temporary file. DiskError if it cannot be written."""
        path = temporary(self.folder / upload_id)
        try:
            join([self.folder / upload_id / part["file"] for part in parts], path)
            return FileBytes(path)
        except OSError as error:
            raise DiskError(f"The parts of an upload could not be joined: {error.strerror or error}") from error

    def end(self, upload_id: str) -> None:
        """Forget an upload; its parts are removed before the request is answered."""
        (self.folder / upload_id / "upload.json").unlink(missing_ok=True)
        afterwards(lambda: shutil.rmtree(self.folder / upload_id, ignore_errors=True))

    def read(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Uploads that had not ended when the server did: account, id, and what MiniStack knows of an upload.

        What a kill left of others, and of parts that were not acknowledged, is removed. StartError names a damaged one.
        """
        for folder in list(self.folder.iterdir()):
            try:
                noted = json.loads((folder / "upload.json").read_text(encoding="utf-8"))
            except OSError:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            except ValueError as error:
                raise damaged(folder / "upload.json", error) from error
            parts = {}
            for path in folder.glob("[0-9]" * 5 + ".json"):
                try:
                    part = json.loads(path.read_text(encoding="utf-8"))
                except ValueError as error:
                    raise damaged(path, error) from error
                data = folder / part["file"]
                if data.is_file():
                    if data.stat().st_size != int(part["size"]):
                        raise damaged(data, f"it has {data.stat().st_size} bytes, not {part['size']}")
                    parts[int(path.stem)] = part
            used = {part["file"] for part in parts.values()}
            for path in folder.iterdir():
                if path.suffix != ".json" and path.name not in used:
                    path.unlink()
            yield noted["account"], folder.name, {**noted["upload"], "parts": parts}

    def _write(self, upload_id: str, name: str, described: dict[str, Any]) -> None:
        """Write a description in one step."""
        path = self.folder / upload_id / name
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(described), encoding="utf-8")
        partial.replace(path)


def install(s3: Any, uploads: Uploads) -> None:
    """Patch ministack.services.s3 to keep uploads in `uploads`, and give it those that are there."""
    find_names(s3, *_NAMES)
    for account, upload_id, upload in uploads.read():
        s3._multipart_uploads._data[(account, upload_id)] = upload
    create_upload, abort_upload = s3._create_multipart_upload, s3._abort_multipart_upload
    upload_part, copy_part = s3._upload_part, s3._upload_part_copy

    def refuse(code: str, message: str, status: int = 400) -> Answer:
        answer: Answer = s3._error(code, message, status)
        return answer

    @functools.wraps(create_upload)
    def create(bucket: str, key: str, headers: dict[str, str]) -> Answer:
        """CreateMultipartUpload. DiskError if the upload cannot be noted."""
        refused = wrong_type_of_checksum(headers)
        if refused:
            return refuse("InvalidRequest", refused)
        before = set(s3._multipart_uploads)
        answer: Answer = create_upload(bucket, key, headers)
        for upload_id in set(s3._multipart_uploads) - before:
            upload = s3._multipart_uploads[upload_id]
            upload["headers"] = {name: value for name, value in headers.items() if _KEPT_HEADERS.fullmatch(name)}
            upload["checksum_type"] = type_of_checksum(headers, upload["checksum_algorithm"])
            try:
                uploads.begin(upload_id, s3.get_account_id(), upload)
            except OSError as error:
                del s3._multipart_uploads[upload_id]
                raise DiskError(f"An upload could not be noted: {error.strerror or error}") from error
            if upload["checksum_type"]:
                answer[1]["x-amz-checksum-type"] = upload["checksum_type"]
        return answer

    def keep(query: dict[str, Any], send: Callable[[], Answer]) -> Answer:
        """Have MiniStack take a part by `send()`, then store it. DiskError if it cannot be written."""
        upload_id, given = s3._qp(query, "uploadId"), s3._qp(query, "partNumber")
        upload = s3._multipart_uploads.get(upload_id)
        if upload is None:
            return send()
        number = int(given) if given.isdecimal() and len(given) <= len(str(MOST_PARTS)) else 0
        if not 1 <= number <= MOST_PARTS:
            return refuse("InvalidArgument", f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive")
        parts, former = upload["parts"], upload["parts"].get(number)
        answer = send()
        if answer[0] != 200:
            return answer
        part = parts.pop(number)
        if former is not None:
            parts[number] = former
        body, algorithm = part.pop("body"), upload.get("checksum_algorithm")
        if algorithm and not part.get("checksums"):
            part["checksums"] = {algorithm: s3._compute_s3_checksum(algorithm, body)}
        body = on_disk(body, uploads.folder)
        try:
            parts[number] = uploads.keep(upload_id, number, part, body)
        except OSError as error:
            raise DiskError(f"Part {number} of an upload could not be written: {error.strerror or error}") from error
        if former is not None:
            uploads.forget_part(upload_id, former)
        return answer

    @functools.wraps(upload_part)
    def send_part(bucket: str, key: str, body: bytes, query: dict[str, Any], headers: dict[str, str]) -> Answer:
        """UploadPart. DiskError if the part cannot be written."""
        return keep(query, lambda: upload_part(bucket, key, body, query, headers))

    @functools.wraps(copy_part)
    def send_copy(bucket: str, key: str, query: dict[str, Any], headers: dict[str, str]) -> Answer:
        """UploadPartCopy. DiskError if the part cannot be written."""
        upload = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
        if upload is not None and (upload["bucket"], upload["key"]) != (bucket, key):
            return refuse("NoSuchUpload", "The specified multipart upload does not exist.", 404)
        return keep(query, lambda: copy_part(bucket, key, query, headers))

    @functools.wraps(abort_upload)
    def abort(bucket: str, key: str, query: dict[str, Any]) -> Answer:
        """AbortMultipartUpload; the parts are gone when it is answered."""
        answer: Answer = abort_upload(bucket, key, query)
        if answer[0] == 204:
            uploads.end(s3._qp(query, "uploadId"))
        return answer

    s3._create_multipart_upload, s3._abort_multipart_upload = create, abort
    s3._upload_part, s3._upload_part_copy = send_part, send_copy
