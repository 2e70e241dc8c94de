"""The parent process: owns the port, hands each connection to a worker, keeps the workers alive, stops them in order.

Handing over accepted connections (rather than letting the kernel spread them) shares them evenly, and a dead worker's
queue of not yet accepted connections cannot be lost, as it has none. While no worker is ready the supervisor answers
itself: 503.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from . import channel
from . import metrics as m
from .application import Waiting
from .connection import Connection
from .replies import Renderer
from .settings import Settings

log = logging.getLogger("modelserver")

HANG_SECONDS = 5.0  # beyond a request's time limit, without a heartbeat, a worker is killed
STOP_MARGIN = 2.0


@dataclass
class Slot:
    """A worker's place. `sent` counts connections handed over; those it has closed are counted in its metrics row."""

    row: int
    control: socket.socket | None = None
    process: int = 0
    ready: bool = False  # may be given connections
    loaded: bool = False  # has been ready before
    failed: str = ""
    sent: int = 0
    tries: int = 0


def listen(host: str, port: int) -> socket.socket:
    """The listening socket. Raises OSError."""
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    listener = socket.create_server((host, port), family=family, backlog=1_024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    listener.setblocking(False)
    return listener


class Supervisor:
    """Runs until a signal or a failure to load; `serve` gives the exit code."""

    def __init__(self, settings: Settings, listener: socket.socket, program: Path) -> None:
        self.settings = settings
        self.listener = listener
        self.program = program
        self.slots = [Slot(row) for row in range(1, settings.worker_count + 1)]
        self.metrics_fd = m.create(len(self.slots))
        self.metrics = m.Metrics(self.metrics_fd, 0)
        self.waiting = Waiting(settings, self.metrics, Renderer())
        self.loader: subprocess.Popen[bytes] | None = None
        self.loader_control: socket.socket | None = None
        self.loaded = False
        self.next = 0
        self.done: asyncio.Future[int] | None = None
        self.failure = ""  # why the exit code is not 0
        self.opening: set[asyncio.Task[object]] = set()

    # -- life -------------------------------------------------------------------------------------------------------

    async def serve(self) -> int:
        """Start everything, wait for the end, stop everything."""
        loop = self.loop = asyncio.get_running_loop()
        self.done = loop.create_future()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, 0)
        self.metrics.set(m.PROCESS, os.getpid())
        loop.add_reader(self.listener, self._accept)
        self._start_loader()
        ticker = loop.create_task(self._tick())
        code = await self.done
        ticker.cancel()
        await self._stop()
        return code

    def _end(self, code: int) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(code)

    def _fail(self, reason: str) -> None:
        if self.done is not None and not self.done.done():
            self.failure = reason
            self._end(1)

    async def _tick(self) -> None:
        """Every 250 ms: enforce the time limits of waiting connections, and kill workers that do not respond."""
        while True:
            await asyncio.sleep(0.25)
            now = self.waiting.now()
            for connection in list(self.waiting.connections):
                connection.tick(now)
            limit = 1.5 * self.settings.request_seconds + HANG_SECONDS
            for slot in self.slots:
                if slot.ready and slot.process and now - self.metrics.of(slot.row, m.HEARTBEAT) > limit:
                    log.error("worker %d (process %d) does not respond; it is killed", slot.row, slot.process)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(slot.process, signal.SIGKILL)
                    slot.ready = False

    async def _stop(self) -> None:
        """Stop listening, let the workers answer what they accepted, kill those that take too long; stop the loader."""
        self._accept()  # what the kernel has accepted for us is answered too
        self.loop.remove_reader(self.listener)
        self.listener.close()
        self.waiting.stopping = True
        for slot in self.slots:
            if slot.control is not None:
                with contextlib.suppress(OSError):
                    channel.send(slot.control, {"stop": True})
        end = self.loop.time() + self.settings.stop_seconds + STOP_MARGIN
        while any(slot.control is not None for slot in self.slots) and self.loop.time() < end:
            if not self.loaded:
                break
            await asyncio.sleep(0.02)
        for connection in list(self.waiting.connections):
            connection.wind_down(self.waiting.now(), 0.0)
        for slot in self.slots:
            if slot.control is not None and slot.process:
                log.warning("worker %d did not stop in time; it is killed", slot.row)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(slot.process, signal.SIGKILL)
        self._stop_loader()

    # -- loader -----------------------------------------------------------------------------------------------------

    def _start_loader(self) -> None:
        """Start the loader process and send it the settings."""
        ours, theirs = channel.pair()
        self.loaded = False
        self.loader_control = ours
        with theirs:
            self.loader = subprocess.Popen(
                [sys.executable, str(self.program), "--loader", str(theirs.fileno()), str(self.metrics_fd)],
                pass_fds=(theirs.fileno(), self.metrics_fd),
                stdin=subprocess.DEVNULL,
            )
        channel.send(ours, asdict(self.settings))
        ours.setblocking(False)
        self.loop.add_reader(ours, self._on_loader)

    def _stop_loader(self) -> None:
        """End the loader: by closing its socket, by a kill after half a second."""
        if self.loader_control is not None:
            self.loop.remove_reader(self.loader_control)
            self.loader_control.close()
            self.loader_control = None
        if self.loader is not None:
            try:
                self.loader.wait(0.5)
            except subprocess.TimeoutExpired:
                self.loader.kill()  # still importing
                self.loader.wait()

    def _on_loader(self) -> None:
        """Act on all that the loader has sent: the model is loaded or failed to, a worker was forked or has exited.

        The end of the connection means that the loader has died.
        """
        while self.loader_control is not None:
            try:
                received = channel.receive(self.loader_control)
            except BlockingIOError:
                return
            if received is None:
                self._loader_died()
                return
            message = received[0]
            if "loaded" in message:
                self.loaded = True
                log.info("the handler of model %s is imported", message["loaded"][:12])
                for slot in self.slots:
                    if slot.control is None:
                        self._fork(slot)
            elif "failed" in message:
                self._fail(message["failed"])
            elif "forked" in message:
                self.slots[message["row"] - 1].process = message["forked"]
            elif "exited" in message:
                self._exited(message["exited"], message["how"])

    def _loader_died(self) -> None:
        """Start another loader if the model had been loaded; otherwise end the server with the reason."""
        assert self.loader is not None  # noqa: S101
        assert self.loader_control is not None  # noqa: S101
        self.loop.remove_reader(self.loader_control)
        self.loader_control.close()
        self.loader_control = None
        code = self.loader.wait()
        if not self.loaded:
            self._fail(f"the process that imports the handler died (code {code})")
        elif self.done is not None and not self.done.done():
            log.error("the loader died (code %d); a new one is started", code)
            self._start_loader()

    # -- workers ----------------------------------------------------------------------------------------------------

    def _fork(self, slot: Slot) -> None:
        """Ask the loader to fork a worker for the slot, unless it has one."""
        if self.loader_control is None or not self.loaded or slot.control is not None:
            return
        ours, theirs = channel.pair()
        with theirs:
            try:
                channel.send(self.loader_control, {"fork": slot.row}, (theirs.fileno(),))
            except OSError:  # the loader is dying: its end of file brings a new one, which forks this worker
                ours.close()
                return
        ours.setblocking(False)
        slot.control, slot.process = ours, 0
        slot.ready, slot.loaded, slot.failed = False, False, ""
        slot.sent = int(self.metrics.of(slot.row, m.CLOSED))
        self.loop.add_reader(ours, self._on_worker, slot)

    def _on_worker(self, slot: Slot) -> None:
        """Act on all that the worker of a slot has sent: it is ready, or says why it cannot be.

        The end of the connection means that the worker has died.
        """
        while slot.control is not None:
            try:
                received = channel.receive(slot.control)
            except BlockingIOError:
                return
            if received is None:
                self._lost(slot)
                return
            message = received[0]
            if "ready" in message:
                slot.process, slot.tries = message["ready"], 0
                slot.ready = slot.loaded = True
                log.info("worker %d (process %d) is ready", slot.row, slot.process)
            elif "failed" in message:
                slot.failed = message["failed"]

    def _exited(self, process: int, how: str) -> None:
        """Note why a worker ended, of which the loader has told; its slot is filled by `_lost`."""
        if self.done is None or self.done.done():
            return
        for slot in self.slots:
            if slot.process == process and not slot.loaded and not slot.failed:
                slot.failed = f"a worker died while it loaded the model ({how})"
                return
        log.error("worker process %d ended: %s; it is replaced", process, how)

    def _lost(self, slot: Slot) -> None:
        """The worker closed its end of the channel: it is dead or about to be. Fork another in its place."""
        assert slot.control is not None  # noqa: S101
        self.loop.remove_reader(slot.control)
        slot.control.close()
        slot.control = None
        slot.ready = False
        self.metrics.clear_gauges(slot.row)
        self.loop.call_later(0.2, _reap, slot.process)
        if self.done is None or self.done.done():
            return
        self.metrics.add(m.REPLACED)
        if slot.loaded:
            self._fork(slot)
        else:
            self.loop.call_later(0.2, self._not_loaded, slot)  # how it died is told by the loader

    def _not_loaded(self, slot: Slot) -> None:
        """A worker could not load the model: end the server if no worker is ready, else try again after a pause."""
        reason = slot.failed or "a worker died while it loaded the model"
        if not any(other.ready for other in self.slots):
            self._fail(reason)
            return
        slot.tries += 1
        pause = min(30.0, 2.0**slot.tries)
        log.error("worker %d could not be replaced: %s; next try in %.0f s", slot.row, reason, pause)
        self.loop.call_later(pause, self._fork, slot)

    # -- connections ------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        """Accept at most 256 waiting connections, and hand each to a worker or keep it until one is free."""
        for _ in range(256):
            try:
                accepted, _ = self.listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as problem:  # out of descriptors, or the client left already
                log.warning("a connection could not be accepted: %s", problem)
                return
            with accepted:
                if not self._hand_over(accepted):
                    self._keep(accepted.dup())

    def _hand_over(self, accepted: socket.socket) -> bool:
        """Hand a connection to the ready worker with the fewest, in turn among equals; False if no worker takes it."""
        count = len(self.slots)
        ordered = [self.slots[(self.next + offset) % count] for offset in range(count)]
        candidates = sorted(
            (slot for slot in ordered if slot.ready and self.metrics.of(slot.row, m.READY)), key=self._load
        )
        self.next += 1
        for slot in candidates:
            if slot.control is None or self._load(slot) >= self.settings.connections:
                continue
            try:
                channel.send(slot.control, {}, (accepted.fileno(),))
            except OSError:  # its buffer is full or it just died: the next one
                continue
            slot.sent += 1
            return True
        self.waiting.reason = "all are at their limit of connections" if candidates else "the model is loading"
        return False

    def _load(self, slot: Slot) -> int:
        return slot.sent - int(self.metrics.of(slot.row, m.CLOSED))

    def _keep(self, accepted: socket.socket) -> None:
        """Keep a connection while no worker is ready; it is answered with 503. Above the limit it is closed."""
        if len(self.waiting.connections) >= self.settings.connections:
            accepted.close()
            return
        accepted.setblocking(False)
        task = self.loop.create_task(self.loop.connect_accepted_socket(lambda: Connection(self.waiting), accepted))
        self.opening.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[object]) -> None:
        self.opening.discard(task)
        if not task.cancelled():
            task.exception()  # a client that left before it was served is no news


def _reap(process: int) -> None:
    """Reap a worker whose loader died before it: a container's first process inherits such orphans."""
    if process:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, os.WNOHANG)
