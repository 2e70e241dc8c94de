"""Requests of AWS JSON: which go straight to their service, and what is answered."""

import asyncio
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from localcloud.ministack import json_requests
from localcloud.settings import DiskError

HEADERS = {
    "host": "127.0.0.1:4600", "x-amz-target": "Known.Do", "content-type": "application/x-amz-json-1.0",
    "authorization": "AWS4-HMAC-SHA256 Credential=000000000000/20261126/eu-west-1/known/aws4_request, Signature=0",
}  # fmt: skip


class Main:
    """MiniStack's modules, as far as they are used; `asked` is what reached the service, or the whole application."""

    def __init__(self, auth: bool = False) -> None:
        self.asked: list[Any] = []
        self.error: BaseException | None = None
        main, router, responses = ModuleType("main"), ModuleType("router"), ModuleType("responses")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            self.asked.append("the application")

        async def handle(*request: Any) -> Any:
            self.asked.append(request)
            if self.error:
                raise self.error
            return 200, {"Content-Type": "application/json"}, b"{}"

        vars(main).update(
            app=app, AUTH=auth, SERVICE_HANDLERS={"known": handle}, _send_streaming_response=None,
        )  # fmt: skip
        vars(router).update(SERVICE_PATTERNS={"known": {"target_prefixes": ["Known."]}, "other": {}})
        scope = {}
        vars(responses).update(
            expected_success_content_type=lambda service, given: "application/x-amz-json-1.0",
            expected_error_content_type=lambda service, given: None,
            set_request_account_id=lambda key: scope.update(account=key),
            set_request_region=lambda region: scope.update(region=region),
            StreamingResponse=SimpleNamespace,
        )
        self.scope: dict[str, str] = scope
        self._app = json_requests.install(main, {"core.router": router, "core.responses": responses})

    def answer(self, headers: dict[str, str] | None = None, **members: Any) -> Any:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b'{"a": 1}', "more_body": False}

        async def send(answer: Any) -> None:
            sent.append(answer)

        listed = [(name.encode(), value.encode()) for name, value in {**HEADERS, **(headers or {})}.items()]
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": listed, **members}

        async def ask() -> None:
            await self._app(scope, receive, send)

        asyncio.run(ask())
        if not sent:
            return None
        start, body = sent
        assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
        return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body["body"]


def test_a_request_is_answered_by_its_service() -> None:
    main = Main()

    status, headers, body = main.answer()

    assert (status, body) == (200, b"{}")
    assert headers["content-type"] == "application/x-amz-json-1.0"
    assert headers["content-length"] == "2"
    assert len(headers["x-amzn-requestid"]) == 36
    [(method, path, given, data, query)] = main.asked
    assert (method, path, data, query) == ("POST", "/", b'{"a": 1}', {})
    assert given["x-amz-target"] == "Known.Do"
    assert main.scope == {"account": "000000000000", "region": "eu-west-1"}


@pytest.mark.parametrize(
    ("headers", "members"),
    [
        ({}, {"path": "/bucket"}), ({}, {"method": "GET"}), ({}, {"query_string": b"a=b"}),
        ({"x-amz-target": "Unknown.Do"}, {}), ({"host": "bucket.localhost:4600"}, {}),
        ({"content-encoding": "gzip"}, {}), ({"authorization": "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d"}, {}),
    ],
)  # fmt: skip
def test_other_requests_are_the_applications(headers: dict[str, str], members: dict[str, Any]) -> None:
    main = Main()

    assert main.answer(headers, **members) is None
    assert main.asked == ["the application"]


def test_where_policies_are_checked_all_requests_are_the_applications() -> None:
    main = Main(auth=True)
    main.answer()

    assert main.asked == ["the application"]


def test_a_service_that_fails_is_an_internal_error() -> None:
    main = Main()
    main.error = ValueError("broken")

    status, _, body = main.answer()

    assert status == 500
    assert b"InternalError" in body


def test_a_full_disk_is_told_to_who_checks_for_it() -> None:
    main = Main()
    main.error = DiskError("full")

    with pytest.raises(DiskError):
        main.answer()
