"""Documents in SQLite, which hold SageMaker's resources: usable from several threads, consistent after a crash.

A document is a JSON object under (kind, key), optionally with a parent key: an execution's pipeline, a version's group.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud.state.damage import opening

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL, key TEXT NOT NULL, parent TEXT, body TEXT NOT NULL,
  UNIQUE (kind, key));
DROP INDEX IF EXISTS by_parent;
CREATE INDEX IF NOT EXISTS by_creation ON documents (kind, json_extract(body, '$.CreationTime'), key);
CREATE INDEX IF NOT EXISTS by_parent_and_creation
  ON documents (kind, parent, json_extract(body, '$.CreationTime'), key);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""


def _of(kind: str, parent: str | None) -> tuple[str, list[Any]]:
    """The condition of a kind (and a parent), in a form that SQLite's indexes serve, and its values."""
    return ("kind = ?", [kind]) if parent is None else ("kind = ? AND parent = ?", [kind, parent])


class DuplicateError(Exception):
    """A document with this kind and key exists already."""


class Selection:
    """Documents of one kind (and parent), each with a CreationTime, read from the store only as far as needed."""

    def __init__(self, store: "Store", kind: str, parent: str | None) -> None:
        self._store, self._kind, self._parent = store, kind, parent

    def __iter__(self) -> Iterator[Document]:
        """All documents, oldest first."""
        return iter(self._store.documents(self._kind, self._parent))

    def by_creation(self, after: tuple[float, str] | None, at_once: int, *, descending: bool) -> Iterator[Document]:
        """Documents by (CreationTime, key), those that come after this place, read so many at once."""
        while True:
            found = self._store.created(self._kind, self._parent, after, at_once, descending=descending)
            for _, document in found:
                yield document
            if len(found) < at_once:
                return
            key, last = found[-1]
            after = (last["CreationTime"], key)


class Store:
    """A SQLite file, used through one connection behind one lock: each use takes microseconds.

    `synchronous=NORMAL` in WAL mode: a killed process loses nothing that was committed, and a power cut can at most
    lose the last commits without harming the file. FULL would cost ten times as much.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        with opening(path):
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction: committed at its end, rolled back if it raises. It may be nested.

        Other threads wait meanwhile, so keep it short.
        """
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
        """Remove a document; returns whether it existed."""
        return bool(self._rows("DELETE FROM documents WHERE kind = ? AND key = ? RETURNING 1", (kind, key)))

    def delete_children(self, kind: str, parent: str) -> None:
        """Remove all documents of a kind that have this parent."""
        self._rows("DELETE FROM documents WHERE kind = ? AND parent = ?", (kind, parent))

    def documents(self, kind: str, parent: str | None = None) -> list[Document]:
        """All documents of a kind (of a parent), oldest first."""
        where, values = _of(kind, parent)
        rows = self._rows(f"SELECT body FROM documents WHERE {where} ORDER BY position", values)  # noqa: S608 - no value is in the text
        return [json.loads(row[0]) for row in rows]

    def having(self, kind: str, member: str, values: Iterable[str]) -> list[Document]:
        """The documents of a kind whose member is one of these texts, oldest first. Others are not read into memory."""
        rows = self._rows(
            "SELECT body FROM documents WHERE kind = ? AND json_extract(body, ?) IN (SELECT value FROM json_each(?)) "
            "ORDER BY position",
            (kind, f"$.{member}", json.dumps(list(values))),
        )
        return [json.loads(row[0]) for row in rows]

    def select(self, kind: str, parent: str | None = None) -> "Selection":
        """The documents of a kind (of a parent), to be read in the order of their CreationTime and only as needed."""
        return Selection(self, kind, parent)

    def created(
        self, kind: str, parent: str | None, after: tuple[float, str] | None, most: int, *, descending: bool
    ) -> list[tuple[str, Document]]:
        """Up to `most` (key, document) by CreationTime and key, those that come after a (time, key)."""
        where, values = _of(kind, parent)
        creation = "json_extract(body, '$.CreationTime')"
        if after is not None:
            # The first part lets the index find the place; the second leaves out what was created in the same moment.
            sign = "<" if descending else ">"
            where += f" AND {creation} {sign}= ? AND ({creation} {sign} ? OR key {sign} ?)"
            values += [after[0], after[0], after[1]]
        order = "DESC" if descending else "ASC"
        rows = self._rows(
            f"SELECT key, body FROM documents WHERE {where} ORDER BY {creation} {order}, key {order} LIMIT ?",  # noqa: S608 - no value is in the text
            [*values, most],
        )
        return [(key, json.loads(body)) for key, body in rows]

    def inserted(
        self, kind: str, parent: str, after: int | None, most: int, *, descending: bool
    ) -> list[tuple[int, Document]]:
        """Up to `most` (place, document) of a parent in the order of their insertion, those that come after a place.

        A place is a whole number that grows with each document; only what is returned is read.
        """
        where, values = _of(kind, parent)
        order, sign = ("DESC", "<") if descending else ("ASC", ">")
        if after is not None:
            where, values = f"{where} AND position {sign} ?", [*values, after]
        rows = self._rows(
            f"SELECT position, body FROM documents WHERE {where} ORDER BY position {order} LIMIT ?",  # noqa: S608 - no value is in the text
            [*values, most],
        )
        return [(position, json.loads(body)) for position, body in rows]

    def count(self, kind: str, parent: str | None = None) -> int:
        """How many documents of a kind (of a parent) there are."""
        where, values = _of(kind, parent)
        rows = self._rows(f"SELECT count(*) FROM documents WHERE {where}", values)  # noqa: S608 - likewise
        return int(rows[0][0])

    def delete_older(self, kind: str, member: str, time: float) -> None:
        """Remove the documents of a kind whose member (epoch seconds) is before `time`."""
        self._rows("DELETE FROM documents WHERE kind = ? AND json_extract(body, ?) < ?", (kind, f"$.{member}", time))

    def next_number(self, name: str) -> int:
        """The next whole number for this name, from 1; none is given twice, also after deletions and restarts."""
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
