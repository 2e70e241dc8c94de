"""Sends log lines to CloudWatch Logs in batches and in order, without a request for each line."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

logger = logging.getLogger("localcloud")

_BATCH_SECONDS = 0.2
_MOST_WAITING = 50_000
# CloudWatch's limit on one event is 256 KiB; a longer line is cut there, with a mark.
_LONGEST = 256 * 1024 - 64

Write = Callable[[str, str, list[dict[str, Any]]], None]


class BatchedLogs:
    """Collects lines and hands them to `write(group, stream, events)` every 0.2 s from one thread.

    A writer that is 50,000 lines ahead waits: memory stays bounded and no line is lost.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: list[tuple[str, str, int, str]] = []
        self._changed = threading.Condition()
        self._busy = False
        self._thread = threading.Thread(target=self._run, name="log-batches", daemon=True)
        self._thread.start()

    def put(self, group: str, stream: str, lines: list[str], timestamp_ms: int | None = None) -> None:
        """Queue lines (without newline) for a stream; group and stream are created if they do not exist."""
        at = int(time.time() * 1000) if timestamp_ms is None else timestamp_ms
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < _MOST_WAITING)
            for line in lines:
                text = line if len(line) <= _LONGEST else line[:_LONGEST] + " ... (line cut)"
                # An empty message is one that CloudWatch refuses.
                self._waiting.append((group, stream, at, text or " "))
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all lines are stored, at most 10 s."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout=10)

    def _run(self) -> None:
        """For ever: write what waits, a call for each log stream; lines that cannot be written are reported and
        dropped.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                self._busy = True
                batch, self._waiting = self._waiting, []
                self._changed.notify_all()
            streams: dict[tuple[str, str], list[dict[str, Any]]] = {}
            for group, stream, at, text in batch:
                streams.setdefault((group, stream), []).append({"timestamp": at, "message": text})
            for (group, stream), events in streams.items():
                try:
                    self._write(group, stream, events)
                except Exception:
                    logger.exception("writing %d lines to %s failed", len(events), group)
            with self._changed:
                self._busy = False
                self._changed.notify_all()
            time.sleep(_BATCH_SECONDS)
