"""Reads the addresses of objects in S3: s3://bucket/key, and the https:// forms that SageMaker takes in their place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

# "Methods for accessing a general purpose bucket" in the S3 user guide: virtual-hosted style and path style, with the
# region after a dot or, as in older programs, after a dash.
_HTTPS = re.compile(r"https://(?:(?P<bucket>[^/]+)\.)?s3[.-](?:[a-z0-9-]+\.){0,2}amazonaws\.com(?:\.cn)?/(?P<path>.*)")


def split(address: str) -> tuple[str, str]:
    """Return bucket and key of an address, the key without a leading slash; ValueError if it is no address of S3."""
    https = _HTTPS.fullmatch(address)
    if https:
        path = "/".join(filter(None, (https["bucket"], https["path"])))
    elif address.startswith("s3://"):
        path = address.removeprefix("s3://")
    else:
        path = ""
    bucket, _, key = path.partition("/")
    if not bucket:
        raise ValueError(f"{address!r} is not an S3 URI such as s3://bucket/prefix.")
    return bucket, key


def relative_paths(keys: Iterable[str], prefix: str) -> dict[str, PurePosixPath]:
    """Return for each key under `prefix` its path in the input's directory. Keys that end in / are left out.

    If a key equals the prefix, it is the only one, under its file name. If the prefix is a folder, paths are relative
    to it; otherwise (the prefix ends within a name) to the folder above. ValueError if a key would leave the directory.
    """
    listed = [key for key in keys if not key.endswith("/")]
    if prefix in listed:
        listed, base = [prefix], prefix.rpartition("/")[0]
    elif any(key.startswith(prefix.rstrip("/") + "/") for key in listed) or not prefix:
        base = prefix.rstrip("/")
        listed = [key for key in listed if not base or key.startswith(base + "/")]
    else:
        base = prefix.rpartition("/")[0]
    paths = {}
    for key in listed:
        relative = key[len(base) :].lstrip("/") if base else key
        path = PurePosixPath(relative)
        if ".." in path.parts or path.is_absolute() or "\0" in relative or not relative:
            raise ValueError(f"The key {key!r} would be written outside of the job's directory.")
        paths[key] = path
    return paths
