"""The emulator's state is written soon after it changed, so that a kill -9 loses nothing that was acknowledged.

MiniStack alone saves on a graceful stop. Here a request that changes a resource (a stack, a function, a rule, a
queue ...) is answered after its service's state is on disk. Traffic (executions, messages, invocations, log lines)
is saved within half a second, because writing each would cost more than the work itself. S3 objects are files.
"""

import asyncio
import logging
import re
import threading
import time
from typing import Protocol

from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

_READS = re.compile(r"^(Get|List|Describe|Batch(Get|Describe)|Head|Lookup|Search|Validate|Simulate|Estimate|Preview)")
_TRAFFIC = {
    "StartExecution",
    "StartSyncExecution",
    "StopExecution",
    "SendTaskSuccess",
    "SendTaskFailure",
    "SendMessage",
    "SendMessageBatch",
    "ReceiveMessage",
    "DeleteMessage",
    "DeleteMessageBatch",
    "ChangeMessageVisibility",
    "PutEvents",
    "PutLogEvents",
    "PutMetricData",
    "Publish",
    "Invoke",
}
# Work in one of these shows in others: a state machine sends messages, a function writes logs.
_TOUCHES = {
    "states": {"states", "logs", "sqs", "events"},
    "lambda": {"logs", "sqs", "monitoring"},
    "events": {"events", "sqs", "states"},
}
_SOON_SECONDS = 0.3


class Savable(Protocol):
    """What the saver needs of the emulator."""

    def state_key(self, service: str) -> str | None:
        """The state file of a service."""

    def save(self, keys: set[str] | None = None) -> None:
        """Write state files."""


class Saver:
    """Knows which services changed, and writes them: at once on demand, else by its own thread."""

    def __init__(self, emulator: Savable) -> None:
        self._emulator = emulator
        self._dirty: set[str] = set()
        self._everything_until = 0.0
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="state-saver", daemon=True)
        self._thread.start()

    async def after(self, service: str, operation: str, method: str, path: str) -> None:
        """Called between a request's work and its answer."""
        if service == "cloudformation":
            # A stack changes many services from a thread of its own; whoever asks how it stands gets saved news.
            self._mark_everything(2.0)
            await asyncio.to_thread(self.flush)
        elif operation in _TRAFFIC or path.endswith("/invocations"):
            self.mark(service)
        elif service == "s3" and "/" in path.strip("/"):
            # An object is a file of its own, written before the answer; what the state holds of it can wait.
            if method not in ("GET", "HEAD"):
                self.mark(service)
        elif not _READS.match(operation) and method not in ("GET", "HEAD"):
            self._mark({service})
            await asyncio.to_thread(self.flush)

    def mark(self, service: str) -> None:
        """A service did some work; what that changed, there and in others, is written soon."""
        self._mark(_TOUCHES.get(service, {service}))

    def _mark(self, services: set[str]) -> None:
        with self._lock:
            keys = {self._emulator.state_key(service) for service in services}
            self._dirty |= {key for key in keys if key is not None}
        self._wake.set()

    def _mark_everything(self, seconds: float) -> None:
        with self._lock:
            self._everything_until = time.monotonic() + seconds
        self._wake.set()

    def flush(self) -> None:
        """Write what is marked, now; waits for a write that is under way."""
        with self._writing:
            with self._lock:
                keys, self._dirty = self._dirty, set()
                everything = time.monotonic() < self._everything_until
            try:
                if everything:
                    self._emulator.save(None)
                elif keys:
                    self._emulator.save(keys)
            except BaseException:
                # Not forgotten: the next write has them too.
                with self._lock:
                    self._dirty |= keys
                self._wake.set()
                raise

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if self._stopped:
                return
            self._wake.clear()
            time.sleep(_SOON_SECONDS)
            started = time.monotonic()
            try:
                self.flush()
            except (Exception, DiskError):
                logger.exception("saving the emulator's state failed")
            # Where saving has become slow it must not become the main thing done.
            time.sleep(min(2 * (time.monotonic() - started), 5.0))
            with self._lock:
                if time.monotonic() < self._everything_until:
                    self._wake.set()

    def stop(self) -> None:
        """Write everything a last time and end."""
        self._stopped = True
        self._wake.set()
        self._emulator.save(None)
