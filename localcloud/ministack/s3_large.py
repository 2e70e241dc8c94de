"""Large objects of S3 are read from their files as they are sent.

MiniStack reads a whole object for each answer and for each range or copy of it.
"""

import functools
from pathlib import Path
from typing import Any

from localcloud.ministack.private_names import find_names
from localcloud.ministack.s3_files import LARGE, FileBytes
from localcloud.ministack.s3_requests import in_request

_NAMES = ("_read_body", "_version_body", "_object_disk_path", "_version_disk_path")


def install(s3: Any) -> None:
    """Patch ministack.services.s3."""
    find_names(s3, *_NAMES)
    read_body, version_body = s3._read_body, s3._version_body

    @functools.wraps(read_body)
    def read(bucket: str, key: str, record: dict[str, Any]) -> Any:
        """The bytes of an object; in a request those of a large one as its file."""
        if record.get("body") is None and record["size"] >= LARGE:
            found = _large_file(s3._object_disk_path(bucket, key), record["size"])
            if found is not None:
                return found
        return read_body(bucket, key, record)

    @functools.wraps(version_body)
    def read_version(held: dict[str, Any], bucket: str, key: str, version: dict[str, Any]) -> Any:
        """The bytes of a version, or None; in a request those of a large one as its file."""
        if version.get("data") is None and version["size"] >= LARGE:
            found = _large_file(s3._version_disk_path(bucket, key, version["version_id"]), version["size"])
            if found is not None:
                return found
        return version_body(held, bucket, key, version)

    s3._read_body, s3._version_body = read, read_version


def _large_file(path: str | None, size: int) -> FileBytes | None:
    """The bytes of a file, if it has this size, and a request is handled that can do with a file."""
    if path is None or not in_request():
        return None
    try:
        found = FileBytes(Path(path))
    except OSError:
        return None
    return found if len(found) == size else None
