"""How SageMaker's protocol answers what an operation could not do because of the machine."""

import asyncio
import errno
import json
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from localcloud.api import OPERATIONS
from localcloud.http.protocol import Protocol
from localcloud.iam.identities import Unenforced


def full(tmp_path: Path) -> None:
    """Write to a database that may not grow any further."""
    database = sqlite3.connect(tmp_path / "full.sqlite")
    database.execute("CREATE TABLE t (x)")
    database.execute("PRAGMA max_page_count = 2")
    database.execute("INSERT INTO t VALUES (zeroblob(100000))")


def read_only(tmp_path: Path) -> None:
    """Write to a database that is opened for reading."""
    sqlite3.connect(tmp_path / "read.sqlite").close()
    sqlite3.connect(f"file:{tmp_path}/read.sqlite?mode=ro", uri=True).execute("CREATE TABLE t (x)")


def no_space(tmp_path: Path) -> None:
    """Fail as a write of a file on a full disk does."""
    raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))


def a_bug(tmp_path: Path) -> None:
    """Ask a database for a table that it does not have."""
    sqlite3.connect(tmp_path / "bug.sqlite").execute("SELECT * FROM absent")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (full, 507, "InsufficientStorage"),
        (read_only, 507, "InsufficientStorage"),
        (no_space, 507, "InsufficientStorage"),
        (a_bug, 500, "InternalFailure"),
    ],
)
def test_only_a_disk_that_takes_nothing_is_insufficient_storage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Any, status: int, code: str
) -> None:
    cloud = SimpleNamespace(identities=Unenforced(lambda _: None), settings=SimpleNamespace(account="0", region="r"))
    protocol = Protocol(cast("Any", cloud))
    monkeypatch.setitem(OPERATIONS, "ListTags", lambda *_: fault(tmp_path))
    body = json.dumps({"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:model/m"}).encode()

    answer = asyncio.run(protocol.handle("POST", "/", {"x-amz-target": "SageMaker.ListTags"}, body, {}))

    protocol.close()
    assert (answer[0], json.loads(answer[2])["__type"]) == (status, code)
