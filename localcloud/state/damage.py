"""Finds files of the state that something has damaged: a local cloud that started without them would lose them.

A kill damages none. A crash of the machine can leave files empty, cut off or with zeros at their end: after one, the
content of all files is looked at, which takes longer the more there is.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcloud.settings import Settings, StartError


def check(settings: Settings) -> None:
    """StartError for the first file of the state, other than S3's, that is damaged.

    After a crash of the machine the models that endpoints had downloaded are removed, to be downloaded again.
    """
    state = settings.emulator_dir / "state"
    check_json(state)
    for archive in sorted((state / "lambda-blobs").glob("*.zip")):
        if hashlib.sha256(archive.read_bytes()).hexdigest() != archive.stem:
            raise damaged(archive, "its content is not that of its name")
    if settings.after_crash:
        for database in (settings.database, state / "traffic.sqlite", state / "logs.sqlite"):
            check_database(database)
        for endpoint in settings.endpoints_dir.glob("[!.]*"):
            shutil.rmtree(endpoint)


@contextmanager
def opening(database: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that is no whole database into a StartError that names the file.

    SQLite takes an empty file for a new database, so a new one is made whole, under another name first.
    """
    try:
        if not database.exists():
            _create(database)
        elif database.stat().st_size == 0:
            raise damaged(database, "it is empty")
        yield
    except sqlite3.OperationalError:
        raise  # locked, or the disk: the file is whole
    except sqlite3.DatabaseError as error:
        raise damaged(database, error) from error


def _create(database: Path) -> None:
    """Make an empty database; StartError if there was one, whose log is still there."""
    log = database.with_name(f"{database.name}-wal")
    if log.exists() and log.stat().st_size:
        raise damaged(database, f"it is missing, and {log.name} is there")
    partial = database.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    connection = sqlite3.connect(partial)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    partial.replace(database)


def check_database(database: Path) -> None:
    """StartError if a page of a database is damaged."""
    if not database.exists():
        return
    with opening(database):
        connection = sqlite3.connect(database)
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    if found != "ok":
        raise damaged(database, found)


def check_json(folder: Path) -> None:
    """StartError for the first file *.json of the folder that is no JSON in UTF-8."""
    for path in sorted(folder.glob("*.json")):
        try:
            json.loads(path.read_bytes())
        except ValueError as error:
            raise damaged(path, error) from error


def damaged(path: Path, why: object) -> StartError:
    """The error that names a damaged file and says what to do."""
    return StartError(
        f"{path} is damaged ({why}): put a copy of it back, or move it away to start without what it holds."
    )
