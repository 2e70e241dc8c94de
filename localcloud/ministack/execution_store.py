"""Executions of state machines in SQLite: written when they start and when they end, read one at a time.

MiniStack keeps every execution with its whole history in memory and writes all of them at each save. Here memory has
those that run; one that ended is a row, compressed, and is kept for 90 days as on AWS, at most 100,000 of them.
"""

import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from localcloud.ministack.asl.errors import TIMEOUT
from localcloud.ministack.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS executions (
  account TEXT NOT NULL, region TEXT NOT NULL, arn TEXT NOT NULL, machine TEXT NOT NULL, map_run TEXT,
  status TEXT NOT NULL, moment TEXT NOT NULL, document BLOB NOT NULL,
  PRIMARY KEY (account, region, arn)) WITHOUT ROWID;
DROP INDEX IF EXISTS by_machine;
DROP INDEX IF EXISTS by_map_run;
DROP INDEX IF EXISTS of_map_run;
CREATE INDEX IF NOT EXISTS of_machine ON executions (account, region, machine, moment, arn, status);
CREATE INDEX IF NOT EXISTS in_map_run ON executions (map_run, moment, arn, status) WHERE map_run IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_moment ON executions (moment);
CREATE INDEX IF NOT EXISTS that_run ON executions (status) WHERE status = 'RUNNING';
"""
KEPT_DAYS = 90
MOST_KEPT = 100_000
_WINDOW = 4096
_SUMMARY = ("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "mapRunArn")

Execution = dict[str, Any]
Key = tuple[str, str, str]
"""Account, region and ARN of an execution."""


class ExecutionStore(MutableMapping[Key, Execution]):
    """All executions by key; iteration goes over those in memory only, because the others may be many.

    It takes the place of the dictionary inside of MiniStack's `_executions`.
    """

    def __init__(self, database: Database, settled: Callable[[], None] = lambda: None) -> None:
        """`settled()` commits what an execution did elsewhere, e.g. its log lines; called before its end is stored."""
        self._database, self._settled = database, settled
        self._lock = threading.Lock()
        self._running: dict[Key, Execution] = {}
        self._written: dict[Key, tuple[Any, ...]] = {}

    def __getitem__(self, key: Key) -> Execution:
        found = self._running.get(key)
        if found is not None:
            return found
        return self._stored(key, history=True)

    def _stored(self, key: Key, history: bool) -> Execution:
        rows = self._database.rows(
            "SELECT document FROM executions WHERE account = ? AND region = ? AND arn = ?", tuple(key)
        )
        for (document,) in rows:
            return _read(document, history)
        raise KeyError(key)

    def without_history(self, key: Key) -> Execution:
        """An execution; one that ended comes without its events. KeyError if there is none."""
        return self._running.get(key) or self._stored(key, history=False)

    def __contains__(self, key: object) -> bool:
        if key in self._running:
            return True
        wanted = cast("Key", key)
        rows = self._database.rows("SELECT 1 FROM executions WHERE account = ? AND region = ? AND arn = ?", wanted)
        return next(rows, None) is not None

    def __setitem__(self, key: Key, execution: Execution) -> None:
        self.write(key, execution)
        if execution.get("stopDate") is None:
            self._running[key] = execution

    def __delitem__(self, key: Key) -> None:
        self._running.pop(key, None)
        self._database.write("DELETE FROM executions WHERE account = ? AND region = ? AND arn = ?", tuple(key))

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._running))

    def __len__(self) -> int:
        return len(self._running)

    def write(self, key: Key, execution: Execution) -> None:
        """Commit an execution as it is now. DiskError if that is not possible."""
        with self._database.lock:
            mark = _mark(execution)
            moment = execution.get("stopDate") or execution["startDate"]
            values = (execution["stateMachineArn"], execution.get("mapRunArn"), execution["status"], moment)
            self._database.write(
                "INSERT OR REPLACE INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*key, *values, _packed(execution))
            )
            self._written[key] = mark

    def finish(self, key: Key) -> None:
        """Commit an execution that ended, and keep it in memory no longer. Nothing happens to one that runs."""
        execution = self._running.get(key)
        if execution is None or execution.get("stopDate") is None or execution["status"] == "RUNNING":
            return
        self._settled()
        with self._lock:
            if self._written.get(key) != _mark(execution):
                self.write(key, execution)
            self._running.pop(key, None)
            self._written.pop(key, None)

    def sweep(self) -> None:
        """Commit what changed since the last time: the histories of executions that run, and ends of Map's children."""
        for key, execution in list(self._running.items()):
            if execution.get("stopDate") is not None:
                self.finish(key)
            elif self._written.get(key) != _mark(execution):
                self.write(key, execution)

    def interrupt(self, error: str, cause: str) -> list[tuple[Key, Execution]]:
        """Mark executions that a stopped process left running as failed, with an event that says why; those.

        One whose time was over by now has timed out instead, at that time.
        """
        rows = self._database.rows("SELECT account, region, arn, document FROM executions WHERE status = 'RUNNING'")
        found = []
        for account, region, arn, document in list(rows):
            if (account, region, arn) in self._running:
                continue
            execution, now = _read(document), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
            expires = execution.get("expires")
            if expires and expires <= now:
                execution.update(status="TIMED_OUT", stopDate=expires)
                kind, details = "TimedOut", {"error": TIMEOUT}
            else:
                execution.update(status="FAILED", stopDate=now, error=error, cause=cause)
                kind, details = "Failed", {"error": error, "cause": cause}
            event = {"id": len(execution["events"]) + 1, "type": f"Execution{kind}", "timestamp": now}
            execution["events"].append({**event, f"execution{kind}EventDetails": details})
            self.write((account, region, arn), execution)
            self._written.pop((account, region, arn), None)
            found.append(((account, region, arn), execution))
        return found

    def page(
        self, scope: tuple[str, str], machine: str | None, map_run: str | None, status: str | None,
        before: tuple[str, str] | None, limit: int,
    ) -> list[Execution]:  # fmt: skip
        """Executions of a state machine, or of a Map Run, the newest first, without input, output and history.

        `before` is (moment, ARN) of the last one of the page before; a moment is the time of the end, or of the start
        while it runs.
        """
        conditions = ["account = ?", "region = ?"]
        values: list[Any] = [*scope]
        for column, value in (("machine", machine), ("map_run", map_run), ("status", status)):
            if value:
                conditions.append(f"{column} = ?")
                values.append(value)
        if before:
            conditions.append("(moment, arn) < (?, ?)")
            values += before
        # The page is found in an index: one of a status that few have would read nearly all documents.
        order = "ORDER BY moment DESC, arn DESC"
        where = f"WHERE {' AND '.join(conditions)} {order} LIMIT ?"
        keys = f"SELECT account, region, arn FROM executions {where}"  # noqa: S608 - constants
        rows = self._database.rows(
            f"SELECT document FROM executions WHERE (account, region, arn) IN ({keys}) {order}",  # noqa: S608 - constants
            [*values, limit],
        )
        found = []
        for (document,) in rows:
            execution = _read(document, history=False)
            found.append({name: execution.get(name) for name in _SUMMARY if name in execution})
        return found

    def of_map_run(self, map_run: str) -> list[Execution]:
        """All child executions of a Map Run, in the order of their ends. DiskError if the last can not be stored."""
        self.sweep()
        rows = self._database.rows("SELECT document FROM executions WHERE map_run = ? ORDER BY moment, arn", (map_run,))
        return [_read(document) for (document,) in rows]

    def delete_machine(self, scope: tuple[str, str], machine: str) -> None:
        """Remove all executions of a state machine, and the children of its Map Runs."""
        for key, execution in list(self._running.items()):
            if execution["stateMachineArn"].partition("/")[0] == machine:
                self._running.pop(key, None)
        self._database.write(
            "DELETE FROM executions WHERE account = ? AND region = ? AND (machine = ? OR machine BETWEEN ? AND ?)",
            (*scope, machine, f"{machine}/", f"{machine}/\U0010ffff"),
        )

    def prune(self, days: int = KEPT_DAYS, most: int = MOST_KEPT) -> None:
        """Remove executions that ended more than `days` ago, and the oldest beyond `most`."""
        oldest = f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%dT%H:%M:%S}"
        with self._database.transaction() as write:
            write.execute("DELETE FROM executions WHERE moment < ? AND status != 'RUNNING'", (oldest,))
            write.execute(
                "DELETE FROM executions WHERE status != 'RUNNING' AND moment <"
                " (SELECT moment FROM executions ORDER BY moment DESC LIMIT 1 OFFSET ?)",
                (most - 1,),
            )


def _mark(execution: Execution) -> tuple[Any, ...]:
    """What changes when an execution does."""
    return execution["status"], execution.get("stopDate"), len(execution["events"])


def _packed(execution: Execution) -> bytes:
    """The execution without its history, as one line of JSON, and the history compressed after it."""
    for _ in range(20):
        try:
            events = list(execution["events"])
            head = json.dumps({name: value for name, value in list(execution.items()) if name != "events"})
            history = json.dumps(events).encode()
            # With a window that fits: to clear a larger one takes as long as to compress what is small.
            return head.encode() + b"\n" + zlib.compress(history, 1, 14 if len(history) > _WINDOW else 12)
        except RuntimeError:
            # Its thread changed it meanwhile.
            time.sleep(0.001)
    raise RuntimeError(f"The execution {execution.get('executionArn')} kept changing while it was stored.")


def _read(document: bytes, history: bool = True) -> Execution:
    """Unpack an execution as `_packed` wrote it, with or without its history."""
    head, _, events = document.partition(b"\n")
    execution: Execution = json.loads(head)
    if history:
        execution["events"] = json.loads(zlib.decompress(events))
    return execution
