"""The console's port: on loopback, printed with a one-time token, and an error where it is taken."""

import socket
import threading

import httpx
import pytest

from loadingbay.console.server import prepare
from loadingbay.errors import WorkError
from loadingbay.target import Target


def _prepare(tmp_path, port=0):
    return prepare(Target("endpoint", "http://127.0.0.1:1", "us-east-1"), tmp_path, port=port, environment={})


def test_a_port_that_is_taken_is_a_sentence(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(WorkError, match=f"port {port} on this machine is taken"):
            _prepare(tmp_path, port)


def test_a_page_does_not_wait_until_its_headers_are_acknowledged(tmp_path):
    console = _prepare(tmp_path)
    with console.listener, socket.create_connection(console.listener.getsockname()):
        accepted, _ = console.listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_it_listens_on_loopback_only(tmp_path):
    console = _prepare(tmp_path)
    with console.listener:
        assert console.listener.getsockname()[0] == "127.0.0.1"
        assert console.address.startswith(f"http://127.0.0.1:{console.listener.getsockname()[1]}/enter?token=")


def test_it_serves_until_it_is_told_to_stop(tmp_path):
    console = _prepare(tmp_path)
    serving = threading.Thread(target=console.serve)
    serving.start()
    try:
        assert httpx.get(console.address.split("/enter")[0], timeout=60, trust_env=False).status_code == 401
    finally:
        console.server.should_exit = True
        serving.join(60)
    assert not serving.is_alive()
