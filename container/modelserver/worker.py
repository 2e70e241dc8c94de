"""One worker process: an event loop for HTTP and a thread for the model. Forked by the loader."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from pathlib import Path
from types import ModuleType

import uvloop

from . import channel
from . import metrics as m
from .application import Serving
from .batcher import Answers, Batcher
from .connection import Connection
from .handler import LoadError, load
from .replies import Renderer
from .settings import Settings

log = logging.getLogger("modelserver")

STUCK = 70  # exit code: the model hangs (EX_SOFTWARE)
QUIET_SECONDS = 0.3  # on stop, a connection is kept this long for a request that is already on its way


def run(control: socket.socket, settings: Settings, metrics: m.Metrics, module: ModuleType, common: bytes) -> int:
    """Load the model, serve until told to stop; the exit code."""
    metrics.set(m.PROCESS, os.getpid())
    try:
        handler = load(module, Path(settings.model_dir), range(1, settings.max_batch + 1))
    except LoadError as problem:
        channel.send(control, {"failed": str(problem)})
        return 1
    batcher = Batcher(handler, settings.max_batch, metrics.batch)
    application = Serving(settings, metrics, Renderer(common), batcher)
    code: int = uvloop.run(_Worker(control, application).serve())
    return code


class _Worker:
    def __init__(self, control: socket.socket, application: Serving) -> None:
        self.control = control
        self.application = application
        self.stop = asyncio.Event()
        self.opening: set[asyncio.Task[object]] = set()

    async def serve(self) -> int:
        """Answer requests until told to stop; the exit code of the process.

        Says on the control socket when it is ready, and ends itself when the model has been busy for too long.
        """
        loop = asyncio.get_running_loop()
        application, settings = self.application, self.application.settings
        application.batcher.start(lambda answers: self._deliver(loop, answers))
        loop.add_signal_handler(signal.SIGTERM, self.stop.set)
        self.control.setblocking(False)
        loop.add_reader(self.control, self._on_message, loop)
        application.tick()
        application.metrics.set(m.READY, 1)
        channel.send(self.control, {"ready": os.getpid()})
        step = min(0.25, settings.request_seconds / 4, settings.header_seconds / 4, settings.body_seconds / 4)
        while not self.stop.is_set():
            application.tick()
            if self._stuck():
                return await self._give_up()
            try:
                await asyncio.wait_for(self.stop.wait(), step)
            except TimeoutError:
                continue
        return await self._finish()

    def _deliver(self, loop: asyncio.AbstractEventLoop, answers: Answers) -> None:
        try:
            loop.call_soon_threadsafe(self.application.answered, answers)
        except RuntimeError:  # the loop closed: the deadline of a stop has passed
            log.warning("%d answers came after the server had stopped", len(answers))

    def _on_message(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the connections that the supervisor passes on; stop when it says so or is gone."""
        for _ in range(64):  # then let requests have their turn
            try:
                received = channel.receive(self.control)
            except BlockingIOError:
                return
            if received is None:  # the supervisor is gone
                loop.remove_reader(self.control)
                self.stop.set()
                return
            message, descriptors = received
            for descriptor in descriptors:
                accepted = socket.socket(fileno=descriptor)
                accepted.setblocking(False)
                task = loop.create_task(loop.connect_accepted_socket(lambda: Connection(self.application), accepted))
                self.opening.add(task)
                task.add_done_callback(self._opened)
            if "stop" in message:
                self.stop.set()

    def _opened(self, task: asyncio.Task[object]) -> None:
        self.opening.discard(task)
        if not task.cancelled() and task.exception() is not None:  # the client left before it was served
            self.application.metrics.add(m.CLOSED)

    def _stuck(self) -> bool:
        batcher = self.application.batcher
        since = batcher.busy_since
        return bool(since) and self.application.now() - since > 1.5 * self.application.settings.request_seconds

    async def _give_up(self) -> int:
        """Answer what was accepted and end this process: its model thread hangs, and a thread cannot be interrupted."""
        log.error("the model did not return; this worker ends and is replaced")
        self._unready()
        self.application.give_up()
        await asyncio.sleep(0)  # the answers are written
        os._exit(STUCK)

    def _unready(self) -> None:
        self.application.metrics.set(m.READY, 0)
        self.application.stopping = True

    async def _finish(self) -> int:
        """Answer the requests that were accepted, until the deadline; return the exit code."""
        application = self.application
        self._unready()
        end = application.now() + application.settings.stop_seconds
        while (application.connections or self.opening) and application.now() < end:
            application.tick()
            for connection in list(application.connections):
                connection.wind_down(application.now(), QUIET_SECONDS)
            await asyncio.sleep(0.02)
        left = sum(len(connection.owed) for connection in application.connections)
        if left:
            log.warning("%d requests were not answered before the deadline", left)
        application.batcher.stop()
        for connection in list(application.connections):
            connection.abort()
        await asyncio.sleep(0)
        return 1 if left else 0
