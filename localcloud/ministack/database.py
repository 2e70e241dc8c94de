"""A SQLite file for what the emulator's services receive all the time: messages, executions, log lines.

MiniStack keeps these in memory and writes a service's whole state at once, which takes longer the more there is. Rows
are written one by one before the answer, so that a kill loses nothing acknowledged and the cost does not grow.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud.settings import DiskError
from localcloud.state.damage import opening


class Database:
    """One writing connection behind a lock, and a reading connection for each thread, which no writer blocks.

    `synchronous=NORMAL` in WAL mode: a killed process loses nothing that was committed; a power cut can lose the last
    commits without harming the file.
    """

    def __init__(self, path: Path, schema: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self.lock = threading.RLock()
        """Held by who writes, also while what is to be written is put together: the last write is then the newest."""
        self._threads = threading.local()
        with opening(path):
            self._writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=NORMAL")
            # A page that changes all the time is copied from the log to the file every 16 MB, not every 4.
            self._writer.execute("PRAGMA wal_autocheckpoint=4000")
            self._writer.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection whose changes are committed at the end, all or none; within another one, with that one's.

        DiskError if they cannot be written; the caller's request is then not acknowledged.
        """
        with self.lock:
            nested: bool = self._writer.in_transaction
            if nested:
                yield self._writer
                return
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise DiskError(f"{self._path} could not be written: {error}") from error
                raise

    def write(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Commit one statement; within a transaction, with that. DiskError if it cannot be written.

        SQLite makes a transaction of it by itself: one call that lets other threads run, where BEGIN and COMMIT are two
        more.
        """
        with self.lock:
            try:
                return self._writer.execute(statement, values)
            except sqlite3.OperationalError as error:
                raise DiskError(f"{self._path} could not be written: {error}") from error

    def rows(self, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a SELECT, fetched as they are consumed."""
        reader: sqlite3.Connection | None = getattr(self._threads, "reader", None)
        if reader is None:
            reader = self._threads.reader = sqlite3.connect(self._path, isolation_level=None, timeout=30)
        return iter(reader.execute(statement, values))

    def close(self) -> None:
        """Close the writing connection; what was committed stays."""
        with self.lock:
            self._writer.close()
