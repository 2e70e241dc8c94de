"""What the port refuses whoever asks: web pages, other hosts, links that act, the emulator's own pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.http.guard import answers_stack, refusal

HERE = {"host": "127.0.0.1:4747"}


@given(st.lists(st.booleans(), min_size=6, max_size=6), st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]))
def test_an_action_is_seen_however_it_is_encoded(encoded: list[bool], method: str) -> None:
    name = "".join(f"%{ord(c):02X}" if hide else c for c, hide in zip("Action", encoded, strict=True))

    assert "POST only" in str(refusal(method, "/", f"Version=1&{name}=CreateStack", HERE))


def test_an_action_by_post_is_served() -> None:
    assert refusal("POST", "/", "Action=CreateStack", HERE) is None


def test_a_key_or_a_value_that_is_called_action_is_served() -> None:
    assert refusal("GET", "/bucket/Action", "prefix=Action%3D1&list-type=2", HERE) is None


@pytest.mark.parametrize("header", ["origin", "referer", "sec-fetch-site"])
def test_web_pages_are_refused(header: str) -> None:
    assert f"the header '{header}'" in str(refusal("GET", "/", "", {**HERE, header: "x"}))


@pytest.mark.parametrize("host", ["", "evil.example.com", "127.0.0.1.evil.com", "localhost.evil.com:4747"])
def test_other_hosts_are_refused(host: str) -> None:
    assert "127.0.0.1 only" in str(refusal("GET", "/", "", {"host": host}))


@pytest.mark.parametrize("host", ["localhost", "localhost:4747", "bucket.localhost:4747", "[::1]:4747"])
def test_names_of_this_machine_are_served(host: str) -> None:
    assert refusal("GET", "/", "", {"host": host}) is None


@pytest.mark.parametrize("path", ["/_ministack/reset", "/_ministack/health", "/_localstack/health", "/_ministack"])
def test_the_emulators_own_pages_are_closed(path: str) -> None:
    assert "is closed" in str(refusal("POST", path, "", HERE))


def test_a_custom_resource_may_answer_its_stack() -> None:
    path = "/_ministack/cfn-response/0123456789abcdef0123"

    assert (answers_stack("PUT", path), refusal("PUT", path, "", HERE)) == (True, None)
    assert (answers_stack("GET", path), answers_stack("PUT", "/_ministack/cfn-response/1")) == (False, False)
