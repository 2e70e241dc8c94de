"""What runs of an execution: it is stopped with all that runs within it, and no wait outlasts that."""

import contextlib
import contextvars
import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from localcloud.ministack.asl.errors import StateError, StoppedError
from localcloud.ministack.threads import Threads

_LONGEST = 99_999_999.0


class Run:
    """An execution, or the branches of one of its states, while it runs."""

    def __init__(self, outer: "Run | None" = None, expires: float | None = None) -> None:
        """`expires` is the time of the monotonic clock when it must have ended; None if there is none."""
        self.expires = expires
        self.entered = 0
        """How many states were entered."""
        self._outer = outer
        self._inner: set[Run] = set()
        self._changed = threading.Condition()
        self._stopped = False

    def __enter__(self) -> "Run":
        if self._outer is not None:
            with self._outer._changed:
                self._outer._inner.add(self)
                self._stopped = self._outer._stopped
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._outer is not None:
            with self._outer._changed:
                self._outer._inner.discard(self)

    def stop(self) -> None:
        """Let all that waits or begins from now on in this run, and within it, raise StoppedError."""
        with self._changed:
            self._stopped = True
            inner = list(self._inner)
            self._changed.notify_all()
        for one in inner:
            one.stop()

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""
        return self._stopped

    def check(self) -> None:
        """StoppedError if this run was stopped."""
        if self._stopped:
            raise StoppedError

    def wake(self) -> None:
        """Let what waits in this run look again whether it still has to."""
        with self._changed:
            self._changed.notify_all()

    @contextlib.contextmanager
    def told_by(self, other: "Run") -> Iterator[None]:
        """Wake this run when `other` is stopped, within the block."""
        teller = _Teller(self)
        with other._changed:
            other._inner.add(teller)
        try:
            yield
        finally:
            with other._changed:
                other._inner.discard(teller)

    def wait_for(self, happened: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait until `happened()`, of which `wake` tells, at most so long; whether it has. StoppedError if stopped."""
        longest = None if seconds is None else min(seconds, threading.TIMEOUT_MAX / 2, _LONGEST)
        with self._changed:
            found = self._changed.wait_for(lambda: self._stopped or happened(), longest)
        self.check()
        return found

    def wait(self, seconds: float) -> None:
        """Wait so long. StoppedError if this run is stopped meanwhile."""
        if seconds > 0:
            self.wait_for(lambda: False, seconds)
        self.check()


class _Teller(Run):
    """Within one run, wakes another one when the first is stopped."""

    def __init__(self, told: Run) -> None:
        super().__init__()
        self._told = told

    def stop(self) -> None:
        """Wake the run that is told of this one's stop."""
        self._told.wake()


class Signal:
    """Something that happens once, for which a run waits. It stands for the emulator's threading.Event."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.happened = False

    def set(self) -> None:
        """Mark what is waited for as happened, and wake the run that waits."""
        self.happened = True
        self._run.wake()


_CURRENT: ContextVar[Run] = ContextVar("run")


def current() -> Run:
    """The run that the calling thread works for; a new one where it works for none, as in TestState."""
    return _CURRENT.get(None) or Run()


def begin(threads: Threads, run: Run, work: Callable[[], Any]) -> None:
    """Do `work`, whose waits belong to a run, in another thread."""
    threads.run(functools.partial(contextvars.copy_context().run, within, run, work))


def within(run: Run, work: Callable[..., Any], *given: Any) -> Any:
    """The result of `work(*given)`, whose waits belong to a run."""
    token = _CURRENT.set(run)
    try:
        return work(*given)
    finally:
        _CURRENT.reset(token)


def submitted(threads: Threads, run: Run, seconds: float | None, work: Callable[..., Any], *given: Any) -> Any:
    """The result of `work(*given)`, done in another thread. TimeoutError after so many seconds, while it goes on."""
    future = threads.submit(contextvars.copy_context().run, work, *given)
    future.add_done_callback(lambda _: run.wake())
    if not run.wait_for(future.done, seconds):
        raise TimeoutError
    return future.result()


def together(threads: Threads, works: Sequence[Callable[[], Any]], most: int) -> list[Any]:
    """The results of all, at most `most` at a time. The first that fails stops the others, and its error is raised."""
    results: list[Any] = [None] * len(works)
    failed: dict[int, Exception] = {}
    ended: list[int] = []
    # Several threads take from it: an iterator over a list gives each item once.
    left = iter(list(enumerate(works)))
    with Run(current()) as group:

        def work() -> None:
            for number, one in left:
                try:
                    results[number] = one()
                except Exception as error:
                    failed[number] = error
                ended.append(number)
                group.wake()
                if failed:
                    return

        for _ in range(min(most, len(works))):
            begin(threads, group, work)
        group.wait_for(lambda: bool(failed) or len(ended) == len(works))
        if failed:
            group.stop()
            first = failed[min(failed)]
            raise first if isinstance(first, StateError) else StateError("States.BranchFailed", str(first))
    return results


def deadline(seconds: float | None) -> float | None:
    """So many seconds from now on the monotonic clock; None for None."""
    return None if seconds is None else time.monotonic() + seconds
