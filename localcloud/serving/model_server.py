"""The model server of one container: the program `serve` of the image environment, a process on its own port."""

import contextlib
import errno
import http.client
import os
import secrets
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path

from localcloud.sandbox.layer import add_layer
from localcloud.sandbox.ports import free_port
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


class ModelServer:
    """A model server process of one container.

    A server of one model finds it at /opt/ml/model. A server of several models finds each at /opt/ml/models/NAME/model
    once it is told to load it (see `loaded_models`).
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        model: Path | None,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        sandbox: Sandbox,
        launchers: Launchers,
        *,
        isolated: bool = False,
    ) -> None:
        """A server that is not started.

        Args:
            name: the container's, as errors have it: `primary`, or its ContainerHostname.
            directory: its own, with `opt/ml`.
            model: the unpacked artifact, shared by the instances of a variant; None for a server of several models.
            environment: the variables of its process.
            say: called with each line that it prints.
            sandbox: what the process may reach.
            launchers: processes started ahead.
            isolated: no network but the port it is invoked on.
        """
        self.name = name
        self._place, self._model = Place(directory), model
        self._environment = environment
        self._say = say
        self._sandbox, self._launchers, self._isolated = sandbox, launchers, isolated
        self._process: ContainedProcess | None = None
        self._last_lines: dict[str, deque[str]] = {name: deque(maxlen=40) for name in ("stderr", "stdout")}
        self.port = 0
        # Other users of this machine, pages in a browser and jobs reach the port too.
        self.headers = {"X-Serve-Key": secrets.token_urlsafe(24)}
        """What each request to it must have, or else servers that know SERVE_KEY refuse it."""
        self.starts = 0
        """How often it was started: what an earlier process had in memory is gone."""

    def start(self) -> None:
        """Start the process without waiting until it is healthy; MachineError if there is no program `serve`."""
        command = shutil.which("serve", path=self._environment["PATH"])
        if command is None:
            raise MachineError(f"there is no program `serve` on the image's PATH {self._environment['PATH']}")
        place, sandbox = self._place, self._sandbox
        place.make()
        self._show_model()
        self.port = free_port()
        self.starts += 1
        variables = {
            **add_layer(self._environment, place, sandbox.root(place)),
            **sandbox.own_variables(place),
            "SM_MODEL_DIR": f"{OPT_ML}/model",
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "SERVE_KEY": self.headers["X-Serve-Key"],
            **({"SAGEMAKER_MULTI_MODEL": "true"} if self.several else {}),
            "SERVE_HOST": "127.0.0.1",
        }
        plan = sandbox.plan(
            [command],
            variables,
            place,
            mounts={self._model: f"{OPT_ML}/model"} if sandbox.mounts and self._model else {},
            hostname=place.directory.name,
            network=str(self.port) if self._isolated else "shared",
        )
        self._process = ContainedProcess(plan, place.directory, self._read, self._launchers)

    @property
    def several(self) -> bool:
        """Whether it serves several models, which it is told to load."""
        return self._model is None

    @property
    def models(self) -> Path:
        """The directory in which a server of several models finds them."""
        return self._place.ml / "models"

    @property
    def models_seen(self) -> str:
        """The path by which the server itself finds that directory."""
        return f"{self._sandbox.root(self._place)}/models"

    def _show_model(self) -> None:
        """Make the place where the process finds its model, or an empty one for several."""
        seen = self._place.ml / "model"
        if self._model is None:
            shutil.rmtree(self.models, ignore_errors=True)
            self.models.mkdir()
        elif self._sandbox.mounts:
            seen.mkdir(exist_ok=True)
        elif not seen.is_symlink():
            seen.symlink_to(self._model)

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
        return self._asked("/ping", timeout) == 200

    def _asked(self, path: str, timeout: float) -> int | None:
        """The status of a GET request; None if there is no answer within `timeout` seconds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers=self.headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def wait_healthy(self, seconds: float, stopping: threading.Event) -> None:
        """Wait until it answers pings.

        ServerError if it ends, after `seconds`, if `stopping` is set, or if it should serve several models and does not
        know how; MachineError if the machine made it end.
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
        if self.several and self._asked("/models", 10.0) != 200:
            raise ServerError(
                "The model server does not answer GET /models with 200: the image does not host several models"
            )

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

    def terminate(self, seconds: float) -> None:
        """Send SIGTERM to its processes, and SIGKILL to those that are left after `seconds`. Returns at once."""
        if self._process is not None:
            self._process.terminate(seconds)

    def wait(self) -> None:
        """Return when its processes have ended."""
        if self._process is not None:
            with contextlib.suppress(SandboxError):  # then there is nothing to end
                self._process.wait()
