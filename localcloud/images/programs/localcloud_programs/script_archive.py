"""Unpacks the archive that SAGEMAKER_SUBMIT_DIRECTORY names: a model's script and what it imports."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive of scripts into `folder`, without owners, modes and times.

    ValueError for a member that is no plain file or folder within it. Python's own filter for this is there since
    3.11.4 only.
    """
    with tarfile.open(archive) as packed:
        for member in packed:
            path = PurePosixPath(member.name)
            if not (member.isfile() or member.isdir()) or path.is_absolute() or ".." in path.parts:
                raise ValueError(f"the archive of scripts holds {member.name!r}, which is no file or folder within it")
            packed.extract(member, folder, set_attrs=False)
