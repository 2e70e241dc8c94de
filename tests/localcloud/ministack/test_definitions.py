"""Definitions of state machines are refused for what Step Functions refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ministack.definitions import MOST_CHARACTERS, problems
from tests.localcloud.conftest import RunningCloud

ROLE = "arn:aws:iam::000000000000:role/states"
PASS = {"Type": "Pass", "End": True}
RETRY = {"ErrorEquals": ["States.ALL"]}
TASK = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:f", "End": True}

INNER = {"StartAt": "b", "States": {"b": PASS}}
MAP = {"Type": "Map", "ItemProcessor": INNER, "End": True}


def machine(**states: Any) -> str:
    """A definition that starts at the first of these states."""
    return json.dumps({"StartAt": next(iter(states)), "States": states})


def choice(**rule: Any) -> str:
    return machine(a={"Type": "Choice", "Choices": [{"Next": "b", **rule}]}, b=PASS)


def written(definition: str) -> str:
    return ", ".join(map(str, problems(definition)))


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ("", "MISSING_DESCRIPTION: The definition is empty"),
        ("[" * 100_000, "INVALID_JSON_DESCRIPTION: The definition is nested too deep"),
        ('{"StartAt":', "INVALID_JSON_DESCRIPTION: The definition is not JSON: Expecting value"),
        ('{"Comment": NaN}', "INVALID_JSON_DESCRIPTION: The definition is not JSON: NaN is no number"),
        ('{"Comment": 1e400}', "INVALID_JSON_DESCRIPTION: The definition is not JSON"),
        ('{"Comment": "\\ud800"}', "INVALID_JSON_DESCRIPTION: The definition is not JSON"),
        ('{"StartAt": "a", "StartAt": "a"}', "INVALID_JSON_DESCRIPTION: The field 'StartAt' is there twice"),
        (f'"{"x" * MOST_CHARACTERS}"', f"longer than {MOST_CHARACTERS} characters"),
        ("[]", "SCHEMA_VALIDATION_FAILED: Expected an object at /"),
        ('{"StartAt": "a", "States": {}}', "at least one state at /States"),
        ('{"States": {"a": {"Type": "Succeed"}}}', "'StartAt' must be the name of a state at /StartAt"),
        (machine(a={"Type": "Pas"}), "'Type' must be one of Pass, Task,"),
        (machine(a={"Type": []}), "at /States/a/Type"),
        (machine(a={**PASS, "Nxt": "b"}), "Field is not supported at /States/a/Nxt"),
        (machine(a={"Type": "Pass"}), "either Next or End: true at /States/a"),
        (machine(a={**PASS, "Next": "a"}), "either Next or End: true at /States/a"),
        (machine(a={"Type": "Pass", "Next": "z"}), "_TRANSITION_TARGET: Missing 'Next' target: z at /States/a/Next"),
        (machine(a=PASS, b=PASS), 'MISSING_TRANSITION_TARGET: State "b" is not reachable. at /States/b'),
        (machine(a={"Type": "Pass", "Next": "a"}), "MISSING_END_STATE: Workflow has no terminal state"),
        (machine(**{"a" * 81: PASS}), "INVALID_STATE_NAME"),
        (machine(a={"Type": "Wait", "Seconds": -1, "End": True}), "'Seconds' must be a number of at least 0"),
        (machine(a={"Type": "Wait", "Seconds": True, "End": True}), "'Seconds' must be a number"),
        (machine(a={"Type": "Wait", "End": True}), "exactly one of Seconds, SecondsPath"),
        (machine(a={"Type": "Wait", "SecondsPath": "t", "End": True}), "'SecondsPath' must be a valid JSONPath"),
        (machine(a={**TASK, "Resource": 5}), "'Resource' must be the ARN of a task"),
        (machine(a={**TASK, "Retry": RETRY}), "'Retry' must be a list at /States/a/Retry"),
        (machine(a={**TASK, "Retry": [{"ErrorEquals": "States.ALL"}]}), "at /States/a/Retry[0]/ErrorEquals"),
        (machine(a={**TASK, "Retry": [{**RETRY, "BackoffRate": 0.5}]}), "'BackoffRate' must be a number of at least 1"),
        (machine(a={**TASK, "Catch": [RETRY]}), "'Next' must be the name of a state at /States/a/Catch[0]/Next"),
        (machine(a={**TASK, "TimeoutSeconds": 0}), "'TimeoutSeconds' must be a number of at least 1"),
        (machine(a={**PASS, "Parameters": {"x": [{"y.$": 5}]}}), "'y.$' must be a valid JSONPath or a valid intrinsic"),
        (machine(a={**PASS, "InputPath": "a"}), "'InputPath' must be a valid JSONPath"),
        (machine(a={"Type": "Choice", "Choices": []}), "at least one rule at /States/a/Choices"),
        (choice(Variable="$.a"), "exactly one comparison operator at /States/a/Choices[0]"),
        (choice(Variable="$.a", NumericEquals="5"), "'NumericEquals' is of another type"),
        (choice(Variable="$.a", BooleanEquals=1), "'BooleanEquals' is of another type"),
        (choice(Not={"Variable": "a", "IsNull": True}), "a valid JSONPath at /States/a/Choices[0]/Not/Variable"),
        (machine(a={**TASK, "Resource": "lambda"}), "Value is not a valid resource ARN at /States/a/Resource"),
        (machine(a={**TASK, "Resource": "arn:aws:s3:::b"}), "Value is not a valid resource ARN at /States/a/Resource"),
        (machine(a={**TASK, "Catch": [{**RETRY, "Next": "a", "If": 1}]}), "not supported at /States/a/Catch[0]/If"),
        (machine(a={**TASK, "Retry": [RETRY, {"ErrorEquals": ["E"]}]}), "'States.ALL' must be alone in ErrorEquals"),
        (machine(a={**TASK, "Retry": [{"ErrorEquals": ["E", "States.ALL"]}]}), "'States.ALL' must be alone"),
        (machine(a={**TASK, "Retry": [{**RETRY, "JitterStrategy": "HALF"}]}), "'JitterStrategy' must be one of FULL"),
        (
            machine(a={**TASK, "TimeoutSeconds": 5, "TimeoutSecondsPath": "$.t"}),
            "There should only be one of the following fields: [TimeoutSeconds, TimeoutSecondsPath]",
        ),
        (machine(a={**TASK, "TimeoutSeconds": 5, "HeartbeatSeconds": 5}), "'HeartbeatSeconds' must be smaller"),
        (machine(a={"Type": "Wait", "Timestamp": "tomorrow", "End": True}), "'Timestamp' must be an ISO-8601"),
        (machine(a={"Type": "Fail", "CausePath": "States.Gone()"}), "'CausePath' must be a valid JSONPath or a valid"),
        (machine(a={**PASS, "Parameters": {"x.$": "States.Gone()"}}), "'x.$' must be a valid JSONPath or a valid"),
        (machine(a={**PASS, "Parameters": {"x.$": "States.UUID(1)"}}), "'x.$' must be a valid JSONPath or a valid"),
        (
            machine(a={**PASS, "Output": {}}),
            "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' Query",
        ),
        (
            machine(a={**PASS, "QueryLanguage": "JSONata", "InputPath": "$"}),
            "The QueryLanguage is set to 'JSONata', but field 'InputPath' is only supported for the 'JSONPath' Query",
        ),
        (choice(Condition="{% true %}"), "field 'Condition' is only supported for the 'JSONata'"),
        (machine(a={**PASS, "QueryLanguage": "SQL"}), "'QueryLanguage' must be one of JSONPath, JSONata"),
        (
            json.dumps({"QueryLanguage": "JSONata", **json.loads(machine(a={**PASS, "QueryLanguage": "JSONPath"}))}),
            "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata'",
        ),
        (
            machine(a={"Type": "Parallel", "Branches": [INNER, INNER], "End": True}),
            "DUPLICATE_STATE_NAME: Duplicate State name: b at /States/a/Branches[1]/States/b",
        ),
        (machine(a={**MAP, "ItemBatcher": {}}), "'ItemBatcher' is only supported in Distributed mode"),
        (machine(a={**MAP, "ToleratedFailurePercentage": 101}), "must be between 0 and 100"),
        (machine(a={**MAP, "ItemProcessor": {**INNER, "ProcessorConfig": {"Mode": "X"}}}), "'Mode' must be one of"),
        (machine(a={"Type": "Parallel", "Branches": [], "End": True}), "at least one branch"),
        (machine(a={"Type": "Parallel", "Branches": ["b"], "End": True}), "an object at /States/a/Branches[0]"),
        (machine(a={"Type": "Map", "End": True}), "A Map state must have the field 'ItemProcessor'"),
        (
            machine(a={"Type": "Map", "End": True, "ItemProcessor": {"StartAt": "b", "States": {"b": {}}}}),
            "at /States/a/ItemProcessor/States/b/Type",
        ),
    ],
)  # fmt: skip
def test_a_definition_that_could_not_run_is_refused(definition: str, problem: str) -> None:
    assert problem in written(definition)


@pytest.mark.parametrize(
    "definition",
    [
        machine(a=PASS),
        machine(a={"Type": "Pass", "Next": "b"}, b={"Type": "Fail", "Error": "e"}),
        machine(a={**PASS, "InputPath": None, "ResultPath": None, "Parameters": {"x.$": "States.UUID()"}}),
        machine(a={**PASS, "Parameters": {"x": [{"y.$": "$$.Execution.Id"}]}}),
        machine(a={"Type": "Wait", "Seconds": "{% $n %}", "QueryLanguage": "JSONata", "End": True}),
        machine(a={**TASK, "Retry": [{**RETRY, "MaxAttempts": 0, "BackoffRate": 1.5, "JitterStrategy": "FULL"}]}),
        machine(a={**TASK, "Catch": [{**RETRY, "Next": "b", "ResultPath": "$.e"}]}, b={"Type": "Succeed"}),
        choice(And=[{"Variable": "$.a", "IsPresent": True}, {"Variable": "$.a", "StringEqualsPath": "$.b"}]),
        choice(Variable="$.a", NumericGreaterThan=0.5),
        json.dumps({"QueryLanguage": "JSONata", **json.loads(choice(Condition="{% $a > 5 %}"))}),
        machine(a={**TASK, "Retry": [{"ErrorEquals": ["E"]}, RETRY], "TimeoutSeconds": 9, "HeartbeatSeconds": 3}),
        machine(a={"Type": "Fail", "ErrorPath": "$.e", "CausePath": "States.Format('{}', $.e)"}),
        machine(a={**PASS, "Assign": {"x.$": "$.a"}, "Parameters": {"y.$": "$x"}}),
        machine(a={**MAP, "MaxConcurrencyPath": "$.n"}),
    ],
)  # fmt: skip
def test_a_definition_that_may_run_passes(definition: str) -> None:
    assert written(definition) == ""


@pytest.mark.parametrize("name", ["bulk.asl.json", "inference.asl.json"])
def test_the_machines_that_ship_pass(name: str) -> None:
    assert written((Path(__file__).parents[3] / "workflow" / name).read_text(encoding="utf-8")) == ""


@pytest.mark.parametrize(
    ("state", "problem"),
    [
        (
            {**TASK, "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken"},
            "Express state machine does not support '.waitForTaskToken' service integration at /States/a/Resource",
        ),
        (
            {**TASK, "Resource": "arn:aws:states:::states:startExecution.sync:2"},
            "Express state machine does not support '.sync' service integration at /States/a/Resource",
        ),
        (
            {**TASK, "Resource": "arn:aws:states:us-east-1:000000000000:activity:a"},
            "Express state machine does not support Activity ARN at /States/a/Resource",
        ),
        (
            {**MAP, "ItemProcessor": {**INNER, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}}},
            "Express state machine does not support Map state in Distributed mode",
        ),
    ],
)
def test_express_machines_lack_what_waits(state: dict[str, Any], problem: str) -> None:
    assert problem in ", ".join(map(str, problems(machine(a=state), "EXPRESS")))
    assert written(machine(a=state)) == ""


def test_creation_change_and_validation_refuse_the_same(cloud: RunningCloud) -> None:
    states, bad = cloud.client("stepfunctions"), machine(a={"Type": "Pass", "Next": "z"})
    arn = states.create_state_machine(name="defined", definition=machine(a=PASS), roleArn=ROLE)["stateMachineArn"]

    for ask in (
        lambda: states.create_state_machine(name="undefined", definition=bad, roleArn=ROLE),
        lambda: states.update_state_machine(stateMachineArn=arn, definition=bad),
    ):
        with pytest.raises(
            ClientError, match=r"InvalidDefinition.*MISSING_TRANSITION_TARGET: Missing 'Next' target: z"
        ):
            ask()
    found = states.validate_state_machine_definition(definition=bad)

    assert (found["result"], found["diagnostics"][0]["code"]) == ("FAIL", "MISSING_TRANSITION_TARGET")
    assert states.describe_state_machine(stateMachineArn=arn)["definition"] == machine(a=PASS)


def test_a_stack_with_such_a_machine_fails_and_says_why(cloud: RunningCloud) -> None:
    stacks = cloud.client("cloudformation")
    machine_type = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": ROLE, "StateMachineName": "stacked", "DefinitionString": machine(a={"Type": "Pass"})},
    }
    stacks.create_stack(StackName="machines", TemplateBody=json.dumps({"Resources": {"Machine": machine_type}}))
    with pytest.raises(Exception, match=r"failed|ROLLBACK"):
        stacks.get_waiter("stack_create_complete").wait(StackName="machines", WaiterConfig={"Delay": 1})

    reasons = [
        e.get("ResourceStatusReason", "") for e in stacks.describe_stack_events(StackName="machines")["StackEvents"]
    ]

    assert any("either Next or End: true at /States/a" in reason for reason in reasons), reasons
    names = [m["name"] for m in cloud.client("stepfunctions").list_state_machines()["stateMachines"]]
    assert "stacked" not in names
