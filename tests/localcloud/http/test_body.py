"""Request bodies are read up to a size limit, and refused when JSON is nested too deeply."""

import asyncio
import gzip
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.http.body import (
    MOST_BYTES,
    MOST_LEVELS,
    Body,
    BodyError,
    GoneError,
    check,
    check_form,
    check_json,
    check_key,
    check_nesting,
    decoded,
    most_bytes,
    read_body,
)

JSON = st.recursive(
    st.none() | st.text(max_size=20) | st.integers(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,  # to make larger values takes ten times longer than to check them
)


class Sender:
    """An ASGI `receive` of these parts; how many were taken."""

    def __init__(self, *parts: bytes, whole: bool = True) -> None:
        self.messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": part, "more_body": not whole or n < len(parts)}
            for n, part in enumerate(parts, 1)
        ]
        self.taken = 0

    async def __call__(self) -> dict[str, Any]:
        self.taken += 1
        return self.messages[self.taken - 1] if self.taken <= len(self.messages) else {"type": "http.disconnect"}


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_a_body_in_parts_is_whole_and_hashed(parts: list[bytes]) -> None:
    whole = b"".join(parts)

    assert asyncio.run(read_body(Sender(*parts), None, 100)) == Body(whole, hashlib.sha256(whole).hexdigest())


def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    sender = Sender(b"x" * 11)

    with pytest.raises(BodyError, match="has 11 bytes or more; the local cloud takes up to 10") as error:
        asyncio.run(read_body(sender, "11", 10))

    assert (error.value.status, sender.taken) == (413, 0)


def test_a_body_without_a_length_is_read_up_to_the_limit() -> None:
    sender = Sender(b"12345", b"67890", b"1", b"never read")

    with pytest.raises(BodyError, match="takes up to 10"):
        asyncio.run(read_body(sender, None, 10))

    assert sender.taken == 3


def test_a_client_that_goes_is_not_answered() -> None:
    with pytest.raises(GoneError):
        asyncio.run(read_body(Sender(b"part", whole=False), None, 10))


def test_a_body_is_given_on_once() -> None:
    async def twice() -> list[Any]:
        receive = Body(b"x", "").receive(Sender())
        return [await receive(), await receive()]

    first, second = asyncio.run(twice())

    assert first == {"type": "http.request", "body": b"x", "more_body": False}
    assert second == {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("service", "path", "most"),
    [("s3", "/bucket/key", 128), ("lambda", "/2015-03-31/functions", 70), ("sagemaker", "/", 8), ("", "/", 8)],
)
def test_the_limit_is_that_of_the_service(service: str, path: str, most: int) -> None:
    assert most_bytes(service, path) == most * 1024 * 1024


@given(JSON)
def test_json_of_few_levels_is_taken(value: Any) -> None:
    check_nesting(json.dumps([[value]] * 60).encode())


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_too_many_levels_are_refused(opening: bytes) -> None:
    with pytest.raises(BodyError, match="more than 100 levels"):
        check_nesting(opening * 100_000)


def test_brackets_in_text_are_no_levels() -> None:
    check_nesting(json.dumps({"text": '["\\"{' * 500}).encode())
    check_nesting(b"[]" * 5000)


def test_as_many_levels_as_are_allowed() -> None:
    check_nesting(b"[" * MOST_LEVELS + b"]" * MOST_LEVELS)


@given(st.dictionaries(st.text(max_size=20), JSON, max_size=6))
def test_each_json_object_of_unicode_text_is_taken(value: Any) -> None:
    check_json(json.dumps({f"a{key}.": inner for key, inner in value.items()}).encode())
    check_json(json.dumps({f"a{key}.": inner for key, inner in value.items()}, ensure_ascii=False).encode())


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b'{"Name": "\\ud83d\\ude00"}', b'{"Text": "a\\u0000\\n"}'])
def test_odd_bodies_that_a_service_can_read_are_taken(body: bytes) -> None:
    check_json(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "is not JSON in UTF-8: Expecting"),
        (b'{"a": "\xe9"}', "is not JSON in UTF-8: 'utf-8' codec"),
        ('{"a": 1}'.encode("utf-16"), "is not JSON in UTF-8"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b"[]", "no object"),
        (b"5", "no object"),
        (b'{"a": ["\\ud800"]}', "half of a surrogate pair"),
        (b'{"\\udfff": 1}', "half of a surrogate pair"),
        (b'{"QueueName": "a\\u0000"}', r"at 'QueueName' has a control character"),
        (b'{"name": "a\\u000a"}', r"at 'name' has a control character"),
    ],
)
def test_a_body_that_no_service_can_read_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(BodyError, match=said):
        check_json(body)


@pytest.mark.parametrize("value", ["%00", "%ED%A0%80", "%E9", "%EF%BF%BF", "%0B"])
def test_a_value_that_xml_cannot_hold_is_refused(value: str) -> None:
    check_form(b"Action=CreateRole&RoleName=a%C3%A9%0A%09b")
    with pytest.raises(BodyError, match="'RoleName' is no text that XML can hold"):
        check_form(f"Action=CreateRole&RoleName=a{value}b".encode())


def test_a_document_in_a_form_is_not_nested_too_deep() -> None:
    check_form(b"TemplateBody=a: '" + b"[" * 500 + b"'")
    with pytest.raises(BodyError, match="more than 100 levels"):
        check_form(b"Action=CreateRole&AssumeRolePolicyDocument=" + b'{"a":' * 200)


def test_a_key_is_utf_8_of_at_most_1024_bytes() -> None:
    check_key(b"/bucket/" + b"%C3%A9" * 512)
    with pytest.raises(BodyError, match="Your key is too long"):
        check_key(b"/bucket/" + b"%C3%A9" * 513)
    with pytest.raises(BodyError, match="parse the specified URI"):
        check_key(b"/bucket/%ED%A0%80")


@pytest.mark.parametrize(
    ("form", "service", "path"),
    [
        ("json", "sqs", "/"),
        ("rest-json", "lambda", "/2015-03-31/functions/a/invocations"),
        ("rest-json", "scheduler", "/"),
    ],
)
def test_each_json_protocol_has_a_limit_of_levels(form: str, service: str, path: str) -> None:
    with pytest.raises(BodyError, match="more than 100 levels"):
        check(form, service, path, b"/", b"[" * 100_000)


def test_what_a_container_is_sent_is_not_looked_at() -> None:
    check("rest-json", "sagemaker", "/endpoints/a/invocations", b"/", b"[" * 100_000)


def test_metrics_that_a_client_compressed_are_unpacked() -> None:
    assert decoded({"content-encoding": "gzip"}, "monitoring", gzip.compress(b"{}")) == b"{}"
    assert decoded({}, "monitoring", b"{}") == b"{}"


@pytest.mark.parametrize("service", ["s3", "sagemaker", "lambda"])
def test_what_another_service_is_sent_stays_as_it_is(service: str) -> None:
    packed = gzip.compress(b"{}")

    assert decoded({"content-encoding": "gzip", "content-type": "application/cbor"}, service, packed) == packed


@pytest.mark.parametrize(
    ("headers", "data", "status", "said"),
    [
        ({"content-encoding": "gzip"}, gzip.compress(bytes(MOST_BYTES + 1)), 413, "takes up to 8388608"),
        ({"content-encoding": "gzip"}, b"{}", 400, "no gzip"),
        ({"content-encoding": "gzip"}, gzip.compress(b"{}")[:-1], 400, "cut off"),
        ({"content-encoding": "gzip"}, gzip.compress(b"{}") * 2, 400, "more than one"),
        ({"content-encoding": "br"}, b"{}", 415, "must be gzip"),
        ({"content-type": "application/cbor"}, b"\xa0", 415, "no CBOR"),
        ({"smithy-protocol": "rpc-v2-cbor"}, b"\xa0", 415, "no CBOR"),
    ],
)
def test_metrics_that_cannot_be_read_are_refused(headers: dict[str, str], data: bytes, status: int, said: str) -> None:
    with pytest.raises(BodyError, match=said) as error:
        decoded(headers, "monitoring", data)

    assert error.value.status == status
