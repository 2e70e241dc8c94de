"""A thread that calls a function every few seconds, and once more when it is stopped."""

import logging
import threading
from collections.abc import Callable

from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

_STOP_SECONDS = 10.0


class Periodic:
    """Calls `publish` every `seconds` in a thread. An exception is logged with the name `what`, and the calls go on."""

    def __init__(self, what: str, seconds: float, publish: Callable[[], object]) -> None:
        self._what, self._seconds, self._publish = what, seconds, publish
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=what, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Call `publish` a last time and wait for the thread, at most 10 s."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        """Publish every `seconds` until stopped, and once more then."""
        while True:
            stopping = self._stopping.wait(self._seconds)
            try:
                self._publish()
            except (Exception, DiskError):  # whatever it is, it must not end the thread
                logger.exception("%s failed", self._what)
            if stopping:
                return
