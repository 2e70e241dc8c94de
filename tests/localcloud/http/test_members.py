"""Requests to the services around SageMaker are checked by botocore's models."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from localcloud.http.body import BodyError
from localcloud.http.members import check_members
from localcloud.http.signature import Request
from tests.localcloud.conftest import RunningCloud


def _json(target: str, document: dict[str, Any]) -> bytes:
    request = Request("POST", "/", "", {"x-amz-target": target})
    return check_members("json", "", request, document, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("target", "document", "code", "message"),
    [
        ("AWSStepFunctions.DescribeExecution", {"executionArn": []}, "SerializationException", "'executionArn'"),
        ("AWSStepFunctions.ListStateMachines", {"maxResults": "s3://"}, "SerializationException", "'maxResults'"),
        ("AWSStepFunctions.ListStateMachines", {"maxResults": True}, "SerializationException", "'maxResults'"),
        ("AWSStepFunctions.ListStateMachines", {"maxResults": -1}, "ValidationException", "equal to 0"),
        ("AWSStepFunctions.ListStateMachines", {"maxResults": 2**31}, "SerializationException", "'maxResults'"),
        (
            "AWSStepFunctions.TagResource",
            {"resourceArn": "arn:aws:states:x", "tags": [{"value": "b"}]},
            "ValidationException",
            "Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be null",
        ),
        ("AWSEvents.PutRule", {"Name": "a", "Tags": [None]}, "ValidationException", "'tags.1.member'"),
        ("AWSEvents.PutEvents", {"Entries": ["a"]}, "SerializationException", "'entries.1.member'"),
        ("Logs_20140328.DescribeLogGroups", {"limit": 0}, "InvalidParameterException", "equal to 1"),
        ("Logs_20140328.CreateLogGroup", {}, "InvalidParameterException", "'logGroupName'"),
        ("Logs_20140328.TagLogGroup", {"logGroupName": "a", "tags": {"a": 1}}, "SerializationException", "'tags.a"),
        ("AmazonSQS.ReceiveMessage", {"QueueUrl": 1}, "SerializationException", "'queueUrl'"),
        (
            "GraniteServiceVersion20100801.DescribeAlarmHistory",
            {"EndDate": "1e400"},
            "SerializationException",
            "'endDate'",
        ),
    ],
)
def test_a_member_of_another_type_is_refused(target: str, document: dict[str, Any], code: str, message: str) -> None:
    with pytest.raises(BodyError, match=message) as error:
        _json(target, document)

    assert (error.value.code, error.value.status) == (code, 400)


@pytest.mark.parametrize(
    ("target", "document"),
    [
        ("AWSEvents.PutEvents", {"Entries": [{"Time": "2026-11-26T10:00:00Z", "Detail": "{}"}, {"Time": 1.5e9}]}),
        ("GraniteServiceVersion20100801.PutMetricData", {"Namespace": "a", "MetricData": [ {
            "MetricName": "b", "Value": "NaN", "Timestamp": 1.7e9, "Dimensions": [{"Name": "c", "Value": "d"}]}]}),
        ("AmazonSQS.SendMessage", {"QueueUrl": "http://127.0.0.1/0/a", "MessageBody": "b", "DelaySeconds": 0}),
        ("AWSStepFunctions.NoSuchOperation", {"a": []}),
        ("Unknown.Operation", {"a": []}),
    ],
)  # fmt: skip
def test_what_clients_send_passes_as_it_is(target: str, document: dict[str, Any]) -> None:
    assert json.loads(_json(target, dict(document))) == document


def test_a_member_that_is_null_counts_as_not_given() -> None:
    sent = {"logGroupName": "a", "limit": None, "filterPattern": None}

    assert json.loads(_json("Logs_20140328.DescribeSubscriptionFilters", sent)) == {"logGroupName": "a"}


@pytest.mark.parametrize(
    ("service", "form", "refused"),
    [
        ("sts", {"Action": "GetSessionToken", "DurationSeconds": "<a>"}, "'<a>' at 'DurationSeconds'"),
        ("iam", {"Action": "UpdateRole", "RoleName": "a", "MaxSessionDuration": "1e400"}, "'1e400'"),
        ("iam", {"Action": "ListRoles", "MaxItems": "0"}, "equal to 1"),
        ("monitoring", {"Action": "PutMetricAlarm", "Period": "³"}, "'Period'"),
        ("monitoring", {"Action": "PutMetricData", "MetricData.member.1.StorageResolution": "x"}, "StorageResolution"),
    ],
)
def test_a_form_with_a_number_that_is_none_is_refused(service: str, form: dict[str, str], refused: str) -> None:
    with pytest.raises(BodyError, match=refused):
        check_members("query", service, Request("POST", "/", "", {}), None, urlencode(form).encode())


@pytest.mark.parametrize(
    "form",
    [
        {"Action": "GetSessionToken", "DurationSeconds": "900", "Version": "2011-06-15"},
        {"Action": "NoSuch", "DurationSeconds": "a"},
        {"DurationSeconds": "a"},
        {"Action": "AssumeRole", "Tags.member.1.Key": "a", "Tags.member.1.Value.more": "b", "...": ""},
    ],
)
def test_a_form_without_such_a_number_passes(form: dict[str, str]) -> None:
    data = urlencode(form).encode()

    assert check_members("query", "sts", Request("POST", "/", "", {}), None, data) == data


@pytest.mark.parametrize(
    ("service", "method", "path", "query", "body", "refused"),
    [
        ("lambda", "GET", "/2018-10-31/layers", "MaxItems=rate", "", "'rate' at 'MaxItems'"),
        ("lambda", "GET", "/2015-03-31/functions/", "MaxItems=0", "", "equal to 1"),
        ("scheduler", "GET", "/schedules", "MaxResults=%5B%5D", "", "'\\[\\]' at 'MaxResults'"),
        ("scheduler", "POST", "/tags/arn%3Aaws%2Fa", "", '{"Tags": 1}', "Expected list at 'tags'"),
        (
            "lambda",
            "PUT",
            "/2019-09-25/functions/a/event-invoke-config",
            "",
            '{"DestinationConfig": {"OnFailure": "a"}}',
            "Expected structure at 'destinationConfig.onFailure'",
        ),
        ("lambda", "POST", "/2018-10-31/layers/a/versions", "", "{", "not JSON"),
    ],
)
def test_a_rest_request_with_a_wrong_type_is_refused(
    service: str, method: str, path: str, query: str, body: str, refused: str
) -> None:
    with pytest.raises(BodyError, match=refused):
        check_members("rest-json", service, Request(method, path, query, {}), None, body.encode())


@pytest.mark.parametrize(
    "query", ["max-keys=abc", "list-type=2&max-keys=-1", "versions&max-keys=", "uploads&max-uploads=9999999999"]
)
def test_a_list_of_objects_with_a_number_that_is_none_is_refused(query: str) -> None:
    with pytest.raises(BodyError, match="must be an integer between 0 and 2147483647") as error:
        check_members("s3", "s3", Request("GET", "/bucket", query, {}), None, b"")

    assert error.value.code == "InvalidArgument"


def test_a_range_of_thousands_of_digits_is_not_satisfiable() -> None:
    with pytest.raises(BodyError, match="not satisfiable") as error:
        check_members("s3", "s3", Request("GET", "/b/k", "", {"range": f"bytes=0-{'9' * 5000}"}), None, b"")

    assert (error.value.code, error.value.status) == ("InvalidRange", 416)


def test_the_payload_of_an_invocation_is_the_functions_own() -> None:
    request = Request("POST", "/2015-03-31/functions/a/invocations", "", {})

    assert check_members("rest-json", "lambda", request, None, b"no JSON") == b"no JSON"


def test_the_port_refuses_a_number_where_a_name_belongs(cloud: RunningCloud) -> None:
    answer = cloud.ask(
        "POST", "/", b'{"name": 5}', **{"x-amz-target": "AWSStepFunctions.CreateStateMachine",
                                        "content-type": "application/x-amz-json-1.0"},
    )  # fmt: skip

    assert (answer.status_code, answer.json()["__type"]) == (400, "SerializationException")
