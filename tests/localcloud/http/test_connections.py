"""Connections of a running local cloud: let go of once closed, and enough of them."""

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from localcloud.http import connections
from tests.waiting import soon


def open_connections(cloud: Any, number: int) -> list[http.client.HTTPConnection]:
    """Connections on which one request was answered, still open."""
    opened = [http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=60) for _ in range(number)]
    for connection in opened:
        connection.request("GET", "/_localcloud/health")
        connection.getresponse().read()
    return opened


def test_a_connection_that_its_client_closed_is_let_go(cloud: Any) -> None:
    server = psutil.Process(cloud.process.pid)
    before = server.num_fds()
    opened = open_connections(cloud, 60)
    assert server.num_fds() > before + 30  # another one may have been closed meanwhile

    for connection in opened:
        connection.close()

    assert soon(lambda: server.num_fds() < before + 30)


def test_a_connection_that_was_never_used_is_let_go(cloud: Any) -> None:
    server = psutil.Process(cloud.process.pid)
    before = server.num_fds()
    idle = [socket.create_connection(("127.0.0.1", cloud.port)) for _ in range(60)]
    assert soon(lambda: server.num_fds() > before + 30)  # another one may have been closed meanwhile

    for connection in idle:
        connection.close()

    assert soon(lambda: server.num_fds() < before + 30)


def test_an_idle_connection_is_kept_for_its_client(cloud: Any) -> None:
    [connection] = open_connections(cloud, 1)
    with contextlib.closing(connection):
        time.sleep(0.5)
        connection.request("GET", "/_localcloud/health")

        assert connection.getresponse().status == 200


def test_the_soft_limit_of_descriptors_is_raised(cloud: Any) -> None:
    line = next(
        s
        for s in Path(f"/proc/{cloud.process.pid}/limits").read_text(encoding="utf-8").splitlines()
        if "open files" in s
    )
    soft, hard = line.split()[3:5]

    assert soft == hard or int(soft) >= 65_536


@contextlib.contextmanager
def served(**limits: float) -> Iterator[int]:
    """A server of its own in a thread, with other limits; its port.

    It answers with the query of the request; /at-once before the body has come, /later with its head, and with its body
    once /now is asked for.
    """
    ready, loops = threading.Event(), []
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    stop, now = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        while scope["path"] != "/at-once" and (await receive()).get("more_body"):
            pass
        body = scope["query_string"]
        size = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", size)]})
        if scope["path"] == "/now":
            now.set()
        elif scope["path"] == "/later":
            await now.wait()
        await send({"type": "http.response.body", "body": body})

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        ready.set()
        await connections.serve_http(app, listener, stop.wait, connections.Limits(look=0.02, **limits))

    thread = threading.Thread(target=lambda: connections.run(main()))
    thread.start()
    ready.wait(60)
    try:
        yield port
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(60)


def ended(connection: socket.socket) -> bool:
    """Whether the server closes the connection within a minute; what it answers before is read."""
    connection.settimeout(60)
    try:
        while connection.recv(1000):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def trickle(connection: socket.socket) -> None:
    """Send a byte of a chunked body each 10 ms; ConnectionError once the server has closed the connection."""
    for _ in range(6_000):
        connection.sendall(b"1\r\nx\r\n")
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("limit", "sent"),
    [
        ("head", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A"),
        ("request", b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nonly this"),
        ("rest", b"POST /at-once HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nonly this"),
        ("keep_alive", b""),
    ],
    ids=["a head", "a body", "a body that was refused", "nothing at all"],
)
def test_a_client_that_does_not_go_on_is_let_go(limit: str, sent: bytes) -> None:
    with served(**{limit: 0.1}) as port, socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(sent)

        assert ended(connection)


@pytest.mark.parametrize(("limit", "path"), [("request", "/"), ("rest", "/at-once")])
def test_a_body_that_never_ends_is_let_go(limit: str, path: str) -> None:
    with served(**{limit: 0.1}) as port, socket.create_connection(("127.0.0.1", port), 60) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())

        with pytest.raises(ConnectionError):
            trickle(connection)


def test_a_head_without_end_is_refused() -> None:
    with served() as port, socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 100_000)

        assert connection.recv(1000).startswith(b"HTTP/1.1 400")


def test_headers_behind_a_body_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    monkeypatch.setattr(HttpToolsProtocol, "on_header", lambda self, name, value: kept.append(name))
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served() as port, socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(head + b"0\r\n" + b"X-Trailer: a\r\n" * 1_000 + b"\r\n")

        assert ended(connection)
        assert kept == [b"Host", b"Connection", b"Transfer-Encoding"]


def test_head_and_body_of_an_answer_leave_together() -> None:
    with served() as port, socket.create_connection(("127.0.0.1", port), 60) as connection:
        for _ in range(20):
            connection.sendall(b"GET /?whole HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

            assert connection.recv(10_000).endswith(b"\r\n\r\nwhole")


def test_a_head_does_not_wait_for_its_body() -> None:
    with served() as port, socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(b"GET /later?body HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

        assert connection.recv(10_000).endswith(b"\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port), 60) as other:
            other.sendall(b"GET /now HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert connection.recv(10_000) == b"body"


def test_an_answer_without_a_body_is_sent() -> None:
    with served() as port, socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(b"HEAD /?body HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")

        assert connection.recv(10_000).endswith(b"\r\n\r\n")
        assert ended(connection)


def test_the_longest_idle_of_too_many_connections_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "most_connections", lambda: 3)
    with served() as port, contextlib.ExitStack() as stack:
        opened = []
        for _ in range(4):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            stack.callback(connection.close)
            connection.request("GET", "/")
            assert connection.getresponse().read() == b""
            opened.append(connection)

        assert ended(opened[0].sock)
        opened[1].request("GET", "/")
        assert opened[1].getresponse().status == 200
