"""A local cloud in the background: started, found by its home, stopped."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.sandbox.leftovers import Identity
from localcloud.settings import PID_FILE

_START_SECONDS = _STOP_SECONDS = 60.0
# Straight to loopback: a proxy of the environment must not be asked for 127.0.0.1.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DaemonError(Exception):
    """A local cloud did not start or stop; the message is a sentence."""


@dataclass(frozen=True)
class Daemon:
    """A local cloud that runs: its address, its process and what its health page says."""

    url: str
    pid: int
    health: dict[str, Any]


def log_file(home: Path) -> Path:
    """The log of a local cloud that `start` has started."""
    return home / "localcloud.log"


def find(home: Path) -> Daemon | None:
    """The local cloud that runs on a home, or None. It has written its address to the file `endpoint` there."""
    try:
        url = (home / "endpoint").read_text().strip()
        with _OPENER.open(f"{url}/_localcloud/health", timeout=5) as answer:
            health = json.load(answer)
    except (OSError, ValueError):
        return None
    if not isinstance(health, dict) or health.get("home") != str(home):
        return None
    identity = Identity.read(home / PID_FILE)
    # Anybody can answer on a port; only the cloud of this home can have left its note there.
    if identity is None or identity.pid != health.get("pid"):
        return None
    return Daemon(url, identity.pid, health)


def start(home: Path, options: list[str]) -> Daemon:
    """Start `localcloud serve` on a home with more options, unless one runs, and wait until it is ready.

    DaemonError has the server's own sentence if it ends early.
    """
    running = find(home)
    if running is not None:
        return running
    home.mkdir(parents=True, mode=0o700, exist_ok=True)
    with os.fdopen(os.open(log_file(home), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as log:
        began = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "serve", "--home", str(home), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        running = find(home)
        if running is not None:
            return running
        if process.poll() is not None:
            lines = log_file(home).read_bytes()[began:].decode(errors="replace").strip().splitlines()
            raise DaemonError(lines[-1] if lines else f"The local cloud ended with exit code {process.returncode}.")
        time.sleep(0.1)
    process.terminate()
    raise DaemonError(f"The local cloud did not answer within {_START_SECONDS:.0f} s; see {log_file(home)}.")


def stop(home: Path) -> bool:
    """Stop the local cloud of a home, which stores its state first; returns whether one ran.

    The process is the one that left its identity in the home, whatever answers on the port. DaemonError if it does not
    end.
    """
    identity = Identity.read(home / PID_FILE)
    if identity is None:
        return False
    with identity.held() as process:
        if process is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], _STOP_SECONDS)[0]:
            raise DaemonError(f"Process {identity.pid} did not end within {_STOP_SECONDS:.0f} s.")
    return True
