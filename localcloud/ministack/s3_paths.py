"""Where an object's file is, found with a look at the folders of its key only.

Unpatched, MiniStack follows all folders from the root of the disk twice for each request: some twenty system calls.
"""

import os
import stat
from functools import lru_cache, wraps
from typing import Any

from localcloud.ministack.private_names import find_names


def install(s3: Any) -> None:
    """Patch ministack.services.s3."""
    find_names(s3, "_key_disk_path", "_plain_path_key")
    search = s3._key_disk_path
    # Of a bucket's folder, which stays where it is while the local cloud runs.
    real = lru_cache(1024)(os.path.realpath)

    @wraps(search)
    def key_disk_path(base: str, key: str) -> Any:
        """Where a key is, or would be, below the folder `base`: by its name, unless a link leads elsewhere."""
        found = by_name(real(base), key) if s3._plain_path_key(key) else None
        return search(base, key) if found is None else found

    s3._key_disk_path = key_disk_path


def by_name(folder: str, key: str) -> str | None:
    """The file below a folder that a key names; None if there is none, or a link is on the way."""
    place, mode = folder, 0
    for part in key.split("/"):
        place = f"{place}/{part}"
        try:
            mode = os.lstat(place).st_mode
        except OSError:
            return None
        if stat.S_ISLNK(mode):
            return None
    return place if stat.S_ISREG(mode) else None
