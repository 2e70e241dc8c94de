"""Documents in SQLite: what SageMaker's resources are kept in, safe for several threads and against a crash.

A document is a JSON object under (kind, key), optionally with a parent key: an execution's pipeline, a version's group.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL, key TEXT NOT NULL, parent TEXT, body TEXT NOT NULL,
  UNIQUE (kind, key));
CREATE INDEX IF NOT EXISTS by_parent ON documents (kind, parent);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


class DuplicateError(Exception):
    """A document with this kind and key is already there."""


class Store:
    """One connection behind one lock: every use is microseconds, and nothing waits on SQLite's own busy loop.

    `synchronous=NORMAL` in WAL mode: a killed process loses nothing that was committed, and a power cut can at most
    lose the last commits without harming the file. That is the promise made, at a tenth of the price of FULL.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and alone: other threads' reads and writes wait for the end, so keep it short. Nests."""
        with self._lock:
            if self._open():
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                # May fail itself, on a full disk; SQLite then has or has not rolled back already.
                self._connection.execute("COMMIT")
            except BaseException:
                if self._open():
                    self._connection.execute("ROLLBACK")
                raise

    def _open(self) -> bool:
        return self._connection.in_transaction

    def _rows(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def insert(self, kind: str, key: str, body: Document, parent: str | None = None) -> None:
        """Add a document; DuplicateError if its key is taken."""
        try:
            self._rows(
                "INSERT INTO documents (kind, key, parent, body) VALUES (?, ?, ?, ?)",
                (kind, key, parent, json.dumps(body)),
            )
        except sqlite3.IntegrityError:
            raise DuplicateError(f"{kind} {key}") from None

    def put(self, kind: str, key: str, body: Document, parent: str | None = None) -> None:
        """Add or replace a document; a replaced one keeps its place in the order (and its parent, if none is given)."""
        self._rows(
            "INSERT INTO documents (kind, key, parent, body) VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) "
            "DO UPDATE SET body = excluded.body, parent = coalesce(excluded.parent, parent)",
            (kind, key, parent, json.dumps(body)),
        )

    def get(self, kind: str, key: str) -> Document | None:
        """A fresh copy of the document, or None."""
        rows = self._rows("SELECT body FROM documents WHERE kind = ? AND key = ?", (kind, key))
        return json.loads(rows[0][0]) if rows else None

    def update(self, kind: str, key: str, change: Document | Callable[[Document], None]) -> Document:
        """Change a document atomically: members to set (None removes one), or a function that edits it in place.

        Returns the new document; KeyError if there is none.
        """
        with self.transaction():
            body = self.get(kind, key)
            if body is None:
                raise KeyError(f"{kind} {key}")
            if callable(change):
                change(body)
            else:
                body.update(change)
                body = {name: value for name, value in body.items() if value is not None}
            self.put(kind, key, body)
            return body

    def delete(self, kind: str, key: str) -> bool:
        """Remove a document; whether there was one."""
        return bool(self._rows("DELETE FROM documents WHERE kind = ? AND key = ? RETURNING 1", (kind, key)))

    def delete_children(self, kind: str, parent: str) -> None:
        """Remove all documents of a kind that have this parent."""
        self._rows("DELETE FROM documents WHERE kind = ? AND parent = ?", (kind, parent))

    def documents(self, kind: str, parent: str | None = None) -> list[Document]:
        """All documents of a kind (of a parent), oldest first."""
        rows = self._rows(
            "SELECT body FROM documents WHERE kind = ?1 AND (?2 IS NULL OR parent = ?2) ORDER BY position",
            (kind, parent),
        )
        return [json.loads(row[0]) for row in rows]

    def count(self, kind: str, parent: str | None = None) -> int:
        """How many documents of a kind (of a parent) there are."""
        rows = self._rows(
            "SELECT count(*) FROM documents WHERE kind = ?1 AND (?2 IS NULL OR parent = ?2)", (kind, parent)
        )
        return int(rows[0][0])

    def delete_older(self, kind: str, member: str, time: float) -> None:
        """Remove the documents of a kind whose member (epoch seconds) is before `time`."""
        self._rows("DELETE FROM documents WHERE kind = ? AND json_extract(body, ?) < ?", (kind, f"$.{member}", time))

    def next_number(self, name: str) -> int:
        """1, 2, 3 ... for each name; never given twice, also after deletions and restarts."""
        rows = self._rows(
            "INSERT INTO counters (name, value) VALUES (?, 1) "
            "ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (name,),
        )
        return int(rows[0][0])

    def close(self) -> None:
        """Close the file; the store is not usable afterwards."""
        with self._lock:
            self._connection.close()
