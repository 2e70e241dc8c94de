"""Events that PutEvents takes, and those that it does not."""

from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ministack import event_entries
from tests.localcloud.conftest import RunningCloud

GOOD = {"Source": "tests", "DetailType": "said", "Detail": "{}"}


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (GOOD, None),
        ({}, "InvalidArgument"),
        ({**GOOD, "Source": ""}, "InvalidArgument"),
        ({**GOOD, "Detail": "["}, "MalformedDetail"),
        ({**GOOD, "Detail": "[]"}, "MalformedDetail"),
        ({**GOOD, "Detail": '"text"'}, "MalformedDetail"),
    ],
)
def test_an_event_is_taken_or_not(entry: dict[str, Any], code: str | None) -> None:
    found = event_entries.problem(entry)

    assert (found and found[0]) == code


def test_the_size_of_an_event_is_that_of_its_texts_and_its_time() -> None:
    assert event_entries.size({**GOOD, "Resources": ["é"]}) == 5 + 4 + 2 + 2
    assert event_entries.size({**GOOD, "Time": 1}) == 14 + 5 + 4 + 2


def test_events_fail_one_by_one(cloud: RunningCloud) -> None:
    events = cloud.client("events")

    told = events.put_events(Entries=[{**GOOD, "Detail": "no"}, GOOD, {"Source": "tests"}])

    assert told["FailedEntryCount"] == 2
    assert [entry.get("ErrorCode") for entry in told["Entries"]] == ["MalformedDetail", None, "InvalidArgument"]
    with pytest.raises(ClientError, match="Total size of the entries in the request is over the limit"):
        events.put_events(Entries=[{**GOOD, "Detail": '{"x": "' + "y" * 1_048_576 + '"}'}])


def test_events_are_not_kept_in_memory() -> None:
    log: list[Any] = []
    events: Any = ModuleType("events")
    events._put_events = events.json_response = events.error_response_json = None
    events._events_log_list = lambda: log
    event_entries.install(events)

    events._events_log_list().append(GOOD)

    assert (log, list(events._events_log_list())) == ([], [])
