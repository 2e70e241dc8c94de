"""One model server: a process of the image environment that serves an artifact on a port of its own."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

STOP_SECONDS = 10.0


class ServerError(Exception):
    """A model server did not come up; the message ends with the last line it said."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Instance:
    """A server process and what is known of it.

    `busy` counts requests under way (changed by the event loop only); `healthy` says whether to send it more.
    """

    def __init__(self, directory: Path, environment: dict[str, str], say: Callable[[str], None]) -> None:
        self._directory = directory
        self._environment = environment
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._last_lines: deque[str] = deque(maxlen=40)
        self.port = 0
        self.healthy = False
        self.busy = 0

    def start(self) -> None:
        """Start the process; it is not healthy yet. ServerError if there is no `serve` to run."""
        command = shutil.which("serve", path=self._environment["PATH"])
        if command is None:
            raise ServerError(f"There is no program `serve` on the image's PATH {self._environment['PATH']}")
        for name in ("", "tmp"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._process = subprocess.Popen(
            [command],
            cwd=self._directory,
            env={**self._environment, "SAGEMAKER_BIND_TO_PORT": str(self.port), "SERVE_HOST": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A group of its own: a stop reaches the workers too, and ctrl-C in the terminal does not.
            start_new_session=True,
        )
        (self._directory / "pid").write_text(str(self._process.pid))
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            text = line.rstrip("\n")
            if text.strip():
                self._last_lines.append(text)
            self._say(text)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def ping(self, timeout: float = 2.0) -> bool:
        """Whether GET /ping gives 200."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_healthy(self, seconds: float, stopping: threading.Event) -> None:
        """Return once it answers pings; ServerError if it ends first, or not within `seconds`, or `stopping` is set."""
        deadline = time.monotonic() + seconds
        pause = 0.05
        while not self.ping():
            if not self.alive:
                if self._reader is not None:
                    self._reader.join(2)
                code = self._process.returncode if self._process else None
                raise ServerError(f"The model server ended with exit code {code}: {self.last_line()}")
            if time.monotonic() > deadline:
                raise ServerError(f"The model server gave no healthy ping within {seconds:.0f} s: {self.last_line()}")
            if stopping.wait(pause):
                raise ServerError("The local cloud was stopped while the model server started")
            pause = min(pause * 1.2, 0.5)
        self.healthy = True

    def last_line(self) -> str:
        """The last line of its log that says something: a traceback's last, else simply the last."""
        return self._last_lines[-1].strip() if self._last_lines else "it said nothing"

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM to the whole group, then SIGKILL; returns when it is gone."""
        self.healthy = False
        process = self._process
        if process is None:
            return
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        _signal(process.pid, signal.SIGKILL)
        process.wait()
        if self._reader is not None:
            self._reader.join(2)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
