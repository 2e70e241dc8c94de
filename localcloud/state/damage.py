"""Finds files of the state that something has damaged: a local cloud that started without them would lose them."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.settings import StartError


@contextmanager
def opening(database: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that is no whole database into a StartError that names the file."""
    try:
        yield
    except sqlite3.OperationalError:
        raise  # locked, or the disk: the file is whole
    except sqlite3.DatabaseError as error:
        raise _damaged(database, error) from error


def check_json(folder: Path) -> None:
    """StartError for the first file *.json of the folder that is no JSON in UTF-8."""
    for path in sorted(folder.glob("*.json")):
        try:
            json.loads(path.read_bytes())
        except ValueError as error:
            raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> StartError:
    return StartError(
        f"{path} is damaged ({error}): put a copy of it back, or move it away to start without what it holds."
    )
