"""A local cloud in the background: up, status, logs and down."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from localcloud.clients.daemon import find, stop
from localcloud.sandbox.leftovers import Identity


@pytest.fixture
def command(tmp_path: Path, image: tuple[Path, Path]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `localcloud WORD` on this test's home."""

    def run(word: str, *options: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "localcloud", word, "--home", str(tmp_path / "home"), *map(str, options)]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=100)

    return run


def test_a_cloud_is_started_once_found_and_stopped(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, image: tuple[Path, Path]
) -> None:
    options = ("--port", 0, "--image-env", image[0], "--image-root", image[1])
    try:
        started, again = command("up", *options), command("up", *options)
        running = find(tmp_path / "home")

        assert running is not None, started.stderr
        assert started.stdout == again.stdout
        assert f"Running at {running.url} on {tmp_path}/home: process {running.pid}" in command("status").stdout
        assert "The local cloud serves" in command("logs").stdout
    finally:
        down = command("down")
    assert down.stdout == "Stopped.\n"
    assert find(tmp_path / "home") is None
    assert command("down").stdout == f"No local cloud runs on {tmp_path}/home.\n"
    assert command("status").returncode == 1


def test_a_start_that_fails_says_why(command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    done = command("up", "--port", 0, "--image-env", tmp_path / "absent")

    assert done.returncode == 1
    assert done.stderr == f"--image-env: {tmp_path}/absent/bin is not a directory.\n"


def test_no_log_is_said(command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "There is no log" in command("logs").stderr


def test_a_process_that_only_has_the_number_of_the_cloud_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        true = Identity.of(stranger.pid)
        for other in (
            Identity(true.pid, true.started - 1, true.boot),
            Identity(true.pid, true.started, "another boot"),
        ):
            other.write(tmp_path / "localcloud.pid")
            assert not stop(tmp_path)
        assert stranger.poll() is None
        stranger.kill()


def test_what_answers_in_the_name_of_a_home_is_not_believed(tmp_path: Path) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"home": str(tmp_path), "pid": 1}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "endpoint").write_text(f"http://127.0.0.1:{server.server_port}")
        assert find(tmp_path) is None
        Identity.of(1).write(tmp_path / "localcloud.pid")
        assert find(tmp_path) is not None
        server.shutdown()
