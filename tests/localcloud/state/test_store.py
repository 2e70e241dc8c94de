"""Documents in SQLite: order, atomic changes, threads."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.state.store import DuplicateError, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store.sqlite")
    yield store
    store.close()


def test_documents_come_back_in_the_order_of_creation_by_parent(store: Store) -> None:
    for key, parent in (("b", "x"), ("a", "x"), ("c", "y")):
        store.insert("kind", key, {"key": key}, parent=parent)
    store.put("kind", "b", {"key": "b", "new": True})

    assert [d["key"] for d in store.documents("kind")] == ["b", "a", "c"]
    assert store.documents("kind", "x")[0] == {"key": "b", "new": True}
    assert (store.count("kind"), store.count("kind", "y")) == (3, 1)


def test_a_key_is_taken_once(store: Store) -> None:
    store.insert("kind", "key", {"first": 1})

    with pytest.raises(DuplicateError, match="kind key"):
        store.insert("kind", "key", {"second": 2})

    assert store.get("kind", "key") == {"first": 1}


def test_an_update_sets_and_removes_members(store: Store) -> None:
    store.insert("kind", "key", {"a": 1, "b": 2})

    assert store.update("kind", "key", {"a": None, "c": 3}) == {"b": 2, "c": 3}
    assert store.get("kind", "key") == {"b": 2, "c": 3}


def test_updating_what_is_not_there_is_a_key_error(store: Store) -> None:
    with pytest.raises(KeyError, match="kind absent"):
        store.update("kind", "absent", {})


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            store.insert("kind", "one", {})
            with store.transaction():
                store.insert("kind", "two", {})
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()

    assert store.count("kind") == 0


def test_a_duplicate_inside_a_transaction_can_be_handled(store: Store) -> None:
    store.insert("kind", "key", {})
    with store.transaction():
        store.insert("kind", "other", {})
        with pytest.raises(DuplicateError):
            store.insert("kind", "key", {})

    assert store.count("kind") == 2


def test_threads_do_not_lose_each_others_changes(store: Store) -> None:
    store.insert("kind", "key", {"count": 0})

    def add() -> None:
        for _ in range(100):
            store.update("kind", "key", lambda d: d.update(count=d["count"] + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert store.get("kind", "key") == {"count": 400}


def test_numbers_are_never_given_twice_also_after_reopening(tmp_path: Path) -> None:
    first = Store(tmp_path / "store.sqlite")
    assert [first.next_number("a"), first.next_number("a"), first.next_number("b")] == [1, 2, 1]
    first.close()

    second = Store(tmp_path / "store.sqlite")

    assert second.next_number("a") == 3
    second.close()


def test_old_documents_are_removed_by_their_time(store: Store) -> None:
    for key, time in (("old", 1.0), ("new", 5.0)):
        store.insert("kind", key, {"Time": time})

    store.delete_older("kind", "Time", 3.0)

    assert store.get("kind", "old") is None
    assert store.delete("kind", "new")
    assert not store.delete("kind", "new")


@given(
    st.lists(st.tuples(st.integers(0, 3).map(float), st.sampled_from("xy")), max_size=20),
    st.sampled_from([None, "x"]),
    st.booleans(),
    st.integers(1, 4),
)
def test_a_selection_is_read_by_creation_from_any_place(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[tuple[float, str]],
    parent: str | None,
    descending: bool,
    at_once: int,
) -> None:
    store = Store(tmp_path_factory.mktemp("store") / "store.sqlite")
    for number, (time, of) in enumerate(documents):
        store.insert("kind", f"{number:02d}", {"key": f"{number:02d}", "CreationTime": time}, parent=of)
    places = sorted(
        ((time, f"{n:02d}") for n, (time, of) in enumerate(documents) if parent in (None, of)), reverse=descending
    )
    selection = store.select("kind", parent)

    assert [d["key"] for d in selection.by_creation(None, at_once, descending=descending)] == [p[1] for p in places]
    for number, place in enumerate(places):
        rest = [d["key"] for d in selection.by_creation(place, at_once, descending=descending)]
        assert rest == [p[1] for p in places[number + 1 :]]
    assert len(list(selection)) == len(places)
    store.close()


def test_documents_having_a_value_are_found_in_their_order(store: Store) -> None:
    for key, status in (("b", "Executing"), ("a", "Succeeded"), ("c", "Stopping"), ("d", None)):
        store.insert("kind", key, {"key": key, "Status": status})

    assert [d["key"] for d in store.having("kind", "Status", ("Executing", "Stopping"))] == ["b", "c"]


@pytest.mark.parametrize(("parent", "index"), [(None, "by_creation"), ("x", "by_parent_and_creation")])
def test_an_index_gives_a_page_without_sorting(store: Store, parent: str | None, index: str) -> None:
    said: list[str] = []
    store._connection.set_trace_callback(said.append)
    store.created("kind", parent, (1.0, "a"), 10, descending=True)
    store._connection.set_trace_callback(None)

    plan = [row[3] for row in store._rows(f"EXPLAIN QUERY PLAN {said[0]}", ())]

    assert len(plan) == 1
    assert f"USING INDEX {index} " in plan[0]


def test_children_are_read_by_pages_in_the_order_of_their_insertion(store: Store) -> None:
    for name in "cab":
        store.insert("step", name, {"Name": name}, parent="run")
    store.insert("step", "other", {"Name": "other"}, parent="another run")
    store.put("step", "c", {"Name": "c", "changed": True}, parent="run")
    first = store.inserted("step", "run", None, 2, descending=True)
    assert [document["Name"] for _, document in first] == ["b", "a"]
    rest = store.inserted("step", "run", first[-1][0], 2, descending=True)
    assert [document for _, document in rest] == [{"Name": "c", "changed": True}]
    assert [d["Name"] for _, d in store.inserted("step", "run", None, 9, descending=False)] == ["c", "a", "b"]
