"""Request bodies are read up to a size limit, and refused when JSON is nested too deeply."""

import asyncio
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.http.body import MOST_LEVELS, Body, BodyError, GoneError, check_nesting, most_bytes, read_body

JSON = st.recursive(
    st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
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
