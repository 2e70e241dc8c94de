"""When MiniStack's state files are written, so that a kill loses nothing that was acknowledged.

MiniStack alone writes them on a graceful stop. Here a request that changes a resource (a stack, a function, a rule, a
queue) is answered after its service's file is written; what traffic changes in the files follows within half a second.
Messages, executions, log lines and S3 objects have stores of their own and are written before the answer.
"""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Protocol

from localcloud.ministack.stacks import STATE as _STACKS
from localcloud.ministack.state_files import Room, Taken
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
    "FilterLogEvents",
    "PutMetricData",
    "Publish",
    "Invoke",
}
# Traffic whose changes in memory are not taken back when they cannot be stored.
_NOT_UNDONE = {"PutEvents", "Publish", "PutMetricData"}
# Work in one of these shows in others: a state machine sends messages, a function writes logs.
_TOUCHES = {
    "states": {"states", "logs", "sqs", "events"},
    "lambda": {"logs", "sqs", "monitoring"},
    "events": {"events", "sqs", "states"},
}
_SOON_SECONDS = 0.3
_STACK_SETTLES_SECONDS = 2.0


class Kind(Enum):
    """What a request does to the state of its service."""

    READS = auto()
    TRAFFIC = auto()
    OBJECT = auto()
    """An object is committed by itself; what the state file has of it can wait."""
    CHANGE = auto()


def kind_of(service: str, operation: str, method: str, path: str) -> Kind:
    """What a request does: by its operation, in REST by its method."""
    if operation in _TRAFFIC or path.endswith("/invocations"):
        return Kind.TRAFFIC
    if _READS.match(operation) or method in ("GET", "HEAD"):
        return Kind.READS
    # A POST to a bucket deletes objects.
    of_object = service == "s3" and ("/" in path.strip("/") or method == "POST")
    return Kind.OBJECT if of_object else Kind.CHANGE


class Files(Protocol):
    """What the saver needs of the state files."""

    def key_of(self, service: str) -> str | None:
        """The name of a service's state file."""

    def keys(self) -> set[str]:
        """The names of all state files."""

    def reserve(self, key: str, size: int) -> Room:
        """Take room for a state file as a request with a body of `size` bytes may change it, or DiskError."""

    def write(self, key: str, room: Room | None = None) -> None:
        """Write one state file, into the room that was taken for it."""

    def take(self, key: str) -> Taken:
        """A service's state as it is now, or DiskError."""

    def put(self, key: str, taken: Taken) -> None:
        """Write a state that was taken, unless a later one is there."""

    def stacks_changing(self) -> bool:
        """Whether a CloudFormation stack changes, which changes other services too."""


class Saver:
    """Knows which state files are out of date and writes them: one before an answer, the others by its own thread.

    A file that cannot be written is tried again and keeps no other from being written.
    """

    def __init__(self, files: Files, settle: Callable[[], None] = lambda: None) -> None:
        """`settle()` commits to the stores what a request changed in other services, e.g. a message by a rule."""
        self._files, self._settle = files, settle
        self._dirty: set[str] = set()
        self._touched: dict[str, set[str]] = {}
        """State files that a service's work changes, by service."""
        self._everything_until = 0.0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="state-saver", daemon=True)
        self._thread.start()

    def before(self, service: str, operation: str, method: str, path: str, size: int) -> Room | None:
        """Take the room that a request with a body of `size` bytes needs, so that it is refused before it changes
        anything: DiskError. None where nothing is changed, or where a store takes back what it could not keep.
        """
        kind, key = kind_of(service, operation, method, path), self._files.key_of(service)
        if key is None or not (kind is Kind.CHANGE or operation in _NOT_UNDONE):
            return None
        return self._files.reserve(key, size)

    async def after(self, service: str, operation: str, method: str, path: str, room: Room | None = None) -> None:
        """Called between a request's work and its answer. DiskError if what it changed cannot be written."""
        kind = kind_of(service, operation, method, path)
        if service == _STACKS:
            await asyncio.to_thread(self._after_stack_request, kind is Kind.READS)
        elif kind is Kind.CHANGE:
            self._settle()
            await asyncio.to_thread(self._write_for_request, service, room)
        elif kind is not Kind.READS:
            if room is not None:
                room.release()
            self._settle()
            self.mark(service)

    def mark(self, service: str) -> None:
        """A service did some work; what that changed, there and in others, is written soon."""
        keys = self._touched.get(service)
        if keys is None:
            found = {self._files.key_of(touched) for touched in _TOUCHES.get(service, {service})}
            keys = self._touched[service] = {key for key in found if key is not None}
        with self._lock:
            self._dirty |= keys
        self._wake.set()

    def _write_for_request(self, service: str, room: Room | None) -> None:
        """Write the state file of a service before its request is answered; DiskError if it cannot be written."""
        key = self._files.key_of(service)
        if key is not None:
            with self._lock:
                self._dirty.discard(key)
            try:
                self._files.write(key, room)
            except BaseException:
                with self._lock:
                    self._dirty.add(key)
                self._wake.set()
                raise

    def _after_stack_request(self, reads: bool) -> None:
        """A stack changes many services from a thread of its own: who asks how it stands gets what is on disk.

        A read fails for nothing, and writes nothing while no stack changes.
        """
        if not reads or self._files.stacks_changing():
            self._mark_everything()
        if time.monotonic() >= self._everything_until:
            return
        errors = self.flush()
        if errors and not reads:
            raise errors.get(_STACKS) or next(iter(errors.values()))

    def _mark_everything(self) -> None:
        with self._lock:
            self._everything_until = time.monotonic() + _STACK_SETTLES_SECONDS
        self._wake.set()

    def flush(self) -> dict[str, BaseException]:
        """Write each file that is out of date; the errors by file, which is tried again later."""
        with self._lock:
            keys, self._dirty = self._dirty, set()
            everything = time.monotonic() < self._everything_until
        errors = self._write(self._files.keys() if everything else keys)
        with self._lock:
            self._dirty |= set(errors)
        return errors

    def _write(self, keys: set[str]) -> dict[str, BaseException]:
        """Write these files; the errors by file.

        The file of stacks is taken before the others and written last, so that a stack which it calls complete has its
        resources on disk. While a stack changes it comes first, so that a kill finds it changing.
        """
        errors: dict[str, BaseException] = {}
        writes = [(key, partial(self._files.write, key)) for key in sorted(keys - {_STACKS})]
        if _STACKS in keys:
            changed = self._files.stacks_changing()
            try:
                write = partial(self._files.put, _STACKS, self._files.take(_STACKS))
            except (Exception, DiskError) as error:
                errors[_STACKS] = error
            else:
                first = changed and self._files.stacks_changing()
                writes.insert(0 if first else len(writes), (_STACKS, write))
        for key, write in writes:
            try:
                write()
            except (Exception, DiskError) as error:
                errors[key] = error
        return errors

    def _run(self) -> None:
        """Until stopped, write what was marked as changed; what cannot be written is logged and tried again."""
        while True:
            self._wake.wait()
            if self._stopped:
                return
            self._wake.clear()
            time.sleep(_SOON_SECONDS)
            started = time.monotonic()
            errors = self.flush()
            for key, error in errors.items():
                logger.error("the state of %s could not be written, it is tried again: %s", key, error)
            # Where writing has become slow it must not become the main thing done.
            time.sleep(min(2 * (time.monotonic() - started) + len(errors), 5.0))
            if self._files.stacks_changing():
                self._mark_everything()
            if errors or time.monotonic() < self._everything_until:
                self._wake.set()

    def stop(self) -> None:
        """Write all files a last time and end; a file that cannot be written is logged."""
        self._stopped = True
        self._wake.set()
        with self._lock:
            self._everything_until = float("inf")
        for key, error in self.flush().items():
            logger.error("the state of %s could not be written: %s", key, error)
