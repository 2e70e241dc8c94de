"""Large objects of S3 with bounded memory: parts of uploads wait in files, and a range is read as a range.

MiniStack keeps the parts of an upload in memory, reads a whole object for each range of it that is asked for, and
answers a range of a version with all of it, from which clients that download in ranges assemble a damaged file.
"""

import functools
import mmap
import os
import tempfile
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from localcloud.ministack.private_names import find_names
from localcloud.settings import DiskError

Answer = tuple[int, dict[str, str], bytes]

_NAMES = (
    "_upload_part", "_get_object", "_read_body", "_multipart_uploads", "_object_disk_path", "_parse_range", "_qp",
    "_error",
)  # fmt: skip
_SMALL = 1024 * 1024  # what is smaller stays in memory: each file takes a descriptor


def most_upload_bytes() -> int:
    """How large an object may be that is sent in parts: they are joined in memory, a quarter of the machine's."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def install(s3: Any, folder: Path, most_bytes: int) -> None:
    """Patch ministack.services.s3; `folder` holds the files of parts, `most_bytes` is the limit of one upload."""
    find_names(s3, *_NAMES)
    folder.mkdir(parents=True, exist_ok=True)
    in_range: ContextVar[bool] = ContextVar("in_range", default=False)
    upload_part, get_object, read_body = s3._upload_part, s3._get_object, s3._read_body

    @functools.wraps(upload_part)
    def upload(bucket: str, key: str, body: bytes, query: dict[str, Any], headers: dict[str, str]) -> Answer:
        """UploadPart, whose bytes go to a file. EntityTooLarge above the limit, DiskError if the disk refuses."""
        parts = s3._multipart_uploads.get(s3._qp(query, "uploadId"), {}).get("parts", {})
        number = str(s3._qp(query, "partNumber"))
        others = sum(part["size"] for other, part in parts.items() if str(other) != number)
        if others + len(body) > most_bytes:
            message = f"The parts have more than {most_bytes:,} bytes, the most that this machine's memory can join."
            refused: Answer = s3._error("EntityTooLarge", message, 400, f"/{bucket}/{key}")
            return refused
        kept = _in_file(folder, body) if len(body) >= _SMALL else body
        answer: Answer = upload_part(bucket, key, body, query, headers)
        if answer[0] == 200:
            parts[int(number)]["body"] = kept
        return answer

    @functools.wraps(get_object)
    def get(bucket: str, key: str, headers: dict[str, str], query: dict[str, Any] | None = None) -> Answer:
        """GetObject; a range of a version is that range."""
        asked = headers.get("range", "")
        token = in_range.set(bool(asked or s3._qp(query or {}, "partNumber")))
        try:
            status, answered, body = get_object(bucket, key, headers, query)
        finally:
            in_range.reset(token)
        if status != 200 or not asked or not s3._qp(query or {}, "versionId"):
            return status, answered, body
        found = s3._parse_range(asked, len(body))
        if found is None:
            refused: Answer = s3._error(
                "InvalidRange", "The requested range is not satisfiable", 416, f"/{bucket}/{key}",
                headers={"Content-Range": f"bytes */{len(body)}"},
            )  # fmt: skip
            return refused
        start, end = found
        # The checksums are of the whole object.
        kept = {name: value for name, value in answered.items() if not name.lower().startswith("x-amz-checksum-")}
        kept["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
        kept["Content-Length"] = str(end + 1 - start)
        return 206, kept, body[start : end + 1]

    @functools.wraps(read_body)
    def read(bucket: str, key: str, record: dict[str, Any]) -> Any:
        """The bytes of an object; of a large one of which a range is asked, a map of its file."""
        if in_range.get() and record.get("body") is None and record["size"] >= _SMALL:
            path = Path(s3._object_disk_path(bucket, key) or "/")
            if path.is_file() and path.stat().st_size == record["size"]:
                with path.open("rb") as file:
                    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return read_body(bucket, key, record)

    s3._upload_part, s3._get_object, s3._read_body = upload, get, read


def _in_file(folder: Path, data: bytes) -> mmap.mmap:
    """The bytes as a map of a file without a name, which is gone with the process; DiskError if the disk refuses."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(data)
            file.flush()
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise DiskError(f"A part of an upload could not be written: {error.strerror or error}") from error
