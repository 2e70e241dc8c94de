"""The server's own log: no message floods it, and its file does not grow without end."""

import fcntl
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

MOST_A_MINUTE = 20
MOST_BYTES = 10 * 1024 * 1024
_KEPT = 3
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class RateLimit(logging.Filter):
    """Lets the same message (before its values are filled in) through 20 times a minute, then once with the count."""

    def __init__(self, most: int = MOST_A_MINUTE, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._clock = most, clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        key, now = (record.name, str(record.msg)[:200]), self._clock()
        with self._lock:
            began, count = self._seen.get(key, (now, 0))
            left_out = 0
            if now - began >= 60:
                left_out, began, count = max(0, count - self._most), now, 0
            if len(self._seen) > 1000 and key not in self._seen:
                self._seen.clear()
            self._seen[key] = (began, count + 1)
        if left_out:
            record.msg = f"{record.getMessage()} ({left_out} more of these in the minute before were left out)"
            record.args = ()
        return count < self._most


def write_to_stderr() -> None:
    """Let all loggers of this process write warnings and errors to stderr, at a bounded rate."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_FORMAT))
    handler.addFilter(RateLimit())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)


def rotate(descriptor: int = 2, most_bytes: int = MOST_BYTES) -> bool:
    """Start the file that a descriptor appends to anew once it is large, keeping three earlier ones as `.1` to `.3`.

    Whoever started the server holds the file open as well, so its content is moved, not the file. Whether it was.
    """
    status = os.fstat(descriptor)
    appends = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
    if not appends or not stat.S_ISREG(status.st_mode) or status.st_size < most_bytes:
        return False
    path = Path(f"/proc/self/fd/{descriptor}").resolve()
    if not path.is_file():
        return False
    for number in range(_KEPT, 1, -1):
        earlier = path.with_name(f"{path.name}.{number - 1}")
        if earlier.exists():
            earlier.replace(path.with_name(f"{path.name}.{number}"))
    with path.open("rb") as source, path.with_name(f"{path.name}.1").open("wb") as target:
        # The end says why something went wrong; what came before a flood of messages does not.
        source.seek(max(0, status.st_size - most_bytes))
        target.write(source.read(most_bytes))
    os.ftruncate(descriptor, 0)
    return True
