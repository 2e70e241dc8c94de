"""Connections of a running local cloud: let go of once closed, and enough of them."""

import contextlib
import http.client
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil


def soon(reached: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether something becomes true within some seconds: far less than the 75 of an idle connection."""
    deadline = time.monotonic() + seconds
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.05)
    return reached()


def open_connections(cloud: Any, number: int) -> list[http.client.HTTPConnection]:
    """Connections on which one request was answered, still open."""
    connections = [http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=10) for _ in range(number)]
    for connection in connections:
        connection.request("GET", "/_localcloud/health")
        connection.getresponse().read()
    return connections


def test_a_connection_that_its_client_closed_is_let_go(cloud: Any) -> None:
    server = psutil.Process(cloud.process.pid)
    before = server.num_fds()
    connections = open_connections(cloud, 60)
    assert server.num_fds() >= before + 60

    for connection in connections:
        connection.close()

    assert soon(lambda: server.num_fds() < before + 30)


def test_a_connection_that_was_never_used_is_let_go(cloud: Any) -> None:
    server = psutil.Process(cloud.process.pid)
    before = server.num_fds()
    idle = [socket.create_connection(("127.0.0.1", cloud.port)) for _ in range(60)]
    assert soon(lambda: server.num_fds() >= before + 60)

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
    line = next(s for s in Path(f"/proc/{cloud.process.pid}/limits").read_text().splitlines() if "open files" in s)
    soft, hard = line.split()[3:5]

    assert soft == hard or int(soft) >= 65_536
