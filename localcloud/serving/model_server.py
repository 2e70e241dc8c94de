"""One model server: the program `serve` of the image environment, as a process that listens on its own port."""

import contextlib
import errno
import http.client
import os
import shutil
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path

from localcloud.sandbox.layer import add_layer
from localcloud.sandbox.process import ContainedProcess, Launchers, SandboxError
from localcloud.sandbox.sandbox import OPT_ML, Place, Sandbox

STOP_SECONDS = 10.0
# How a shell says that a command could not be run, or was killed by SIGKILL (which the kernel does for want of memory).
_NOT_RUN, _KILLED = (126, 127), (-signal.SIGKILL, 128 + signal.SIGKILL)
# What a process says when the machine has no more of something; nothing that a model does wrong.
_EXHAUSTED = tuple(
    os.strerror(number)
    for number in (errno.ENOSPC, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EDQUOT, errno.EROFS, errno.EADDRINUSE)
)


class ServerError(Exception):
    """A model server did not start; the message ends with the last line of its log."""


class MachineError(ServerError):
    """A model server did not start because the machine lacks something; not the model's fault."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free; another process may take it at any time."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Instance:
    """A model server process and its state.

    `busy` is the number of requests in progress (changed by the event loop only); `healthy`: it may get more.
    `model` is the unpacked artifact, which the server finds at /opt/ml/model; an `isolated` server has no network but
    the port it serves. `say` is called with each line of its log.
    """

    def __init__(
        self,
        directory: Path,
        model: Path,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        sandbox: Sandbox,
        launchers: Launchers,
        *,
        isolated: bool = False,
    ) -> None:
        """An instance that is not started.

        Args:
            directory: its own, with `opt/ml`.
            model: the unpacked artifact, shared by the instances of a variant.
            environment: the variables of its process.
            say: called with each line that it prints.
            sandbox: what the process may reach.
            launchers: processes started ahead.
            isolated: no network but the port it is invoked on.
        """
        self._place, self._model = Place(directory), model
        self._environment = environment
        self._say = say
        self._sandbox, self._launchers, self._isolated = sandbox, launchers, isolated
        self._process: ContainedProcess | None = None
        self._last_lines: dict[str, deque[str]] = {name: deque(maxlen=40) for name in ("stderr", "stdout")}
        self.port = 0
        self.healthy = False
        self.busy = 0

    def start(self) -> None:
        """Start the process without waiting until it is healthy; MachineError if there is no program `serve`."""
        command = shutil.which("serve", path=self._environment["PATH"])
        if command is None:
            raise MachineError(f"there is no program `serve` on the image's PATH {self._environment['PATH']}")
        place, sandbox = self._place, self._sandbox
        place.make()
        seen = place.ml / "model"
        if sandbox.mounts:
            seen.mkdir(exist_ok=True)
        elif not seen.is_symlink():
            seen.symlink_to(self._model)
        self.port = free_port()
        variables = {
            **add_layer(self._environment, place, sandbox.root(place)),
            **sandbox.own_variables(place),
            "SM_MODEL_DIR": f"{OPT_ML}/model",
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "SERVE_HOST": "127.0.0.1",
        }
        plan = sandbox.plan(
            [command],
            variables,
            place,
            mounts={self._model: f"{OPT_ML}/model"} if sandbox.mounts else {},
            hostname=place.directory.name,
            network=str(self.port) if self._isolated else "shared",
        )
        self._process = ContainedProcess(plan, place.directory, self._read, self._launchers)

    def _read(self, source: str, line: str) -> None:
        if line.strip():
            self._last_lines[source].append(line)
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
        """Wait until it answers pings.

        ServerError if it ends, after `seconds`, or if `stopping` is set; MachineError if the machine made it end.
        """
        deadline = time.monotonic() + seconds
        pause = 0.02
        while not self.ping():
            if not self.alive:
                raise self._ended()
            if time.monotonic() > deadline:
                raise ServerError(f"The model server gave no healthy ping within {seconds:.0f} s: {self.last_line()}")
            if stopping.wait(pause):
                raise ServerError("The local cloud was stopped while the model server started")
            pause = min(pause * 1.2, 0.5)
        self.healthy = True

    def _ended(self) -> ServerError:
        """Return why the process ended."""
        try:
            code = self._process.wait() if self._process else None
        except SandboxError as error:
            return MachineError(f"this machine did not start the model server: {error}")
        sentence = f"The model server ended with exit code {code}: {self.last_line()}"
        exhausted = any(words in line for words in _EXHAUSTED for line in chain(*self._last_lines.values()))
        return MachineError(sentence) if code in (*_NOT_RUN, *_KILLED) or exhausted else ServerError(sentence)

    def last_line(self) -> str:
        """Return the last line of its log that is not empty, of standard error if there is one."""
        lines = self._last_lines["stderr"] or self._last_lines["stdout"]
        return lines[-1].strip() if lines else "it logged nothing"

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Send SIGTERM to its processes, kill them after `seconds`, and return when they have ended."""
        self.healthy = False
        if self._process is not None:
            self._process.terminate(seconds)
            with contextlib.suppress(SandboxError):  # then there is nothing to end
                self._process.wait()
