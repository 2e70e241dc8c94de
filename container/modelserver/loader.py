"""Imports the handler once, then forks workers from itself: they share its memory and start in a moment.

A process of its own: a handler that crashes on import cannot take the port down, and the supervisor stays small.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType

from . import channel, worker
from .handler import LoadError, fingerprint, import_code
from .metrics import Metrics
from .settings import Settings

log = logging.getLogger("modelserver")


def run(control_fd: int, metrics_fd: int) -> int:
    """Import the handler, then fork a worker for each request of the supervisor until it is gone; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C reaches the whole group: the supervisor decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.socket(fileno=control_fd) as control:
        first = channel.receive(control)
        if first is None:
            return 0
        settings = Settings(**first[0])
        try:
            module = import_code(Path(settings.model_dir))
            digest = fingerprint(Path(settings.model_dir))
        except (LoadError, OSError) as problem:
            channel.send(control, {"failed": str(problem)})
            return 1
        gc.collect()
        gc.freeze()  # the collector would touch, and so copy, every shared page
        channel.send(control, {"loaded": digest})
        return _Loader(control, metrics_fd, settings, module, _common(settings, digest)).serve()


def _common(settings: Settings, digest: str) -> bytes:
    """Headers of every answer. Of a container's headers SageMaker passes on only its custom attributes."""
    version = settings.model_version or digest[:12]
    return (
        f"X-Model-Version: {version}\r\nX-Model-Sha256: {digest}\r\n"
        f"X-Amzn-SageMaker-Custom-Attributes: model-version={version};model-sha256={digest}\r\n"
    ).encode()


class _Loader:
    def __init__(
        self, control: socket.socket, metrics_fd: int, settings: Settings, module: ModuleType, common: bytes
    ) -> None:
        self.control = control
        self.metrics_fd = metrics_fd
        self.settings = settings
        self.module = module
        self.common = common

    def serve(self) -> int:
        """Serve the supervisor, and report workers that ended, until the supervisor is gone; the exit code."""
        wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        while True:
            readable, _, _ = select.select([self.control.fileno(), wake], [], [])
            if wake in readable:
                os.read(wake, 4_096)
            self._reap()
            if self.control.fileno() in readable:
                received = channel.receive(self.control)
                if received is None:
                    return 0
                message, descriptors = received
                self._fork(message["fork"], descriptors[0])

    def _fork(self, row: int, descriptor: int) -> None:
        """Fork a worker with the number `row`, whose control socket is `descriptor`; only the parent returns."""
        sys.stderr.flush()
        child = os.fork()
        if child:
            os.close(descriptor)
            channel.send(self.control, {"forked": child, "row": row})
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self.control.close()
            with socket.socket(fileno=descriptor) as control:
                code = worker.run(control, self.settings, Metrics(self.metrics_fd, row), self.module, self.common)
        except BaseException:
            log.exception("the worker failed")
        finally:
            sys.stderr.flush()
            os._exit(code)  # not sys.exit: what the loader registered to do at its end is not the worker's

    def _reap(self) -> None:
        """Report each worker that has ended to the supervisor, with how it ended."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not process:
                return
            channel.send(self.control, {"exited": process, "how": _how(os.waitstatus_to_exitcode(status))})


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
