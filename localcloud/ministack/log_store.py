"""CloudWatch log lines in SQLite: appended before the answer, read a page at a time, bounded in number.

Order is by time, then by arrival. Source of limits and tokens: CloudWatch Logs API Reference, GetLogEvents and
FilterLogEvents (at most 10,000 events an answer).
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.ministack.database import Database
from localcloud.settings import DiskError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS groups (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL,
  UNIQUE (account, region, name));
CREATE TABLE IF NOT EXISTS streams (
  id INTEGER PRIMARY KEY AUTOINCREMENT, log_group INTEGER NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,
  first INTEGER, last INTEGER, ingested INTEGER, bytes INTEGER NOT NULL DEFAULT 0,
  UNIQUE (log_group, name));
CREATE TABLE IF NOT EXISTS lines (
  id INTEGER PRIMARY KEY AUTOINCREMENT, log_group INTEGER NOT NULL, stream INTEGER NOT NULL, at INTEGER NOT NULL,
  ingested INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_group ON lines (log_group, at, id);
CREATE INDEX IF NOT EXISTS by_stream ON lines (stream, at, id);
"""
MOST_EVENTS = 10_000
MOST_LINES = 5_000_000
# Rows that one FilterLogEvents looks at; where none matches, the answer is empty and has a token, as on AWS.
_MOST_SCANNED = 100_000
_PURGED_AT_ONCE = 20_000
# Invocations whose lines wait while the disk is full.
_MOST_WAITING = 10_000
_DAY_MS = 24 * 3600 * 1000

Scope = tuple[str, str]
"""Account and region."""
Place = tuple[int, int]
"""A line's time (epoch ms) and id: where a page ends and the next one starts."""


@dataclass(frozen=True)
class Line:
    """A stored log event."""

    id: int
    stream: str
    at: int
    """Epoch milliseconds, as `ingested`."""
    ingested: int
    message: str

    @property
    def place(self) -> Place:
        return self.at, self.id


@dataclass(frozen=True)
class Stream:
    """A log stream that has lines; times are epoch milliseconds."""

    account: str
    region: str
    group: str
    name: str
    created: int
    first: int | None
    last: int | None
    ingested: int | None


class LogStore:
    """Log lines by group and stream, each group within an account and a region."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA)
        self._streams: dict[tuple[Scope, str, str], tuple[int, int]] = {}
        self._waiting: list[tuple[Scope, str, str, list[tuple[int, str]], int]] = []
        self._waiting_lock, self._settling = threading.Lock(), threading.Lock()

    def append_soon(self, scope: Scope, group: str, stream: str, events: list[tuple[int, str]], now: int) -> None:
        """As `append`, for lines that nobody is told are stored: they are committed by the next `settle`."""
        with self._waiting_lock:
            self._waiting.append((scope, group, stream, events, now))

    def settle(self) -> None:
        """Commit the lines that wait, in one transaction. DiskError if that is not possible: they wait on."""
        if not self._waiting and not self._settling.locked():
            return
        with self._settling:
            with self._waiting_lock:
                waiting, self._waiting = self._waiting, []
            if not waiting:
                return
            try:
                with self._forgetting(), self._database.transaction():
                    for scope, group, stream, events, now in waiting:
                        self.append(scope, group, stream, events, now)
            except BaseException:
                with self._waiting_lock:
                    self._waiting = [*waiting, *self._waiting][-_MOST_WAITING:]
                raise

    def settle_if_possible(self) -> None:
        """Commit the lines that wait; on a full disk they wait on, and what is stored can be read still."""
        with contextlib.suppress(DiskError):
            self.settle()

    def append(self, scope: Scope, group: str, stream: str, events: Sequence[tuple[int, str]], now: int) -> None:
        """Store events, each (time in epoch ms, message), that arrived at `now`. Returns once they are committed."""
        if not events:
            return
        times = [at for at, _ in events]
        size = sum(len(message) for _, message in events)
        with self._forgetting(), self._database.transaction() as write:
            group_id, stream_id = self._stream(write, scope, group, stream, now)
            write.executemany(
                "INSERT INTO lines (log_group, stream, at, ingested, message) VALUES (?, ?, ?, ?, ?)",
                [(group_id, stream_id, at, now, message) for at, message in events],
            )
            write.execute(
                "UPDATE streams SET first = min(coalesce(first, ?), ?), last = max(coalesce(last, ?), ?), ingested = ?,"
                " bytes = bytes + ? WHERE id = ?",
                (times[0], min(times), times[0], max(times), now, size, stream_id),
            )

    @contextlib.contextmanager
    def _forgetting(self) -> Iterator[None]:
        """Forget which streams are stored where storing fails: those that it made are taken back."""
        try:
            yield
        except BaseException:
            self._streams.clear()
            raise

    def _stream(self, write: Any, scope: Scope, group: str, stream: str, now: int) -> tuple[int, int]:
        """Return the ids of a stream and of its group; both are made if they are missing."""
        known = self._streams.get((scope, group, stream))
        if known is None:
            write.execute("INSERT OR IGNORE INTO groups (account, region, name) VALUES (?, ?, ?)", (*scope, group))
            [group_id] = write.execute(
                "SELECT id FROM groups WHERE account = ? AND region = ? AND name = ?", (*scope, group)
            ).fetchone()
            values = (group_id, stream, now)
            write.execute("INSERT OR IGNORE INTO streams (log_group, name, created) VALUES (?, ?, ?)", values)
            [stream_id] = write.execute(
                "SELECT id FROM streams WHERE log_group = ? AND name = ?", (group_id, stream)
            ).fetchone()
            known = self._streams[scope, group, stream] = group_id, stream_id
        return known

    def streams(self) -> list[Stream]:
        """All streams that lines were ever appended to, of groups that exist."""
        self.settle_if_possible()
        found = self._database.rows(
            "SELECT account, region, groups.name, streams.name, created, first, last, ingested"
            " FROM streams JOIN groups ON groups.id = log_group"
        )
        return [Stream(*row) for row in found]

    def bytes_by_group(self, scope: Scope) -> dict[str, int]:
        """Characters stored in each log group."""
        self.settle_if_possible()
        found = self._database.rows(
            "SELECT groups.name, sum(bytes) FROM streams JOIN groups ON groups.id = log_group"
            " WHERE account = ? AND region = ? GROUP BY groups.id",
            scope,
        )
        return {str(name): int(size) for name, size in found}

    def page(
        self, scope: Scope, group: str, stream: str, start: int | None, end: int | None, limit: int,
        after: Place | None = None, before: Place | None = None, forward: bool = True,
    ) -> list[Line]:  # fmt: skip
        """Lines of one stream in order: the first `limit` after a place, or the last `limit` before one.

        `start` (inclusive) and `end` (exclusive) bound the time, epoch ms; None does not bound.
        """
        conditions, values = ["stream = (SELECT streams.id FROM streams JOIN groups ON groups.id = log_group"
                              " WHERE account = ? AND region = ? AND groups.name = ? AND streams.name = ?)"], [
            *scope, group, stream,
        ]  # fmt: skip
        _bound(conditions, values, start, end, after, before)
        found = list(self._lines(conditions, values, limit, forward, stream))
        return found if forward else found[::-1]

    def filter(
        self, scope: Scope, group: str, matches: Callable[[str], bool], start: int | None, end: int | None, limit: int,
        after: Place | None = None, streams: Sequence[str] | None = None, prefix: str = "",
    ) -> tuple[list[Line], Place | None]:  # fmt: skip
        """Lines of a group that match, in order, at most `limit`; and where to go on (None: that was all).

        Only of these streams, or of those whose name starts with `prefix`. `end` is exclusive.
        """
        conditions = ["lines.log_group = (SELECT id FROM groups WHERE account = ? AND region = ? AND name = ?)"]
        values: list[Any] = [*scope, group]
        if streams:
            marks = ", ".join("?" * len(streams))
            conditions.append(f"streams.name IN ({marks})")
            values += streams
        if prefix:
            conditions.append("substr(streams.name, 1, ?) = ?")
            values += [len(prefix), prefix]
        _bound(conditions, values, start, end, after, None)
        found: list[Line] = []
        scanned, last = 0, None
        for line in self._lines(conditions, values, _MOST_SCANNED, True, None):
            scanned, last = scanned + 1, line.place
            if matches(line.message):
                found.append(line)
                if len(found) >= limit:
                    return found, last
        return found, last if scanned >= _MOST_SCANNED else None

    def newest(
        self, scope: Scope, groups: Iterable[str], start: int, end: int, limit: int
    ) -> Iterator[tuple[str, Line]]:
        """(group, line) of the newest lines between two times (epoch ms, inclusive), at most `limit` a group."""
        for group in groups:
            conditions = ["lines.log_group = (SELECT id FROM groups WHERE account = ? AND region = ? AND name = ?)"]
            values: list[Any] = [*scope, group]
            _bound(conditions, values, start, end + 1, None, None)
            for line in self._lines(conditions, values, limit, False, None):
                yield group, line

    def line(self, identity: int) -> tuple[str, Line] | None:
        """The group of a line with this id, and the line."""
        self.settle_if_possible()
        found = self._database.rows(
            "SELECT groups.name, lines.id, streams.name, at, lines.ingested, message FROM lines"
            " JOIN streams ON streams.id = stream JOIN groups ON groups.id = lines.log_group WHERE lines.id = ?",
            (identity,),
        )
        return next(((group, Line(*rest)) for group, *rest in found), None)

    def _lines(
        self, conditions: list[str], values: list[Any], limit: int, forward: bool, stream: str | None
    ) -> Iterator[Line]:
        """Yield the lines that meet the SQL conditions, by time; `stream` is given where all are of one stream."""
        self.settle_if_possible()
        order = "ASC" if forward else "DESC"
        if stream is None:
            source, name = "lines INDEXED BY by_group CROSS JOIN streams ON streams.id = stream", "streams.name"
        else:
            source, name = "lines INDEXED BY by_stream", "''"
        rows = self._database.rows(
            f"SELECT lines.id, {name}, at, lines.ingested, message FROM {source} WHERE {' AND '.join(conditions)}"  # noqa: S608 - constants
            f" ORDER BY at {order}, lines.id {order} LIMIT ?",
            [*values, limit],
        )
        for identity, found, at, ingested, message in rows:
            yield Line(identity, stream or found, at, ingested, message)

    # Removal

    def delete_group(self, scope: Scope, group: str) -> None:
        """Forget a group; its lines can no longer be read, and `purge` removes them."""
        self.settle()
        with self._database.transaction() as write:
            where = "log_group IN (SELECT id FROM groups WHERE account = ? AND region = ? AND name = ?)"
            write.execute("DELETE FROM streams WHERE " + where, (*scope, group))  # noqa: S608 - constants
            write.execute("DELETE FROM groups WHERE account = ? AND region = ? AND name = ?", (*scope, group))
            self._streams.clear()

    def delete_stream(self, scope: Scope, group: str, stream: str) -> None:
        """Forget a stream of a group; its lines can no longer be read, and `purge` removes them."""
        self.settle()
        with self._database.transaction() as write:
            where = "log_group IN (SELECT id FROM groups WHERE account = ? AND region = ? AND name = ?)"
            write.execute("DELETE FROM streams WHERE " + where + " AND name = ?", (*scope, group, stream))  # noqa: S608 - constants
            self._streams.clear()

    def purge(self, retention_days: dict[tuple[str, str, str], int], most: int = MOST_LINES) -> int:
        """Remove lines of deleted streams, those past their group's retention, and the oldest beyond `most`; how many.

        `retention_days` is by (account, region, group). At most 20,000 lines at once for each reason, so that a writer
        waits for milliseconds only; call it again while it removes some.
        """
        removed, now = 0, int(time.time() * 1000)
        chosen = "SELECT id FROM lines WHERE stream NOT IN (SELECT id FROM streams) LIMIT ?"
        removed += self._remove(chosen, (_PURGED_AT_ONCE,))
        for (account, region, group), days in retention_days.items():
            removed += self._remove(
                "SELECT id FROM lines WHERE at < ? AND log_group ="
                " (SELECT id FROM groups WHERE account = ? AND region = ? AND name = ?) LIMIT ?",
                (now - days * _DAY_MS, account, region, group, _PURGED_AT_ONCE),
            )
        [(oldest, newest)] = self._database.rows("SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM lines")
        if newest - oldest >= most:
            removed += self._remove(
                "SELECT id FROM lines WHERE id <= ? ORDER BY id LIMIT ?", (newest - most, _PURGED_AT_ONCE)
            )
        return removed

    def _remove(self, chosen: str, values: tuple[Any, ...]) -> int:
        with self._database.transaction() as write:
            return int(write.execute("DELETE FROM lines WHERE id IN (" + chosen + ")", values).rowcount)  # noqa: S608 - constants

    def close(self) -> None:
        """Commit what waits and close the file."""
        try:
            self.settle()
        finally:
            self._database.close()


def _bound(
    conditions: list[str], values: list[Any], start: int | None, end: int | None, after: Place | None,
    before: Place | None,
) -> None:  # fmt: skip
    """Add the bounds of time (inclusive, exclusive) and place (both exclusive) to a statement's conditions."""
    for condition, bound in (("at >= ?", start), ("at < ?", end)):
        if bound is not None:
            conditions.append(condition)
            values.append(bound)
    for condition, place in (("(at, lines.id) > (?, ?)", after), ("(at, lines.id) < (?, ?)", before)):
        if place is not None:
            conditions.append(condition)
            values += place
