"""Rules of Choice states."""

from typing import Any

import pytest

from localcloud.ministack.asl.choices import holds
from localcloud.ministack.asl.errors import StateError

DATA: dict[str, Any] = {
    "n": 5,
    "s": "log-2023*.txt",
    "t": "2024-01-01T12:00:00.123456789Z",
    "later": "2024-01-01T13:30:00+01:00",
    "b": False,
    "none": None,
    "list": [1],
}


@pytest.mark.parametrize(
    ("rule", "held"),
    [
        ({"Variable": "$.n", "NumericEquals": 5.0}, True),
        ({"Variable": "$.n", "NumericLessThanEqualsPath": "$.n"}, True),
        ({"Variable": "$.n", "NumericGreaterThanPath": "$.n"}, False),
        ({"Variable": "$.n", "StringEquals": "5"}, False),
        ({"Variable": "$.b", "NumericEquals": 0}, False),
        ({"Variable": "$.b", "BooleanEquals": False}, True),
        ({"Variable": "$.b", "BooleanEqualsPath": "$.b"}, True),
        ({"Variable": "$.n", "BooleanEquals": True}, False),
        ({"Variable": "$.s", "StringMatches": "log-*.txt"}, True),
        ({"Variable": "$.s", "StringMatches": r"*2023\*.txt"}, True),
        ({"Variable": "$.s", "StringMatches": "log-????*"}, False),
        ({"Variable": "$.s", "StringLessThanPath": "$.t"}, False),
        ({"Variable": "$.s", "StringGreaterThanEqualsPath": "$.s"}, True),
        ({"Variable": "$.t", "TimestampLessThanPath": "$.later"}, True),
        ({"Variable": "$.t", "TimestampGreaterThan": "2024-01-01T12:00:00Z"}, True),
        ({"Variable": "$.s", "TimestampEquals": "2024-01-01T12:00:00Z"}, False),
        ({"Variable": "$.t", "IsTimestamp": True}, True),
        ({"Variable": "$.s", "IsTimestamp": True}, False),
        ({"Variable": "$.b", "IsNumeric": True}, False),
        ({"Variable": "$.none", "IsNull": True}, True),
        ({"Variable": "$.none", "IsPresent": True}, True),
        ({"Variable": "$.gone", "IsPresent": False}, True),
        ({"Variable": "$$.Execution.Name", "StringEquals": "run"}, True),
        ({"Not": {"Variable": "$.n", "IsString": True}}, True),
        ({"And": [{"Variable": "$.gone", "IsPresent": True}, {"Variable": "$.gone", "IsNull": True}]}, False),
        ({"Or": [{"Variable": "$.n", "IsNull": True}, {"Variable": "$.list[0]", "NumericEquals": 1}]}, True),
    ],
)
def test_a_rule_holds_as_it_says(rule: dict[str, Any], held: bool) -> None:
    assert holds(rule, DATA, {"Execution": {"Name": "run"}}) is held


@pytest.mark.parametrize(
    "rule",
    [
        {"Variable": "$.gone", "NumericEquals": 1},
        {"Variable": "$.gone", "IsNull": True},
        {"Variable": "$.n", "NumericEqualsPath": "$.gone"},
        {"Not": {"Variable": "$.gone", "StringEquals": ""}},
    ],
)
def test_a_comparison_of_what_is_not_there_fails(rule: dict[str, Any]) -> None:
    with pytest.raises(
        StateError, match=r"Invalid path '\$\.gone': The choice state's condition path references"
    ) as error:
        holds(rule, DATA)

    assert error.value.error == "States.Runtime"
