"""A local cloud does not start without what a damaged file holds, unless somebody moves the file away."""

import hashlib
import sqlite3
from pathlib import Path

import pytest

from localcloud.ministack.database import Database
from localcloud.settings import Settings, StartError
from localcloud.state.damage import check, check_json, opening
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


def test_an_emptied_database_is_no_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    Store(path).close()
    path.write_bytes(b"")

    with pytest.raises(StartError, match=r"a\.sqlite is damaged .it is empty."):
        Store(path)


def test_a_database_whose_log_is_there_is_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite-wal").write_bytes(b"what was acknowledged")

    with pytest.raises(StartError, match=r"a\.sqlite is damaged .it is missing, and a.sqlite-wal is there."):
        Store(tmp_path / "a.sqlite")


def _store_of(path: Path) -> None:
    store = Store(path)
    for number in range(2_000):
        store.insert("kind", str(number), {"CreationTime": number})
    store.close()


@pytest.mark.parametrize("after_crash", [True, False])
def test_a_page_of_a_database_that_a_crash_zeroed_is_found(tmp_path: Path, after_crash: bool) -> None:
    settings = Settings(home=tmp_path, port=0, after_crash=after_crash)
    _store_of(settings.database)
    check(settings)
    data = bytearray(settings.database.read_bytes())
    data[-40_960:] = bytes(40_960)
    settings.database.write_bytes(data)

    if after_crash:
        with pytest.raises(StartError, match=r"sagemaker\.sqlite is damaged"):
            check(settings)
    else:
        check(settings)  # which would take longer the more there is


def test_a_database_that_was_cut_is_found_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    _store_of(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(StartError, match=r"a\.sqlite is damaged"):
        Store(path)


def test_an_archive_of_a_function_that_was_cut_is_named(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, port=0)
    folder = settings.emulator_dir / "state" / "lambda-blobs"
    folder.mkdir(parents=True)
    whole = folder / f"{hashlib.sha256(b'archive').hexdigest()}.zip"
    whole.write_bytes(b"archive")
    check(settings)
    whole.write_bytes(b"arch")

    with pytest.raises(StartError, match=f"{whole.name} is damaged"):
        check(settings)


@pytest.mark.parametrize("after_crash", [True, False])
def test_models_of_endpoints_are_downloaded_again_after_a_crash(tmp_path: Path, after_crash: bool) -> None:
    settings = Settings(home=tmp_path, port=0, after_crash=after_crash)
    for name in ("endpoint", ".captures"):
        (settings.endpoints_dir / name).mkdir(parents=True)

    check(settings)

    left = {".captures"} if after_crash else {"endpoint", ".captures"}
    assert {path.name for path in settings.endpoints_dir.iterdir()} == left
