"""One end and one restart of a local cloud for many tests: what each prepares before, and what it finds afterwards."""

import inspect
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Prepare = Callable[[Any], Any]
"""Makes, on a running cloud, what a test looks for after the restart; the test is given what it returns.

It may yield once or twice. What follows the first `yield` is done before the end, together with the same of the other
tests: if it yields LAST, which is for a few requests, right before the end, when the others are done. What follows the
second `yield` is done while no cloud runs.
"""
LAST = "last"


class Restarted:
    """A local cloud that was ended by `kill` or `stop`, and started again."""

    def __init__(self, start: Callable[[], Any], end: str, prepares: Iterable[Prepare]) -> None:
        self._work = {prepare: _Work(prepare) for prepare in prepares}
        ended = start()
        with ThreadPoolExecutor(8) as pool:
            # Some wait for jobs and servers, which run side by side.
            list(pool.map(lambda work: work.begin(ended), self._work.values()))
        with ThreadPoolExecutor(len(self._work)) as pool:
            for when in (None, LAST):
                list(pool.map(_Work.go_on, [work for work in self._work.values() if work.when == when]))
        getattr(ended, end)()
        time.sleep(2)  # what has a limit of time reaches it
        for work in self._work.values():
            work.go_on()
        self.cloud = start()

    def kept(self, prepare: Prepare) -> Any:
        """What a preparation returned; the exception that it raised, if any."""
        work = self._work[prepare]
        if work.error is not None:
            raise work.error
        return work.returned


class _Work:
    """One preparation, as far as it has come."""

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._rest: Generator[str | None, None, Any] | None = None
        self.when: str | None = None
        """What it yielded."""
        self.returned: Any = None
        self.error: Exception | None = None

    def begin(self, cloud: Any) -> None:
        """Do what comes before the first `yield`."""
        try:
            if inspect.isgeneratorfunction(self._prepare):
                self._rest = self._prepare(cloud)
                self.go_on()
            else:
                self.returned = self._prepare(cloud)
        except Exception as error:
            self.error = error

    def go_on(self) -> None:
        """Do what comes up to the next `yield`, if anything."""
        if self._rest is None:
            return
        try:
            self.when = next(self._rest)
        except StopIteration as end:
            self._rest, self.returned = None, end.value
        except Exception as error:
            self._rest, self.error = None, error
