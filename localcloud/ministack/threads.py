"""Threads that are used again: MiniStack starts one for each execution, for each of its tasks and each invocation.

Starting a thread takes 0.1 to 0.3 ms of processor time, and the thread that starts it waits meanwhile. An execution of
three tasks starts seven.
"""

import contextvars
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import Any

from localcloud.ministack.private_names import find_names

logger = logging.getLogger("localcloud")

Work = Callable[[], None]

_IDLE_SECONDS = 30.0


class Threads:
    """Runs work at once, each piece in a thread of its own: an idle one, or else a new one.

    There is no limit: work that waits for other work never waits for a thread. A thread that is idle for 30 s ends.
    """

    def __init__(self) -> None:
        self._idle: deque[SimpleQueue[Work]] = deque()

    def run(self, work: Work) -> None:
        """Run `work` in a thread, in an empty context, as in a thread that was just started. Does not wait."""
        try:
            # The one that became idle last: its memory is warm, and the others become old enough to end.
            self._idle.pop().put(work)
        except IndexError:
            threading.Thread(target=self._loop, args=(work,), name="reused", daemon=True).start()

    def _loop(self, work: Work | None) -> None:
        """Run `work` and then what comes next, until there is nothing more to do for this thread."""
        mine: SimpleQueue[Work] = SimpleQueue()
        while work is not None:
            try:
                contextvars.Context().run(work)
            except BaseException:
                logger.exception("a thread of the emulator failed")
            # What the work refers to must not live as long as the thread.
            work = None
            self._idle.append(mine)
            work = self._next(mine)

    def _next(self, mine: "SimpleQueue[Work]") -> Work | None:
        """The next work of this thread; None once it has been idle for long and nobody is about to give it some."""
        try:
            return mine.get(timeout=_IDLE_SECONDS)
        except Empty:
            pass
        try:
            self._idle.remove(mine)
        except ValueError:
            return mine.get()
        return None

    def submit(self, work: Callable[..., Any], *given: Any) -> "Future[Any]":
        """Run `work(*given)` in a thread; its result, or what it raised, is in the future."""
        future: Future[Any] = Future()

        def fill() -> None:
            try:
                future.set_result(work(*given))
            except BaseException as error:
                future.set_exception(error)

        self.run(fill)
        return future


def install(threads: Threads, states: Any, runtime: Any) -> None:
    """Let MiniStack's Step Functions (`states`) and Lambda workers (`runtime`) take their threads from `threads`."""
    find_names(states, "threading.Thread")
    find_names(runtime, "threading.Thread")

    class Thread:
        """What MiniStack uses of threading.Thread."""

        def __init__(
            self,
            target: Callable[..., Any],
            args: Iterable[Any] = (),
            kwargs: Mapping[str, Any] | None = None,
            name: str | None = None,
            daemon: bool | None = None,
        ) -> None:
            self._work, self._given, self._named, self.name = target, tuple(args), dict(kwargs or {}), name
            self._ended = threading.Event()
            self._started = False

        def start(self) -> None:
            """Run the target in a thread."""
            self._started = True
            threads.run(self._run)

        def _run(self) -> None:
            try:
                self._work(*self._given, **self._named)
            finally:
                self._ended.set()

        def join(self, timeout: float | None = None) -> None:
            """Wait until the target has returned, at most `timeout` seconds."""
            self._ended.wait(timeout)

        def is_alive(self) -> bool:
            """Whether the target runs."""
            return self._started and not self._ended.is_set()

    class Threading(ModuleType):
        """The threading module with threads that are used again."""

        def __getattr__(self, name: str) -> Any:
            return getattr(threading, name)

    shown = Threading("threading")
    shown.Thread = Thread  # type: ignore[attr-defined]  # a module takes any name
    states.threading = runtime.threading = shown
