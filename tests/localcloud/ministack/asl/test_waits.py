"""How long Wait states wait, and what is no time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.ministack.asl.errors import StateError
from localcloud.ministack.asl.waits import seconds_to_wait


def test_a_wait_ends_at_its_time() -> None:
    later = f"{datetime.now(UTC) + timedelta(seconds=5000):%Y-%m-%dT%H:%M:%S.%f}Z"

    assert 4900 < seconds_to_wait({"TimestampPath": "$.at"}, {"at": later}) <= 5000
    assert seconds_to_wait({"Timestamp": "2020-01-01T00:00:00Z"}, {}) == 0
    assert seconds_to_wait({"SecondsPath": "$.s"}, {"s": 7}) == 7


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ({"SecondsPath": "$.text"}, "The SecondsPath parameter cannot be parsed as a long value: $.text == 5"),
        ({"SecondsPath": "$.half"}, "The SecondsPath parameter cannot be parsed as a long value: $.half == 0.5"),
        ({"SecondsPath": "$.true"}, "The SecondsPath parameter cannot be parsed as a long value: $.true == True"),
        ({"SecondsPath": "$.less"}, "The SecondsPath parameter references a negative value: $.less == -1"),
        ({"SecondsPath": "$.gone"}, "The SecondsPath parameter does not reference an input value: $.gone"),
        (
            {"TimestampPath": "$.local"},
            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: "
            "$.local == 2024-01-01T00:00:00",
        ),
        (
            {"TimestampPath": "$.less"},
            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: "
            "$.less == -1",
        ),
    ],
)
def test_what_is_no_time_fails_the_execution(state: dict[str, Any], cause: str) -> None:
    data = {"text": "5", "half": 0.5, "true": True, "less": -1, "local": "2024-01-01T00:00:00"}
    with pytest.raises(StateError) as failed:
        seconds_to_wait(state, data)

    assert (failed.value.error, failed.value.cause) == ("States.Runtime", cause)
