"""Intrinsic functions, and how they fail. Values are those of the Developer Guide's examples where it has some."""

from typing import Any

import pytest

from localcloud.ministack.asl.errors import StateError
from localcloud.ministack.asl.intrinsics import evaluate, is_call

DATA: dict[str, Any] = {
    "list": [1, 2, 3, 4, 5, 6, 7, 8, 9],
    "mixed": [1, True, "1", 1],
    "text": "a,b;c",
    "name": "Arnav",
    "object": {"a": 1, "b": [True, None]},
    "other": {"a": 2, "c": 3},
    "number": 2.5,
    "long": "x" * 10_001,
}


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("States.Format('Hello {}, {}.', $.name, 3)", "Hello Arnav, 3."),
        (r"States.Format('it\'s \{\} {}', true)", "it's {} true"),
        ("States.Format('{}', $.object)", "{a=1, b=[true, null]}"),
        ("States.Format($.name)", "Arnav"),
        ("States.StringToJson('{\"a\": [1]}')", {"a": [1]}),
        ("States.StringToJson('')", None),
        ("States.JsonToString($.object)", '{"a":1,"b":[true,null]}'),
        (r"States.Array('it\'s', States.Array(), null)", ["it's", [], None]),
        ("States.ArrayPartition($.list, 4)", [[1, 2, 3, 4], [5, 6, 7, 8], [9]]),
        ("States.ArrayContains($.list, 5)", True),
        ("States.ArrayContains($.list, true)", False),
        ("States.ArrayRange(1, 9, 2)", [1, 3, 5, 7, 9]),
        ("States.ArrayRange(3, 1, -1)", [3, 2, 1]),
        ("States.ArrayGetItem($.list, 5)", 6),
        ("States.ArrayLength($.list)", 9),
        ("States.ArrayUnique($.mixed)", [1, True, "1"]),
        ("States.Base64Encode('é')", "w6k="),
        ("States.Base64Decode('w6k')", "é"),
        ("States.Hash('input data', 'SHA-1')", "aaff4a450a104cd177d28d18d74485e8cae074b7"),
        ("States.JsonMerge($.object, $.other, false)", {"a": 2, "b": [True, None], "c": 3}),
        ("States.MathAdd($.number, -1)", 2),
        ("States.MathAdd(-2.5, 0)", -2),
        ("States.StringSplit($.text, ',;')", ["a", "b", "c"]),
        ("States.StringSplit('a-b]c', ']-')", ["a", "b", "c"]),
        ("States.ArrayGetItem(States.StringSplit($.text, ','), 0)", "a"),
        ("States.ArrayLength($.list[?(@ > 3)])", 6),
    ],
)
def test_a_function_gives_what_is_documented(call: str, result: Any) -> None:
    found = evaluate(call, DATA)

    assert (found, type(found)) == (result, type(result))


def test_random_numbers_are_within_their_bounds_and_follow_a_seed() -> None:
    assert {evaluate("States.MathRandom(1, 3)", {}) for _ in range(60)} == {1, 2}
    assert len({evaluate("States.MathRandom(1, 100000, 7)", {}) for _ in range(5)}) == 1


@pytest.mark.parametrize(
    "call",
    [
        "States.Format('{} {}', 1)",
        "States.Format('{}', 1, 2)",
        "States.Format(1)",
        "States.StringToJson('{')",
        "States.StringToJson($.object)",
        "States.ArrayPartition($.list, 0)",
        "States.ArrayPartition($.name, 1)",
        "States.ArrayContains($.name, 'A')",
        "States.ArrayRange(1, 2000, 1)",
        "States.ArrayRange(1, 2, 0)",
        "States.ArrayRange('a', 2, 1)",
        "States.ArrayGetItem($.list, 9)",
        "States.ArrayGetItem($.list, -1)",
        "States.ArrayLength($.name)",
        "States.Base64Encode($.long)",
        "States.Base64Decode('*')",
        "States.Hash('x', 'CRC')",
        "States.Hash($.object, 'MD5')",
        "States.JsonMerge($.object, $.other, true)",
        "States.JsonMerge($.list, $.other, false)",
        "States.MathRandom(2, 2)",
        "States.MathAdd('1', 1)",
        "States.MathAdd(true, 1)",
        "States.MathAdd(2147483647, 1)",
        "States.StringSplit($.text, '')",
        "States.StringSplit(1, ',')",
    ],
)
def test_wrong_arguments_fail_with_an_error_that_can_be_caught(call: str) -> None:
    with pytest.raises(StateError) as failed:
        evaluate(call, DATA)

    assert failed.value.error == "States.IntrinsicFailure"
    assert failed.value.cause.startswith(f"The function '{call}' had the following error: ")


def test_a_path_that_leads_to_nothing_cannot_be_caught() -> None:
    with pytest.raises(
        StateError, match=r"The JsonPath argument for the field '\$\.gone' could not be found"
    ) as failed:
        evaluate("States.ArrayLength($.gone)", DATA)

    assert failed.value.error == "States.Runtime"


@pytest.mark.parametrize(
    "text",
    [
        "States.Gone()",
        "States.UUID(1)",
        "States.UUID(",
        "States.UUID() and more",
        "States.Format('open)",
        "States.Array(1 2)",
        "States.Array(x)",
        "States.ArrayLength()",
        "States.Array(" * 11 + ")" * 11,
        "$.path",
        3,
    ],
)
def test_what_is_no_call_is_known_before_it_runs(text: Any) -> None:
    assert not is_call(text)


def test_a_call_is_known_before_it_runs() -> None:
    assert is_call("States.ArrayGetItem( States.StringSplit($.a['b)'], ',') , 0 )")
