"""Lambda workers bounded by cores and memory.

Unpatched, MiniStack starts a process for each invocation that finds none idle (60 for a bulk of photos, 2.6 GB), and
keeps them for minutes.
"""

import os
import re
import sys
import threading
import time
from typing import Any

import psutil

from localcloud.ministack.private_names import find_names

_WORKER_BYTES = 60 * 2**20
_PART_OF_MEMORY = 8
# Where none became free for so long, one invocation gets one more: those that are taken may be waiting for it.
_LONGEST_WAIT_SECONDS = 10.0
_PEAK = re.compile(rb"^VmHWM:\s+(\d+) kB", re.MULTILINE)


def limits(cores: int, memory: int) -> tuple[int, int]:
    """The most workers of one function, and of all together, on a machine with `memory` bytes."""
    together = max(cores, min(8 * cores, memory // _PART_OF_MEMORY // _WORKER_BYTES))
    return min(2 * cores, together), together


class Workers:
    """Replaces how ministack.core.lambda_runtime leases workers."""

    def __init__(self, runtime: Any, service: Any) -> None:
        """Replace MiniStack's giving out of Lambda workers by one with limits; PrivateNameError if it lacks one."""
        names = (
            "_workers",
            "_lock",
            "_worker_key",
            "_worker_class_for",
            "kill_workers",
            "acquire_worker",
            "release_worker",
        )
        find_names(runtime, *names)
        find_names(service, "_invoke_depth", "acquire_worker", "release_worker")
        self._runtime, self._service = runtime, service
        self._each, self._together = limits(len(os.sched_getaffinity(0)), psutil.virtual_memory().total)
        self._free = threading.Condition(runtime._lock)
        self._moved = time.monotonic()
        """When a worker was last given out or back."""
        self._invocation = threading.local()
        """Of this thread's invocation: `since` it has its worker, and the most memory that the worker had."""
        runtime.acquire_worker = service.acquire_worker = self.acquire
        runtime.release_worker = service.release_worker = self.release
        # Threads of executions, requests and stores take turns: with the default of 5 ms each that waits for its turn
        # after a read or a write, of which an execution has dozens, would wait that long.
        sys.setswitchinterval(0.001)

    def acquire(
        self,
        name: str,
        config: dict[str, Any],
        code: bytes,
        qualifier: str = "$LATEST",
        max_concurrency: int | None = None,
    ) -> tuple[Any, str]:
        """A worker for one invocation: one that is idle, a new one within the limits, or the next that becomes free.

        An invocation made by a function does not wait: the function that waits for it has a worker. Returns the worker
        and "reused" or "spawn"; give it back with `release`.
        """
        key, nested, doomed = (
            self._runtime._worker_key(name, config, qualifier),
            self._service._invoke_depth.get() > 1,
            [],
        )
        try:
            with self._free:
                while True:
                    workers = self._runtime._workers.setdefault(key, [])
                    # The one used last, so that the others become old enough to be ended.
                    idle = max((w for w in workers if not w.in_use), key=lambda w: w.last_used, default=None)
                    if idle is not None:
                        return self._leased(idle), "reused"
                    patience = self._moved + _LONGEST_WAIT_SECONDS - time.monotonic()
                    may_wait = not nested and workers and patience > 0
                    if len(workers) < self._each or not may_wait:
                        doomed += self._make_room(key)
                        if self._count() < self._together or not may_wait:
                            worker = self._runtime._worker_class_for(config)(name, config, code)
                            workers.append(worker)
                            return self._leased(worker), "spawn"
                    self._free.wait(max(0.01, patience))
        finally:
            self._runtime.kill_workers(doomed)

    def _leased(self, worker: Any) -> Any:
        self._moved = self._invocation.since = time.monotonic()
        self._invocation.megabytes = 0
        worker.in_use, worker.last_used = True, time.time()
        return worker

    def _count(self) -> int:
        return sum(len(workers) for workers in self._runtime._workers.values())

    def _make_room(self, key: str) -> list[Any]:
        """Take an idle worker from another function, where all workers together are at their limit."""
        if self._count() < self._together:
            return []
        others = [
            (worker.last_used, other, worker)
            for other, workers in self._runtime._workers.items()
            for worker in workers
            if other != key and not worker.in_use
        ]
        if not others:
            return []
        _, other, worker = min(others, key=lambda one: one[0])
        self._runtime._workers[other].remove(worker)
        return [worker]

    def release(self, worker: Any) -> None:
        """Give a worker back; an invocation that waits for one gets it."""
        if worker is not None:
            self._invocation.megabytes = getattr(worker, "megabytes", 0) or _peak_megabytes(worker._proc)
            with self._free:
                self._moved = time.monotonic()
                worker.in_use, worker.last_used = False, time.time()
                self._free.notify_all()

    def usage(self) -> tuple[float, int]:
        """Milliseconds since this thread's invocation has its worker, without the wait for it, and the worker's MB."""
        since = getattr(self._invocation, "since", None)
        took = 0.0 if since is None else (time.monotonic() - since) * 1000
        return took, getattr(self._invocation, "megabytes", 0)


def _peak_megabytes(process: Any) -> int:
    """The most memory that a worker's process had resident, in MB; 0 when it has ended (proc(5), VmHWM)."""
    try:
        file = os.open(f"/proc/{process.pid}/status", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return 0
    try:
        peak = _PEAK.search(os.read(file, 4096))
    except ProcessLookupError:
        return 0
    finally:
        os.close(file)
    return int(peak[1]) // 1024 if peak else 0
