"""The objects that are on disk, found at the start in one walk.

Unpatched, MiniStack reads them while it is imported, walks each bucket twice, and makes each key from two absolute
paths: half of what a start with many objects takes.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localcloud.ministack.private_names import find_names

SIDECAR = ".meta.json"


def load(s3: Any) -> None:
    """Let ministack.services.s3, imported without S3_PERSIST, keep objects on disk; those that are there are read."""
    find_names(s3, "S3_PERSIST", "DATA_DIR", "_load_persisted_data", "_persisted_key_files", "_ENCODED_KEYS_DIR")
    every = s3._persisted_key_files

    def key_files(bucket: str, sidecars: bool) -> Iterator[tuple[str, str]]:
        """(file, key) of a bucket's data files, or of its sidecars without a data file."""
        yield from _plain(bucket, sidecars, s3._ENCODED_KEYS_DIR)
        encoded = Path(bucket, s3._ENCODED_KEYS_DIR)
        if encoded.is_dir():
            yield from (found for found in every(bucket, sidecars) if found[0].startswith(f"{encoded}/"))

    s3._persisted_key_files = key_files
    s3.S3_PERSIST = True
    s3._load_persisted_data()


def _plain(bucket: str, sidecars: bool, encoded: str) -> Iterator[tuple[str, str]]:
    """Those of keys that are paths; `encoded` is the folder of the others."""
    folders = [(bucket, "")]
    while folders:
        folder, prefix = folders.pop()
        with os.scandir(folder) as found:
            entries = {entry.name: entry for entry in found}
        for name, entry in entries.items():
            if entry.is_dir(follow_symlinks=False):
                if prefix or name != encoded:
                    folders.append((entry.path, f"{prefix}{name}/"))
            elif name.endswith(SIDECAR):
                if sidecars and name.removesuffix(SIDECAR) not in entries:
                    yield entry.path, prefix + name.removesuffix(SIDECAR)
            elif not sidecars and not name.endswith(".tmp"):
                yield entry.path, prefix + name
