"""Pages of List operations: filters, order, and tokens that stay at their place."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.api import ApiError, page, refuse
from localcloud.state.store import Selection, Store

THINGS = [
    {"Name": f"thing-{n}", "Arn": f"arn:{n}", "CreationTime": float(n), "State": "Up" if n % 2 else "Down"}
    for n in range(10)
]


def listed(documents: list[dict[str, Any]] | Selection = THINGS, **request: Any) -> dict[str, Any]:
    return page(
        request, documents, member="Things", summary=dict, name="Name", identity="Arn", status="State", default_size=3
    )


def names(answer: dict[str, Any]) -> list[str]:
    return [thing["Name"] for thing in answer["Things"]]


def test_newest_first_and_the_default_size() -> None:
    assert names(listed()) == ["thing-9", "thing-8", "thing-7"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"NameContains": "THING-4"}, [4]),
        ({"StatusEquals": "Up"}, [9, 7, 5, 3, 1]),
        ({"CreationTimeAfter": 6.0}, [9, 8, 7]),
        ({"CreationTimeBefore": 2.0, "SortOrder": "Ascending"}, [0, 1]),
        ({"CreatedAfter": 3.0, "CreatedBefore": 5.0}, [4]),
        ({"LastModifiedTimeAfter": 1.0}, []),
        ({"SortBy": "Name", "SortOrder": "Ascending", "CreationTimeBefore": 3.0}, [0, 1, 2]),
        ({"SortBy": "Status", "CreationTimeBefore": 4.0}, [3, 1, 2, 0]),
    ],
)
def test_filters_and_orders(request_: dict[str, Any], expected: list[int]) -> None:
    assert names(listed(MaxResults=100, **request_)) == [f"thing-{n}" for n in expected]


@given(
    st.lists(st.floats(0, 5).map(round), max_size=30),
    st.integers(1, 7),
    st.sampled_from(["Ascending", "Descending"]),
)
def test_pages_together_are_the_whole_list_each_once(times: list[int], size: int, order: str) -> None:
    documents = [{"Name": "n", "Arn": f"{n:03d}", "CreationTime": float(t)} for n, t in enumerate(times)]
    request: dict[str, Any] = {"MaxResults": size, "SortOrder": order}
    found = []
    while True:
        answer = listed(documents, **request)
        found += [thing["Arn"] for thing in answer["Things"]]
        if "NextToken" not in answer:
            break
        request["NextToken"] = answer["NextToken"]

    expected = sorted(documents, key=lambda d: (d["CreationTime"], d["Arn"]), reverse=order == "Descending")
    assert found == [d["Arn"] for d in expected]


def test_a_filter_of_one_operation_is_applied_before_the_page_is_cut() -> None:
    answer = page(
        {"MaxResults": 2},
        THINGS,
        member="Things",
        summary=dict,
        name="Name",
        identity="Arn",
        where=lambda thing: thing["CreationTime"] < 3,
    )

    assert (names(answer), "NextToken" in answer) == (["thing-2", "thing-1"], True)


@pytest.mark.parametrize("field", ["CreationTime", "Name"])
def test_a_page_that_is_cut_first_may_be_short_and_have_a_next(field: str) -> None:
    def cut(**request: Any) -> dict[str, Any]:
        return page(
            {"StatusEquals": "Up", "SortBy": field, "MaxResults": 1, **request}, THINGS,
            member="Things", summary=dict, name="Name", identity="Arn", status="State",
            default_order="Ascending", cut_first=True,
        )  # fmt: skip

    first = cut()
    second = cut(NextToken=first["NextToken"])

    assert names(first) == []
    assert names(second) == ["thing-1"]
    assert [names(cut(MaxResults=n)) for n in (3, 100)] == [["thing-1"], [f"thing-{n}" for n in (1, 3, 5, 7, 9)]]
    assert "NextToken" not in cut(MaxResults=10)


def test_a_token_stays_at_its_place_when_its_element_is_deleted() -> None:
    token = listed()["NextToken"]

    rest = [thing for thing in THINGS if thing["Name"] not in ("thing-7", "thing-9")]

    assert names(listed(rest, NextToken=token)) == ["thing-6", "thing-5", "thing-4"]


@pytest.mark.parametrize(
    "other", [{"SortBy": "Name"}, {"SortOrder": "Ascending"}, {"GroupName": "other"}, {"Resource": "Model"}]
)
def test_a_token_of_another_list_is_refused(other: dict[str, Any]) -> None:
    token = listed()["NextToken"]

    with pytest.raises(ApiError, match="NextToken"):
        listed(NextToken=token, **other)


def test_a_token_of_another_operation_is_refused() -> None:
    token = listed()["NextToken"]

    with pytest.raises(ApiError, match="NextToken"):
        page({"NextToken": token}, THINGS, member="Others", summary=dict, name="Name", identity="Arn")


def test_filters_and_page_size_may_change_between_pages() -> None:
    token = listed()["NextToken"]

    assert names(listed(NextToken=token, MaxResults=2, StatusEquals="Up")) == ["thing-5", "thing-3"]


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_mistyped_token_is_refused(place: int, letter: str) -> None:
    token = listed()["NextToken"]
    place %= len(token)
    mistyped = token[:place] + letter + token[place + 1 :]

    if mistyped != token:
        with pytest.raises(ApiError, match="NextToken"):
            listed(NextToken=mistyped)


MADE_UP = [
    base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
    for value in (["CreationTime", 1.0, "arn:1"], ["text", "arn:1"], [None, "arn:1"], {}, "x" * 40)
]


@pytest.mark.parametrize("token", ["x", "e30=", "bnVsbA==", "WzFd", "ä", "[" * 5000, *MADE_UP])
def test_a_made_up_token_is_refused(token: str) -> None:
    with pytest.raises(ApiError, match="NextToken"):
        listed(NextToken=token)


@given(
    st.lists(st.integers(0, 5), max_size=15, unique=True),
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9)), max_size=15),
    st.sampled_from(["Ascending", "Descending"]),
)
def test_items_inserted_between_pages_shift_none(times: list[int], steps: list[tuple[int, int]], order: str) -> None:
    documents = [{"Name": "n", "Arn": f"old-{n:03d}", "CreationTime": float(t)} for n, t in enumerate(times)]
    before = sorted(documents, key=lambda d: (d["CreationTime"], d["Arn"]), reverse=order == "Descending")
    found: list[str] = []
    request: dict[str, Any] = {"SortOrder": order}
    for number, (size, time) in enumerate([*steps, (100, 0)]):
        answer = listed(documents, MaxResults=size, **request)
        found += [thing["Arn"] for thing in answer["Things"]]
        if "NextToken" not in answer:
            break
        request["NextToken"] = answer["NextToken"]
        documents.append({"Name": "n", "Arn": f"new-{number:03d}", "CreationTime": float(time)})

    assert [arn for arn in found if arn.startswith("old")] == [d["Arn"] for d in before]
    assert len(found) == len(set(found))


def test_members_that_are_not_implemented_are_refused_by_name() -> None:
    refuse({"Other": 1, "Shadow": None, "Ssm": False}, "Shadow", "Ssm")

    with pytest.raises(ApiError, match="does not implement Other; leave it out"):
        refuse({"Other": 1}, "Other")


@given(
    st.lists(st.tuples(st.integers(0, 4).map(float), st.sampled_from(["Up", "Down"])), max_size=20),
    st.fixed_dictionaries(
        {"MaxResults": st.integers(1, 5)},
        optional={
            "SortOrder": st.sampled_from(["Ascending", "Descending"]),
            "SortBy": st.sampled_from(["CreationTime", "Name", "Status"]),
            "StatusEquals": st.just("Up"),
            "CreationTimeAfter": st.just(1.0),
        },
    ),
)
def test_pages_from_the_store_are_those_of_a_list(
    tmp_path_factory: pytest.TempPathFactory, documents: list[tuple[float, str]], request_: dict[str, Any]
) -> None:
    store = Store(tmp_path_factory.mktemp("store") / "store.sqlite")
    things = [
        {"Name": f"{n}", "Arn": f"{n:02d}", "CreationTime": time, "State": state}
        for n, (time, state) in enumerate(documents)
    ]
    for thing in things:
        store.insert("thing", str(thing["Arn"]), thing)
    token: dict[str, Any] = {}
    while True:
        answer = listed(things, **request_, **token)
        assert listed(store.select("thing"), **request_, **token) == answer
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    store.close()
