"""Log lines in SQLite: order, pages, filters, removal."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.ministack.log_store import LogStore
from localcloud.ministack.logs import pieces, refused_events
from localcloud.settings import DiskError

SCOPE = ("000000000000", "us-east-1")
NOW = 1_800_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LogStore]:
    store = LogStore(tmp_path / "logs.sqlite")
    yield store
    store.close()


def messages(lines: list) -> list[str]:
    return [line.message for line in lines]


def test_lines_are_ordered_by_time_then_by_arrival(store: LogStore) -> None:
    store.append(SCOPE, "group", "stream", [(NOW + 2, "late"), (NOW, "first")], NOW)
    store.append(SCOPE, "group", "stream", [(NOW, "second")], NOW)

    assert messages(store.page(SCOPE, "group", "stream", None, None, 10)) == ["first", "second", "late"]


@given(
    times=st.lists(st.integers(0, 5), max_size=30),
    size=st.integers(1, 7),
    forward=st.booleans(),
    bound=st.integers(0, 6),
)
@settings(max_examples=60)
def test_pages_have_each_line_once_in_either_direction(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], size: int, forward: bool, bound: int
) -> None:
    store = LogStore(tmp_path_factory.mktemp("logs") / "logs.sqlite")
    store.append(SCOPE, "group", "stream", [(at, f"{number}") for number, at in enumerate(times)], NOW)
    expected = [str(number) for number, at in sorted(enumerate(times), key=lambda one: one[1]) if at < bound]

    found: list[str] = []
    place = None
    while page := store.page(
        SCOPE, "group", "stream", None, bound, size,
        after=place if forward else None, before=None if forward else place, forward=forward,
    ):  # fmt: skip
        found = found + messages(page) if forward else messages(page) + found
        place = page[-1 if forward else 0].place
    store.close()

    assert found == expected


def test_a_filter_goes_on_where_its_last_answer_ended(store: LogStore) -> None:
    for stream in ("a", "b"):
        store.append(SCOPE, "group", stream, [(NOW + n, f"{stream}{n} {'error' * (n % 2)}") for n in range(10)], NOW)

    found, place = store.filter(SCOPE, "group", lambda text: "error" in text, None, None, 3)
    rest, end = store.filter(SCOPE, "group", lambda text: "error" in text, None, None, 100, place)

    assert [text[:2] for text in messages(found + rest)] == [f"{s}{n}" for n in (1, 3, 5, 7, 9) for s in "ab"]
    assert end is None


def test_a_filter_can_be_of_streams_by_name_or_prefix(store: LogStore) -> None:
    for stream in ("job/1", "job/2", "other"):
        store.append(SCOPE, "group", stream, [(NOW, stream)], NOW)

    by_name, _ = store.filter(SCOPE, "group", bool, None, None, 10, streams=["other"])
    by_prefix, _ = store.filter(SCOPE, "group", bool, None, None, 10, prefix="job/")

    assert (messages(by_name), messages(by_prefix)) == (["other"], ["job/1", "job/2"])


def test_another_accounts_group_of_the_same_name_is_another(store: LogStore) -> None:
    store.append(SCOPE, "group", "stream", [(NOW, "ours")], NOW)

    assert store.page(("111111111111", "us-east-1"), "group", "stream", None, None, 10) == []


def test_a_group_made_again_does_not_have_the_deleted_lines(store: LogStore) -> None:
    store.append(SCOPE, "group", "stream", [(NOW, "old")], NOW)
    store.delete_group(SCOPE, "group")
    store.append(SCOPE, "group", "stream", [(NOW, "new")], NOW)

    assert messages(store.page(SCOPE, "group", "stream", None, None, 10)) == ["new"]
    assert store.purge({}) == 1


def test_lines_past_their_retention_and_beyond_the_most_are_removed(store: LogStore) -> None:
    store.append(SCOPE, "short", "stream", [(0, "old"), (4_000_000_000_000, "new")], NOW)
    store.append(SCOPE, "long", "stream", [(NOW, f"{number}") for number in range(5)], NOW)

    store.purge({(*SCOPE, "short"): 7})
    assert messages(store.page(SCOPE, "short", "stream", None, None, 10)) == ["new"]
    store.purge({}, most=2)
    assert messages(store.page(SCOPE, "long", "stream", None, None, 10)) == ["3", "4"]


def test_streams_and_sizes_are_known(store: LogStore) -> None:
    store.append(SCOPE, "group", "stream", [(NOW + 5, "12345"), (NOW, "678")], NOW + 9)

    [stream] = store.streams()

    assert (stream.group, stream.name, stream.first, stream.last, stream.ingested) == (
        "group", "stream", NOW, NOW + 5, NOW + 9,
    )  # fmt: skip
    assert store.bytes_by_group(SCOPE) == {"group": 8}


def test_lines_that_wait_are_read_at_once_and_committed_together(tmp_path: Path) -> None:
    store = LogStore(tmp_path / "logs.sqlite")
    for number in range(3):
        store.append_soon(SCOPE, "/group", "stream", [(number, f"line {number}")], 10)

    assert [line.message for line in store.page(SCOPE, "/group", "stream", None, None, 10)] == [
        "line 0", "line 1", "line 2",
    ]  # fmt: skip
    store.append_soon(SCOPE, "/group", "stream", [(3, "line 3")], 10)
    store.close()
    again = LogStore(tmp_path / "logs.sqlite")
    assert len(again.page(SCOPE, "/group", "stream", None, None, 10)) == 4
    again.close()


def test_lines_wait_for_a_disk_that_is_full_and_reads_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LogStore(tmp_path / "logs.sqlite")
    store.append(SCOPE, "/group", "stream", [(1, "stored")], 10)
    store.append_soon(SCOPE, "/group", "another", [(2, "waits")], 10)

    @contextlib.contextmanager
    def full() -> Iterator[None]:
        raise DiskError("logs.sqlite could not be written: database or disk is full")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(store._database, "transaction", full)
        assert [line.message for line in store.page(SCOPE, "/group", "stream", None, None, 10)] == ["stored"]
        with pytest.raises(DiskError):
            store.settle()

    assert [line.message for line in store.page(SCOPE, "/group", "another", None, None, 10)] == ["waits"]
    store.close()


def test_a_stream_whose_first_line_failed_is_made_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LogStore(tmp_path / "logs.sqlite")
    with pytest.raises(sqlite3.ProgrammingError):
        store.append(SCOPE, "/group", "stream", [(object(), "line")], 10)  # type: ignore[list-item]

    store.append(SCOPE, "/group", "stream", [(2, "line")], 10)

    assert [line.message for line in store.page(SCOPE, "/group", "stream", None, None, 10)] == ["line"]
    store.close()


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([], None),
        ([{"timestamp": 1, "message": "x" * 1_048_550}], None),
        ([{"timestamp": 1, "message": "x" * 1_048_551}], "Log event too large: 1048577 bytes exceeds limit of 1048576"),
        ([{"timestamp": 1, "message": "é" * 262_132}] * 2, "Upload too large: 1048580 bytes exceeds limit of 1048576"),
        ([{"timestamp": 2, "message": "a"}, {"timestamp": 1, "message": "b"}], "must be in chronological order"),
    ],
)
def test_a_batch_of_lines_is_taken_or_refused(events: list[dict[str, Any]], problem: str | None) -> None:
    found = refused_events(events)

    assert (found is None) == (problem is None)
    assert found is None or str(problem) in found


def test_a_long_line_of_a_function_is_several_events() -> None:
    line = "é" * 600_000

    assert "".join(pieces(line)) == line
    assert all(refused_events([{"message": piece}]) is None for piece in pieces(line))
    assert pieces("") == [""]
