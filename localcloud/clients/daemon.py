"""A local cloud in the background: started, found by its home, stopped."""

import contextlib
import http.client
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localcloud.sandbox.leftovers import Identity
from localcloud.settings import PID_FILE

START_SECONDS = STOP_SECONDS = 60.0
_LOOK_SECONDS = 0.02  # one look at a file, until the server has written its address there
_HEALTH_BYTES = 65_536  # more than a health page has


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
        said = health(url, timeout=5)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    if not isinstance(said, dict) or said.get("home") != str(home):
        return None
    process = identity(home)
    # Anybody can answer on a port; only the cloud of this home can have left its note there.
    if process is None or process.pid != said.get("pid"):
        return None
    return Daemon(url, process.pid, said)


def identity(home: Path) -> Identity | None:
    """Return the identity that the local cloud of a home left there when it started; None if none did."""
    return Identity.read(home / PID_FILE)


def health(url: str, timeout: float) -> Any:
    """Return the parsed health page of what listens at `url`, asked directly: no proxy, and no redirect is followed.

    `timeout` is the seconds for the whole answer, however slowly it trickles in. ConnectionRefusedError if nothing
    listens there; another OSError, ValueError or HTTPException if what answers is no local cloud.
    """
    parts = urlsplit(url)
    ends = time.monotonic() + timeout
    received = b""
    with socket.create_connection((parts.hostname, parts.port or 80), timeout) as connection:
        # As HTTP/1.0 says, the end of the connection is that of the answer.
        connection.sendall(f"GET /_localcloud/health HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        while len(received) <= _HEALTH_BYTES:
            connection.settimeout(max(ends - time.monotonic(), 0.001))
            part = connection.recv(_HEALTH_BYTES)
            if not part:
                break
            received += part
    answer = http.client.HTTPResponse(_Received(received))  # type: ignore[arg-type]  # only makefile is asked of it
    answer.begin()
    if answer.status != http.client.OK:
        raise ValueError(f"{url} answers with status {answer.status}")
    try:
        return json.loads(answer.read(_HEALTH_BYTES))
    except RecursionError:
        raise ValueError("the answer is nested too deeply") from None


class _Received:
    """What HTTPResponse takes for a socket: bytes that have been received."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def state(process: Identity) -> str:
    """Return the state of a process: R running, S or D waiting, T suspended (see proc(5)); "" if it has ended."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_bytes().rpartition(b")")[2].split()
        return fields[0].decode() if fields[0] != b"Z" and Identity.of(process.pid) == process else ""
    except OSError:
        return ""


def age(process: Identity) -> float:
    """Return the seconds since a process started."""
    up = float(Path("/proc/uptime").read_text("utf-8").split()[0])
    return up - process.started / os.sysconf("SC_CLK_TCK")


def spawn(
    home: Path, options: list[str], directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], int]:
    """Start `localcloud serve` on a home without waiting for it, in a session of its own.

    It runs in `directory` with the variables `environment`, by default this process's. Returns the process, and the
    size of its log in bytes before it began. OSError if the home cannot be written to.
    """
    home.mkdir(parents=True, mode=0o700, exist_ok=True)
    with os.fdopen(os.open(log_file(home), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as log:
        began = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "localcloud", "serve", "--home", str(home), *options],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return process, began


def last_line(home: Path, began: int) -> str:
    """Return the last line of the log after its first `began` bytes; "" if there is none."""
    lines = log_file(home).read_bytes()[began:].decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def start(home: Path, options: list[str]) -> Daemon:
    """Start `localcloud serve` on a home with more options, unless one runs, and wait until it is ready.

    DaemonError has the server's own sentence if it ends early.
    """
    running = find(home)
    if running is not None:
        return running
    process, began = spawn(home, options)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        running = find(home)
        if running is not None:
            return running
        if process.poll() is not None:
            raise DaemonError(last_line(home, began) or f"The local cloud ended with exit code {process.returncode}.")
        time.sleep(_LOOK_SECONDS)
    process.terminate()
    raise DaemonError(f"The local cloud did not answer within {START_SECONDS:.0f} s; see {log_file(home)}.")


def stop(home: Path) -> bool:
    """Stop the local cloud of a home, which stores its state first; returns whether one ran.

    The process is the one that left its identity in the home, whatever answers on the port. DaemonError if it does not
    end.
    """
    left = identity(home)
    if left is None:
        return False
    with left.held() as process:
        if process is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select([process], [], [], STOP_SECONDS)[0]:
            raise DaemonError(f"Process {left.pid} did not end within {STOP_SECONDS:.0f} s.")
    return True
