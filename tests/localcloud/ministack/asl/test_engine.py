"""States as they run on the local cloud: what they hand on, and how they fail."""

import json
import zipfile
from io import BytesIO
from typing import Any

import pytest

from tests.localcloud.conftest import RunningCloud
from tests.localcloud.ministack.asl.conftest import Machines

ONE = {"StartAt": "It", "States": {"It": {"Type": "Pass", "End": True}}}
OTHER = {"StartAt": "Other", "States": {"Other": {"Type": "Pass", "End": True}}}
DISTRIBUTED = {**ONE, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}}
MISSING = "The JSONPath '$.gone' specified for the field '{}' could not be found in the input"
CODE = """
import json, time
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    if "error" in event:
        raise type(event["error"], (Exception,), {})("as it was asked for")
    if "number" in event:
        return float(event["number"])
    return event.get("text", "x") * event.get("times", 1)
"""


@pytest.fixture(scope="module")
def function(cloud: RunningCloud) -> str:
    """A function that sleeps, raises or answers as it is asked for."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code.py", CODE)
    made = cloud.client("lambda").create_function(
        FunctionName="asl", Runtime="python3.11", Handler="code.handler", Role="arn:aws:iam::000000000000:role/asl",
        Code={"ZipFile": archive.getvalue()}, Timeout=20,
    )  # fmt: skip
    return str(made["FunctionArn"])


@pytest.mark.parametrize(
    ("state", "error", "cause"),
    [
        ({"Type": "Pass", "Parameters": {"b": {"x.$": "$.gone"}}}, "States.Runtime", MISSING.format("x.$")),
        ({"Type": "Pass", "Parameters": {"b": [[{"x.$": "$.gone"}]]}}, "States.Runtime", MISSING.format("x.$")),
        ({"Type": "Pass", "InputPath": "$.gone"}, "States.Runtime", MISSING.format("InputPath")),
        ({"Type": "Pass", "OutputPath": "$.gone"}, "States.Runtime", MISSING.format("OutputPath")),
        ({"Type": "Pass", "Result": {}, "ResultPath": "$.text.x"}, "States.ResultPathMatchFailure", "$.text.x"),
        ({"Type": "Fail", "ErrorPath": "$.gone"}, "States.Runtime", "'$.gone'"),
        ({"Type": "Fail", "ErrorPath": "$.n"}, "States.Runtime", "The value referenced by ErrorPath must be a string"),
        ({"Type": "Wait", "SecondsPath": "$.text"}, "States.Runtime", "cannot be parsed as a long value: $.text == t"),
        ({"Type": "Wait", "TimestampPath": "$.text"}, "States.Runtime", "does not reference a valid ISO-8601"),
        (
            {"Type": "Choice", "Choices": [{"Variable": "$.gone", "NumericEquals": 1, "Next": "Only"}]},
            "States.Runtime",
            "Invalid path '$.gone': The choice state's condition path references an invalid value.",
        ),
        (
            {"Type": "Pass", "Parameters": {"x.$": "States.ArrayGetItem($.list, 7)"}},
            "States.IntrinsicFailure",
            "The function 'States.ArrayGetItem($.list, 7)' had the following error",
        ),
        ({"Type": "Map", "ItemProcessor": ONE}, "States.Runtime", 'Reference path "$" must point to array.'),
        (
            {"Type": "Map", "ItemsPath": "$.text", "ItemProcessor": ONE},
            "States.Runtime",
            'Reference path "$.text" must point to array.',
        ),
        ({"Type": "Map", "ItemsPath": "$.gone", "ItemProcessor": ONE}, "States.Runtime", MISSING.format("ItemsPath")),
        ({"Type": "Map", "ItemsPath": "$.n", "ItemProcessor": DISTRIBUTED}, "States.Runtime", "must point to array."),
        (
            {"Type": "Map", "ItemsPath": "$.list", "MaxConcurrencyPath": "$.text", "ItemProcessor": ONE},
            "States.Runtime",
            'The MaxConcurrencyPath field refers to value "t" which is not a valid integer: $.text',
        ),
        (
            {"Type": "Map", "ItemsPath": "$.list", "MaxConcurrencyPath": "$.less", "ItemProcessor": DISTRIBUTED},
            "States.Runtime",
            "Expected non-negative integer for MaxConcurrency, got '-1' instead.",
        ),
        (
            {
                "Type": "Map", "ItemsPath": "$.list", "ToleratedFailurePercentagePath": "$.big",
                "ItemProcessor": DISTRIBUTED,
            },
            "States.Runtime",
            "ToleratedFailurePercentage must be between 0 and 100, got '101' instead.",
        ),
        (
            {"Type": "Map", "ItemsPath": "$.list", "ItemSelector": {"x.$": "$.gone"}, "ItemProcessor": ONE},
            "States.Runtime",
            MISSING.format("x.$"),
        ),
        ({"Type": "Pass", "Result": "x" * 262_143}, "States.DataLimitExceeded", "'Only' returned a result with"),
    ],
)  # fmt: skip
def test_a_state_fails_as_on_aws(machines: Machines, state: dict[str, Any], error: str, cause: str) -> None:
    more = {"More": {"Type": "Pass", "End": True}}
    definition: dict[str, Any] = state
    if state["Type"] == "Choice":
        definition = {"StartAt": "Only", "States": {"Only": {**state, "Default": "More"}, **more}}

    ended = machines.run(definition, {"text": "t", "n": 1, "less": -1, "big": 101, "list": [1, 2]})

    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert cause in ended["cause"]


def test_an_error_of_the_language_says_where_it_occurred(machines: Machines) -> None:
    ended = machines.run({"Type": "Pass", "InputPath": "$.gone"})

    assert ended["cause"].startswith(
        "An error occurred while executing the state 'Only' (entered at the event id #2). The"
    )


def test_a_choice_without_a_rule_that_holds_fails(machines: Machines) -> None:
    rule = {"Variable": "$.n", "NumericEquals": 1, "Next": "More"}
    states = {"Only": {"Type": "Choice", "Choices": [rule]}, "More": {"Type": "Pass", "End": True}}

    ended = machines.run({"StartAt": "Only", "States": states}, {"n": 2})

    assert ended["error"] == "States.NoChoiceMatched"
    assert "Failed to transition out of the state" in ended["cause"]


@pytest.mark.parametrize(
    ("state", "output"),
    [
        ({"Type": "Pass", "Parameters": {"x.$": "$.none"}, "OutputPath": "$.x"}, None),
        ({"Type": "Pass", "Result": 1, "ResultPath": "$.list"}, {"none": None, "list": 1}),
        ({"Type": "Pass", "Result": 1, "ResultPath": "$['a.b'].c"}, {"none": None, "list": [1, 2], "a.b": {"c": 1}}),
        ({"Type": "Pass", "ResultPath": None, "Result": 1}, {"none": None, "list": [1, 2]}),
        ({"Type": "Pass", "Parameters": {}}, {}),
        ({"Type": "Pass", "InputPath": None}, {}),
        ({"Type": "Map", "ItemsPath": "$.list", "ItemProcessor": ONE}, [1, 2]),
        ({"Type": "Map", "ItemsPath": "$.list[?(@ > 1)]", "ItemProcessor": ONE}, [2]),
        ({"Type": "Map", "ItemsPath": "$.list[?(@ > 2)]", "ItemProcessor": ONE}, []),
        (
            {
                "Type": "Map", "ItemsPath": "$.list", "ItemProcessor": ONE,
                "ItemSelector": {"at.$": "$$.Map.Item.Index", "it.$": "$$.Map.Item.Value", "all.$": "$.list"},
                "ResultSelector": {"first.$": "$[0]", "by.$": "$$.State.Name"},
            },
            {"first": {"at": 0, "it": 1, "all": [1, 2]}, "by": "Only"},
        ),
        (
            {
                "Type": "Map", "ItemsPath": "$.list", "ItemProcessor": DISTRIBUTED,
                "ItemBatcher": {"MaxItemsPerBatch": 1},
            },
            [{"Items": [1]}, {"Items": [2]}],
        ),
        ({"Type": "Parallel", "Branches": [ONE, OTHER], "ResultPath": "$.both", "OutputPath": "$.both[1].list[0]"}, 1),
    ],
)  # fmt: skip
def test_a_state_hands_on_what_it_says(machines: Machines, state: dict[str, Any], output: Any) -> None:
    assert machines.output(state, {"none": None, "list": [1, 2]}) == output


def test_variables_are_set_and_read_with_paths(machines: Machines) -> None:
    states = {
        "Set": {"Type": "Pass", "Assign": {"kept.$": "$.n", "fixed": {"a": [5]}}, "Next": "Change"},
        "Change": {"Type": "Pass", "Assign": {"kept.$": "States.MathAdd($kept, 1)"}, "Next": "Read"},
        "Read": {"Type": "Pass", "Parameters": {"k.$": "$kept", "f.$": "$fixed.a[0]"}, "End": True},
    }

    assert machines.output({"StartAt": "Set", "States": states}, {"n": 1}) == {"k": 2, "f": 5}


def test_branches_have_contexts_of_their_own(machines: Machines) -> None:
    def branch(name: str) -> dict[str, Any]:
        states = {
            name: {"Type": "Wait", "Seconds": 0, "Next": f"{name} next"},
            f"{name} next": {"Type": "Pass", "Parameters": {"state.$": "$$.State.Name"}, "End": True},
        }
        return {"StartAt": name, "States": states}

    names = [f"B{number}" for number in range(20)]
    found = machines.output({"Type": "Parallel", "Branches": [branch(name) for name in names]})

    assert [one["state"] for one in found] == [f"{name} next" for name in names]


def test_jsonata_shapes_what_parallel_and_succeed_hand_on(machines: Machines) -> None:
    states = {
        "Both": {
            "Type": "Parallel", "Branches": [ONE, OTHER],
            "Arguments": {"n": "{% $states.input.n + 1 %}"}, "Output": {"sum": "{% $sum($states.result.n) %}"},
            "Assign": {"count": "{% $count($states.result) %}"}, "Next": "Done",
        },
        "Done": {"Type": "Succeed", "Output": {"sum": "{% $states.input.sum %}", "count": "{% $count %}"}},
    }  # fmt: skip

    found = machines.output({"QueryLanguage": "JSONata", "StartAt": "Both", "States": states}, {"n": 1})

    assert found == {"sum": 4, "count": 2}


@pytest.mark.parametrize("names", [["States.ALL"], ["States.TaskFailed"], ["States.DataLimitExceeded"]])
def test_only_its_name_catches_a_result_that_is_too_large(machines: Machines, function: str, names: list[str]) -> None:
    states = {
        "Call": {
            "Type": "Task", "Resource": function, "Catch": [{"ErrorEquals": names, "Next": "Caught"}], "End": True,
            "ResultSelector": {"none": 1},
        },
        "Caught": {"Type": "Pass", "End": True},
    }  # fmt: skip

    ended = machines.run({"StartAt": "Call", "States": states}, {"times": 262_143})

    told = json.loads(ended["output"]) if ended["status"] == "SUCCEEDED" else {"Error": ended["error"]}
    assert ended["status"] == ("SUCCEEDED" if names == ["States.DataLimitExceeded"] else "FAILED")
    assert told["Error"] == "States.DataLimitExceeded"


def test_a_result_that_is_no_json_fails_the_task(machines: Machines, function: str) -> None:
    ended = machines.run({"Type": "Task", "Resource": function}, {"number": "nan"})

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert "The data is not JSON" in ended["cause"]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("{% 'yes' %}", "Expected 'boolean', but was 'string'"),
        ("{% $eval('true') %}", "Attempted to invoke a non-function"),
    ],
)
def test_jsonata_is_as_strict_as_on_aws(machines: Machines, expression: str, words: str) -> None:
    rule = {"Condition": expression, "Next": "End"}
    states = {"Ask": {"Type": "Choice", "Choices": [rule], "Default": "End"}, "End": {"Type": "Succeed"}}

    ended = machines.run({"QueryLanguage": "JSONata", "StartAt": "Ask", "States": states})

    assert ended["error"] == "States.QueryEvaluationError"
    assert words in ended["cause"]


def test_the_first_catcher_gets_error_and_cause(machines: Machines, function: str) -> None:
    states = {
        "Call": {
            "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
            "Parameters": {"FunctionName": function, "Payload": {"error": "MineError"}},
            "Catch": [
                {"ErrorEquals": ["OtherError"], "Next": "Other"},
                {"ErrorEquals": ["MineError", "States.Timeout"], "ResultPath": "$.told", "Next": "Mine"},
                {"ErrorEquals": ["States.ALL"], "Next": "Other"},
            ],
        },
        "Mine": {"Type": "Pass", "End": True},
        "Other": {"Type": "Fail"},
    }  # fmt: skip

    found = machines.output({"StartAt": "Call", "States": states}, {"n": 1})

    assert (found["n"], found["told"]["Error"]) == (1, "MineError")
    assert json.loads(found["told"]["Cause"])["errorMessage"] == "as it was asked for"


@pytest.mark.parametrize("limit", [{"TimeoutSeconds": 1}, {"TimeoutSecondsPath": "$.seconds"}])
def test_a_task_that_takes_too_long_is_caught(machines: Machines, function: str, limit: dict[str, Any]) -> None:
    states = {
        "Call": {
            "Type": "Task", "Resource": function, **limit, "Parameters": {"sleep": 3}, "End": True,
            "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Caught"}],
        },
        "Caught": {"Type": "Pass", "End": True},
    }  # fmt: skip

    found = machines.output({"StartAt": "Call", "States": states}, {"seconds": 1})

    assert found == {"Error": "States.Timeout", "Cause": ""}


@pytest.mark.parametrize("seconds", ["5", 0, -1, None, 1.5])
def test_a_path_to_no_timeout_fails_the_execution(machines: Machines, function: str, seconds: Any) -> None:
    state = {"Type": "Task", "Resource": function, "TimeoutSecondsPath": "$.seconds"}

    ended = machines.run(state, {"seconds": seconds})

    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert "TimeoutSecondsPath" in ended["cause"]


def test_a_branch_that_fails_stops_the_others(machines: Machines) -> None:
    slow = {"StartAt": "Slow", "States": {"Slow": {"Type": "Wait", "Seconds": 60, "End": True}}}
    fail = {"StartAt": "Bad", "States": {"Bad": {"Type": "Fail", "Error": "Mine", "Cause": "why"}}}
    states = {
        "Both": {
            "Type": "Parallel", "Branches": [slow, fail], "End": True,
            "Catch": [{"ErrorEquals": ["Mine"], "Next": "Caught"}],
        },
        "Caught": {"Type": "Pass", "End": True},
    }  # fmt: skip

    arn = machines.start({"StartAt": "Both", "States": states})

    assert json.loads(machines.ended(arn)["output"]) == {"Error": "Mine", "Cause": "why"}


def test_a_loop_within_a_branch_ends_with_the_history(machines: Machines) -> None:
    loop = {
        "StartAt": "Turn",
        "States": {
            "Turn": {
                "Type": "Choice", "Choices": [{"Variable": "$.n", "IsNumeric": True, "Next": "Back"}], "Default": "End",
            },
            "Back": {"Type": "Pass", "Next": "Turn"},
            "End": {"Type": "Succeed"},
        },
    }  # fmt: skip

    ended = machines.run({"Type": "Parallel", "Branches": [loop]}, {"n": 1})

    assert ended["error"] == "States.Runtime"
    assert "maximum number of history events (25000)" in ended["cause"]


def test_each_child_of_a_map_run_has_a_history_of_its_own(machines: Machines) -> None:
    child = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"},
        "StartAt": "Count",
        "States": {
            "Count": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, -1)"}, "Next": "Again"},
            "Again": {
                "Type": "Choice", "Choices": [{"Variable": "$.n", "NumericGreaterThan": 0, "Next": "Count"}],
                "Default": "End",
            },
            "End": {"Type": "Succeed"},
        },
    }  # fmt: skip

    given = [{"n": 2_500}] * 3  # 10,000 events each, of 25,000 at most

    assert machines.output({"Type": "Map", "ItemProcessor": child}, given) == [{"n": 0}] * 3
