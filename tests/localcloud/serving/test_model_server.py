"""Whose fault it is that a model server does not start: the model's, or the machine's."""

import sys
import threading
from pathlib import Path

import httpx
import pytest

from localcloud.sandbox.process import Launchers
from localcloud.sandbox.sandbox import Sandbox
from localcloud.serving.model_server import MachineError, ModelServer, ServerError


def start(tmp_path: Path, script: str | None) -> None:
    """Start a server whose program `serve` is this shell script, and wait until it answers pings."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "model").mkdir()
    if script is not None:
        serve = tmp_path / "bin" / "serve"
        serve.write_text(f"#!/bin/sh\n{script}\n")
        serve.chmod(0o755)
    launchers = Launchers()
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    model = tmp_path / "model"
    server = ModelServer("primary", tmp_path / "i", model, environment, lambda _: None, Sandbox(), launchers)
    try:
        server.start()
        server.wait_healthy(20, threading.Event())
    finally:
        server.terminate(0)
        server.wait()
        launchers.close()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (None, "no program `serve`"),
        ("kill -9 $$", "exit code -9"),
        ("exec no-such-program", "exit code 127"),
        ("echo 'OSError: [Errno 28] No space left on device' >&2; exit 1", "No space left"),
        ("echo 'cannot listen: Address already in use'; exit 1", "Address already in use"),
        ("echo 'RuntimeError: Cannot allocate memory' >&2; echo bye >&2; exit 1", "bye"),
    ],
)
def test_what_the_machine_lacks_is_not_the_models_fault(tmp_path: Path, script: str | None, words: str) -> None:
    with pytest.raises(MachineError, match=words):
        start(tmp_path, script)


@pytest.mark.parametrize("script", ["echo 'ValueError: the model is broken' >&2; exit 1", "exit 3", "kill -SEGV $$"])
def test_a_model_that_cannot_be_loaded_is_at_fault(tmp_path: Path, script: str) -> None:
    with pytest.raises(ServerError, match="The model server ended with exit code") as refused:
        start(tmp_path, script)
    assert not isinstance(refused.value, MachineError)


def test_a_server_is_told_the_key_that_requests_to_it_have(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "model").mkdir()
    serve = tmp_path / "bin" / "serve"
    serve.write_text(f"#!/bin/sh\nexec {sys.executable} {Path(__file__).parents[1] / 'model_server.py'}\n")
    serve.chmod(0o755)
    launchers = Launchers()
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "SERVE_KEY": "of-the-model"}
    model = tmp_path / "model"
    servers = [
        ModelServer("primary", tmp_path / name, model, environment, lambda _: None, Sandbox(), launchers)
        for name in "ab"
    ]
    try:
        for server in servers:
            server.start()
            server.wait_healthy(20, threading.Event())
        one, other = servers
        assert one.ping()
        url = f"http://127.0.0.1:{one.port}/ping"
        for headers in ({}, other.headers, {"X-Serve-Key": "of-the-model"}):
            assert httpx.get(url, headers=headers, trust_env=False).status_code == 403
    finally:
        for server in servers:
            server.terminate(0)
            server.wait()
        launchers.close()
