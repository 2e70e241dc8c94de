"""Functions are given, and answer, what fits; they have variables and time as Lambda allows."""

import json
import zipfile
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ministack import function_limits
from tests.localcloud.conftest import RunningCloud

ROLE = "arn:aws:iam::000000000000:role/limits"
CODE = """
import time
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    return "x" * event.get("size", 1)
"""


def given(**more: Any) -> dict[str, Any]:
    """A request to create a function."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code.py", CODE)
    code = {"ZipFile": archive.getvalue()}
    return {"Runtime": "python3.11", "Handler": "code.handler", "Role": ROLE, "Code": code, **more}


@pytest.fixture(scope="module")
def function(cloud: RunningCloud) -> str:
    """A function that sleeps and answers as long as it is asked for."""
    cloud.client("lambda").create_function(FunctionName="limited", Timeout=60, **given())
    return "limited"


@pytest.fixture(scope="module")
def hurried(cloud: RunningCloud) -> str:
    """The same with a second to do it."""
    cloud.client("lambda").create_function(FunctionName="hurried", Timeout=1, **given())
    return "hurried"


@pytest.mark.parametrize(
    ("body", "kind", "refusal"),
    [
        (b"", "", None),
        (b'"' + b"x" * 6_291_454 + b'"', "RequestResponse", None),
        (b'"' + b"x" * 6_291_455 + b'"', "RequestResponse", "Request must be smaller than 6291456 bytes"),
        (b'"' + b"x" * 1_048_574 + b'"', "Event", None),
        (b'"' + b"x" * 1_048_575 + b'"', "Event", "1048577 byte payload is too large for the Event invocation type"),
        (b"{", "", "Could not parse request body into json"),
        (b"\xff", "", "Could not parse request body into json"),
    ],
)
def test_a_payload_fits_or_is_refused(body: bytes, kind: str, refusal: str | None) -> None:
    found = function_limits.refused_invocation(body, kind)

    assert (found is None) == (refusal is None)
    assert found is None or str(refusal) in found[1]


@pytest.mark.parametrize("answer", ["x" * 6_291_554, {"é": "x"}, None, 5])
def test_an_answer_that_fits_is_given(answer: Any) -> None:
    result = {"body": answer, "log": ""}

    assert function_limits.checked_result(result) is result


@pytest.mark.parametrize("answer", ["x" * 6_291_555, ["é" * 3_145_777]])
def test_an_answer_that_is_too_large_is_an_error(answer: Any) -> None:
    result = function_limits.checked_result({"body": answer, "log": "said"})

    assert (result["error"], result["log"]) == (True, "said")
    assert result["body"]["errorType"] == "Function.ResponseSizeTooLarge"


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"Timeout": 900, "Environment": {"Variables": {"OK": "x" * 4_087}}}, None),
        ({"Environment": {"Variables": {"OK": "x" * 4_088}}}, "exceeded the 4KB limit. String measured: "),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "Reserved keys used in this request: AWS_REGION"),
        ({"Environment": {"Variables": {"1a": "x"}}}, "Member must satisfy regular expression pattern"),
        ({"Timeout": 901}, "Member must have value less than or equal to 900"),
        ({"Environment": {}}, None),
    ],
)
def test_a_configuration_is_taken_or_refused(config: dict[str, Any], problem: str | None) -> None:
    found = function_limits.refused_configuration(config)

    assert (found is None) == (problem is None)
    assert found is None or str(problem) in found[1]


def test_lambda_refuses_what_does_not_fit(cloud: RunningCloud, function: str) -> None:
    client = cloud.client("lambda")
    large = {"Environment": {"Variables": {"LARGE": "x" * 5_000}}}
    codes = []
    for call in (
        lambda: client.invoke(FunctionName=function, Payload=b"no JSON"),
        lambda: client.invoke(FunctionName=function, InvocationType="Event", Payload=b'"' + b"x" * 1_048_576 + b'"'),
        lambda: client.create_function(FunctionName="never", **given(**large)),
        lambda: client.update_function_configuration(FunctionName=function, **large),
    ):
        with pytest.raises(ClientError) as error:
            call()
        codes.append(error.value.response["Error"]["Code"])

    assert codes == [
        "InvalidRequestContentException",
        "RequestEntityTooLargeException",
        "InvalidParameterValueException",
        "InvalidParameterValueException",
    ]


@pytest.mark.parametrize(
    ("name", "event", "kind"),
    [
        ("limited", {"size": 6_291_555}, "Function.ResponseSizeTooLarge"),
        ("hurried", {"sleep": 30}, "Sandbox.Timedout"),
    ],
)
@pytest.mark.usefixtures("function", "hurried")
def test_an_invocation_beyond_a_limit_is_an_error(
    cloud: RunningCloud, name: str, event: dict[str, Any], kind: str
) -> None:
    answer = cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))

    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.loads(answer["Payload"].read())["errorType"] == kind


def test_a_stack_with_too_many_variables_fails(cloud: RunningCloud) -> None:
    stacks = cloud.client("cloudformation")
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.11", "Handler": "index.handler", "Role": ROLE, "Code": {"ZipFile": "handler = print"},
            "Environment": {"Variables": {"LARGE": "x" * 5_000}},
        },
    }  # fmt: skip
    stacks.create_stack(StackName="variables", TemplateBody=json.dumps({"Resources": {"Function": function}}))
    with pytest.raises(Exception, match=r"failed|ROLLBACK"):
        stacks.get_waiter("stack_create_complete").wait(StackName="variables", WaiterConfig={"Delay": 1})

    events = stacks.describe_stack_events(StackName="variables")["StackEvents"]
    assert any("exceeded the 4KB limit" in event.get("ResourceStatusReason", "") for event in events)
