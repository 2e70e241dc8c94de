"""Long work of requests to S3 is done in threads, once, and only of the request itself."""

import asyncio
import threading
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any

from localcloud.ministack import s3_requests


def answered(dispatch: Any) -> Any:
    """What an S3 answers that handles each request by `dispatch()`."""

    async def handle_request(*_: Any) -> Any:
        return 200, {}, dispatch()

    s3 = SimpleNamespace(
        __name__="s3", handle_request=handle_request, md5_hash=len, _compute_s3_checksum=len,
        _crc32c=len, _crc64nvme=len, _qp=lambda query, name: query.get(name, ""),
    )  # fmt: skip
    s3_requests.install(s3, lambda send: send)
    return asyncio.run(s3.handle_request("PUT", "/b/k", {}, b"", {}))


def test_work_is_done_once_in_another_thread_before_the_request_goes_on() -> None:
    threads: list[int] = []

    def work() -> str:
        threads.append(threading.get_ident())
        return "done"

    def dispatch() -> Any:
        return s3_requests.in_thread("a", work), s3_requests.in_thread("b", work), s3_requests.in_thread("a", work)

    assert answered(dispatch)[2] == ("done", "done", "done")
    assert len(threads) == 2
    assert threading.get_ident() not in threads


def test_a_thread_that_a_request_starts_handles_no_request() -> None:
    seen: list[Any] = []

    def dispatch() -> None:
        def event() -> None:
            seen.append((s3_requests.in_request(), s3_requests.in_thread("key", lambda: "at once")))

        thread = threading.Thread(target=copy_context().run, args=(event,))
        thread.start()
        thread.join()

    answered(dispatch)

    assert seen == [(False, "at once")]
