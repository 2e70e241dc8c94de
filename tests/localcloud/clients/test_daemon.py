"""A local cloud in the background: up, status, logs and down."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from localcloud.clients.daemon import find


@pytest.fixture
def command(tmp_path: Path, image: tuple[Path, Path]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `localcloud WORD` on this test's home."""

    def run(word: str, *options: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "localcloud", word, "--home", tmp_path / "home", *map(str, options)]
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
