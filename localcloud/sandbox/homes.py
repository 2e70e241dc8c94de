"""The homes of all local clouds of a user: links in one directory, so that the jobs of one cannot read another's."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

MARK = "credentials"
"""The file by which a home is known, the owner's key: a folder that lost it is no home any more."""


def note(registry: Path, home: Path) -> None:
    """Note a home in the directory `registry`, and forget those that are there no longer. OSError if it cannot."""
    registry.mkdir(parents=True, exist_ok=True, mode=0o700)
    for link in registry.iterdir():
        if not link.exists():
            link.unlink(missing_ok=True)
    home = home.resolve()
    link = registry / hashlib.sha256(os.fsencode(home)).hexdigest()
    # Renamed, because another cloud may start at the same time.
    partial = registry / f".{link.name}.{os.getpid()}"
    partial.unlink(missing_ok=True)
    partial.symlink_to(home)
    partial.replace(link)


def noted(registry: Path) -> list[Path]:
    """The homes that were noted in a directory and still hold an owner's key; empty if there is no such directory."""
    try:
        links = list(registry.iterdir())
    except OSError:
        return []
    return [link.resolve() for link in links if (link / MARK).exists()]


def outermost(directories: Iterable[Path]) -> list[Path]:
    """Those of the directories that lie in none of the others, in order of their real paths, each once."""
    found: list[Path] = []
    for directory in sorted({path.resolve() for path in directories}):
        if not found or not directory.is_relative_to(found[-1]):
            found.append(directory)
    return found
