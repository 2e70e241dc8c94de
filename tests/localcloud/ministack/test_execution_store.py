"""Executions in SQLite: those that run, those that ended, those that a stop interrupted."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from localcloud.ministack.database import Database
from localcloud.ministack.execution_store import SCHEMA, ExecutionStore

SCOPE = ("000000000000", "us-east-1")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "traffic.sqlite", SCHEMA)


def execution(name: str, started: str = "2026-11-25T10:00:00.000Z", **members: Any) -> dict[str, Any]:
    """An execution as MiniStack keeps it, with these members."""
    return {
        "executionArn": f"arn:{name}", "stateMachineArn": "arn:machine", "name": name, "status": "RUNNING",
        "startDate": started, "stopDate": None, "input": "{}", "events": [{"id": 1, "type": "ExecutionStarted"}],
        **members,
    }  # fmt: skip


def end(found: dict[str, Any], stopped: str = "2026-11-25T10:00:01.000Z") -> None:
    found["events"].append({"id": 2, "type": "ExecutionSucceeded"})
    found.update(status="SUCCEEDED", stopDate=stopped, output='"done\\n"')


def test_an_execution_that_ended_is_read_whole_and_no_longer_in_memory(database: Database) -> None:
    store = ExecutionStore(database)
    running = store[*SCOPE, "arn:a"] = execution("a")
    end(running)
    store.finish((*SCOPE, "arn:a"))

    assert len(store) == 0
    assert store[*SCOPE, "arn:a"] == running


def test_one_that_runs_is_not_finished(database: Database) -> None:
    store = ExecutionStore(database)
    running = store[*SCOPE, "arn:a"] = execution("a")
    store.finish((*SCOPE, "arn:a"))

    assert store[*SCOPE, "arn:a"] is running


def test_what_an_execution_did_elsewhere_is_committed_before_its_end(database: Database) -> None:
    def stored_status() -> str:
        return str(next(database.rows("SELECT status FROM executions"))[0])

    seen: list[str] = []
    store = ExecutionStore(database, lambda: seen.append(stored_status()))
    running = store[*SCOPE, "arn:a"] = execution("a")
    store.finish((*SCOPE, "arn:a"))
    end(running)
    store.sweep()

    assert (seen, stored_status()) == (["RUNNING"], "SUCCEEDED")


def test_what_ran_at_a_stop_has_failed_with_a_reason(database: Database) -> None:
    before = ExecutionStore(database)
    before[*SCOPE, "arn:a"] = execution("a")
    done = before[*SCOPE, "arn:b"] = execution("b")
    end(done)
    before.sweep()

    after = ExecutionStore(database)
    [(key, interrupted)] = after.interrupt("States.ServiceRestart", "the reason")

    assert key == (*SCOPE, "arn:a")
    assert (interrupted["status"], interrupted["cause"]) == ("FAILED", "the reason")
    assert [event["type"] for event in interrupted["events"]] == ["ExecutionStarted", "ExecutionFailed"]
    assert after[key] == interrupted
    assert after[*SCOPE, "arn:b"]["status"] == "SUCCEEDED"
    assert ExecutionStore(database).interrupt("", "") == []


def test_the_history_of_one_that_runs_is_committed_on_the_way(database: Database) -> None:
    store = ExecutionStore(database)
    running = store[*SCOPE, "arn:a"] = execution("a")
    running["events"].append({"id": 2, "type": "TaskStateEntered"})
    store.sweep()

    [(_, interrupted)] = ExecutionStore(database).interrupt("", "")

    assert [event["type"] for event in interrupted["events"]][1] == "TaskStateEntered"


@pytest.mark.parametrize(
    ("machine", "run", "index"), [("arn:machine", None, "of_machine"), (None, "arn:run", "in_map_run")]
)
def test_a_page_reads_no_document_but_its_own(
    database: Database, monkeypatch: pytest.MonkeyPatch, machine: str | None, run: str | None, index: str
) -> None:
    plans: list[str] = []
    rows = database.rows

    def explained(statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        plans.extend(str(row[3]) for row in rows(f"EXPLAIN QUERY PLAN {statement}", values))
        return rows(statement, values)

    monkeypatch.setattr(database, "rows", explained)
    ExecutionStore(database).page(SCOPE, machine, run, "TIMED_OUT", None, 10)

    assert any(f"USING COVERING INDEX {index}" in plan for plan in plans), plans


def test_pages_are_the_newest_first_and_by_machine_status_and_map_run(database: Database) -> None:
    store = ExecutionStore(database)
    for number in range(5):
        found = execution(f"{number}", f"2026-11-25T10:00:0{number}.000Z")
        if number == 3:
            found.update(mapRunArn="arn:run", stateMachineArn="arn:machine/map")
        store[*SCOPE, f"arn:{number}"] = found

    first = store.page(SCOPE, "arn:machine", None, None, None, 2)
    rest = store.page(SCOPE, "arn:machine", None, None, (first[-1]["startDate"], first[-1]["executionArn"]), 9)

    assert [one["name"] for one in first + rest] == ["4", "2", "1", "0"]
    assert [one["name"] for one in store.page(SCOPE, None, "arn:run", "RUNNING", None, 9)] == ["3"]
    assert store.page(SCOPE, "arn:machine", None, "FAILED", None, 9) == []
    assert [one["name"] for one in store.of_map_run("arn:run")] == ["3"]


def test_old_ones_and_those_beyond_the_most_are_removed(database: Database) -> None:
    store = ExecutionStore(database)
    for number in range(4):
        found = execution(f"{number}")
        end(found, f"2999-01-01T00:00:0{number}.000Z" if number else "2001-01-01T00:00:00.000Z")
        store[*SCOPE, f"arn:{number}"] = found

    store.prune(most=2)

    assert [one["name"] for one in store.page(SCOPE, "arn:machine", None, None, None, 9)] == ["3", "2"]


def test_a_deleted_machine_takes_its_executions_along(database: Database) -> None:
    store = ExecutionStore(database)
    store[*SCOPE, "arn:a"] = execution("a")
    store.delete_machine(SCOPE, "arn:machine")

    assert store.get((*SCOPE, "arn:a")) is None


def test_an_execution_that_ended_can_be_read_without_its_history(database: Database) -> None:
    store = ExecutionStore(database)
    running = store[*SCOPE, "arn:a"] = execution("a")
    end(running)
    store.finish((*SCOPE, "arn:a"))

    assert store.without_history((*SCOPE, "arn:a")) == {name: running[name] for name in running if name != "events"}
    assert (*SCOPE, "arn:a") in store
    assert (*SCOPE, "arn:b") not in store
    with pytest.raises(KeyError):
        store.without_history((*SCOPE, "arn:b"))
