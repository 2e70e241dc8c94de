"""One model server: the program `serve` of the image environment, as a process that listens on its own port."""

import contextlib
import http.client
import shutil
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from localcloud.sandbox.layer import add_layer
from localcloud.sandbox.process import ContainedProcess, SandboxError
from localcloud.sandbox.sandbox import Place, Sandbox

STOP_SECONDS = 10.0


class ServerError(Exception):
    """A model server did not start; the message ends with the last line of its log."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free; another process may take it at any time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Instance:
    """A model server process and its state.

    `busy` is the number of requests in progress (changed by the event loop only); `healthy`: it may get more.
    """

    def __init__(self, directory: Path, environment: dict[str, str], say: Callable[[str], None]) -> None:
        self._directory = directory
        self._environment = environment
        self._say = say
        self._process: ContainedProcess | None = None
        self._last_lines: deque[str] = deque(maxlen=40)
        self.port = 0
        self.healthy = False
        self.busy = 0

    def start(self) -> None:
        """Start the process without waiting until it is healthy; ServerError if there is no program `serve`."""
        command = shutil.which("serve", path=self._environment["PATH"])
        if command is None:
            raise ServerError(f"There is no program `serve` on the image's PATH {self._environment['PATH']}")
        place = Place(self._directory)
        place.make()
        model = place.ml / "model"
        if not model.is_symlink():
            # The path that /opt/ml/model in an environment variable is rewritten to.
            model.symlink_to(self._environment["SM_MODEL_DIR"])
        self.port = free_port()
        environment = add_layer(self._environment, place, str(place.ml))
        variables = {**environment, "SAGEMAKER_BIND_TO_PORT": str(self.port), "SERVE_HOST": "127.0.0.1"}
        # Without namespaces: its processes are still ended with the local cloud, as children of the launcher.
        plan = Sandbox().plan([command], variables, place)
        self._process = ContainedProcess(plan, self._directory, self._read)

    def _read(self, _source: str, line: str) -> None:
        if line.strip():
            self._last_lines.append(line)
        self._say(line)

    @property
    def alive(self) -> bool:
        """Whether the process, or one that it started, is running."""
        return self._process is not None and self._process.alive

    def ping(self, timeout: float = 2.0) -> bool:
        """Whether GET /ping returns 200 within `timeout` seconds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_healthy(self, seconds: float, stopping: threading.Event) -> None:
        """Wait until it answers pings; ServerError if it ends, after `seconds`, or if `stopping` is set."""
        deadline = time.monotonic() + seconds
        pause = 0.05
        while not self.ping():
            if not self.alive:
                try:
                    code = self._process.wait() if self._process else None
                except SandboxError as error:
                    raise ServerError(f"This machine did not start the model server: {error}") from None
                raise ServerError(f"The model server ended with exit code {code}: {self.last_line()}")
            if time.monotonic() > deadline:
                raise ServerError(f"The model server gave no healthy ping within {seconds:.0f} s: {self.last_line()}")
            if stopping.wait(pause):
                raise ServerError("The local cloud was stopped while the model server started")
            pause = min(pause * 1.2, 0.5)
        self.healthy = True

    def last_line(self) -> str:
        """Return the last line of its log that is not empty."""
        return self._last_lines[-1].strip() if self._last_lines else "it logged nothing"

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Send SIGTERM to its processes, kill them after `seconds`, and return when they have ended."""
        self.healthy = False
        if self._process is not None:
            self._process.terminate(seconds)
            with contextlib.suppress(SandboxError):  # then there is nothing to end
                self._process.wait()
