"""A local cloud does not start without what a damaged file holds, unless somebody moves the file away."""

import sqlite3
from pathlib import Path

import pytest

from localcloud.ministack.database import Database
from localcloud.settings import StartError
from localcloud.state.damage import check_json, opening
from localcloud.state.store import Store


@pytest.mark.parametrize("kept", [Store, lambda path: Database(path, "CREATE TABLE IF NOT EXISTS one (a)")])
def test_a_damaged_database_is_named(tmp_path: Path, kept: type[Store]) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"this is not a database at all" * 10)

    with pytest.raises(StartError, match=r"a\.sqlite is damaged .file is not a database.: put a copy of it back"):
        kept(path)


def test_a_database_that_is_locked_is_not_damaged(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError), opening(tmp_path / "a"):
        raise sqlite3.OperationalError("database is locked")


@pytest.mark.parametrize("content", [b"", b'{"payload": ', b"\xff"])
def test_a_damaged_state_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "iam.json").write_bytes(content)

    with pytest.raises(StartError, match=r"iam\.json is damaged"):
        check_json(tmp_path)
