"""Provides a run with photos: finds them, as a part on a screen, and uploads them below a prefix with their hash."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loadingbay.data.acquire import Data, acquire
from loadingbay.errors import UsageError
from loadingbay.screen.progress import Screen
from loadingbay.target import Target
from pipelines import aws

_PARALLEL = 8
_PREFIX = "data"


def find(screen: Screen, named: Path | None, environment: Mapping[str, str]) -> Data:
    """Finds the photos to learn from and says where they come from; `acquire` has the order, and what it raises."""
    with screen.part("Data") as part:
        data = acquire(named, environment=environment, say=lambda text: screen.note(part, text))
        part.note = data.origin
    return data


def upload(target: Target, bucket: str, data: Data) -> str:
    """Uploads what is missing; the S3 address of the prefix, ending with a slash. May be repeated."""
    s3, prefix = target.client("s3"), f"{_PREFIX}/{data.sha256}"
    there = {item["Key"] for item in aws.objects(s3, bucket, f"{prefix}/")}
    missing = [(path, key) for name, path in data.files if (key := f"{prefix}/{name}") not in there]
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="upload") as pool:  # a folder may hold thousands of photos
        for done in [pool.submit(s3.upload_file, str(path), bucket, key) for path, key in missing]:
            done.result()
    return f"s3://{bucket}/{prefix}/"


def stored(bucket: str, address: str, label: str) -> Data:
    """The data that an earlier run uploaded to this address, under its label: nothing of it is uploaded again.

    Raises UsageError for an address that `upload` does not give.
    """
    found = re.fullmatch(rf"s3://{re.escape(bucket)}/{_PREFIX}/([0-9a-f]{{64}})/", address)
    if found is None:
        raise UsageError(f"{address[:200]} are no data of an earlier run: name an archive or a folder on this machine")
    return Data(label, found[1], (), address)
