"""Sends log lines to CloudWatch Logs in batches and in order, without a request for each line."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

_BATCH_SECONDS = 0.2
_FULL_SECONDS = 1.0
_MOST_WAITING = 50_000
_MOST_CHARACTERS = 32 * 1024 * 1024
# CloudWatch's limit on one event is 256 KiB; a longer line is cut there, with a mark.
_LONGEST = 256 * 1024 - 64

Write = Callable[[str, str, list[dict[str, Any]]], None]
_Line = tuple[str, str, int, str]
"""Group, stream, time in epoch milliseconds, text."""


class BatchedLogs:
    """Collects lines and hands them to `write(group, stream, events)` every 0.2 s from one thread.

    A writer that is 50,000 lines or 32 Mi characters ahead waits: memory stays bounded and no line is lost. While the
    disk is full lines wait for room; then nobody waits, because a job's end may be what makes room, and the oldest
    lines beyond those are dropped.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: list[_Line] = []
        self._characters = 0
        self._full = False
        self._changed = threading.Condition()
        self._busy = False
        self._thread = threading.Thread(target=self._run, name="log-batches", daemon=True)
        self._thread.start()

    def put(self, group: str, stream: str, lines: list[str], timestamp_ms: int | None = None) -> None:
        """Queue lines (without newline) for a stream; group and stream are created if they do not exist."""
        at = int(time.time() * 1000) if timestamp_ms is None else timestamp_ms
        with self._changed:
            self._changed.wait_for(lambda: self._full or not self._ahead())
            for line in lines:
                text = line if len(line) <= _LONGEST else line[:_LONGEST] + " ... (line cut)"
                # An empty message is one that CloudWatch refuses.
                self._waiting.append((group, stream, at, text or " "))
                self._characters += len(text)
            self._drop_oldest()
            self._changed.notify_all()

    def _ahead(self) -> bool:
        return len(self._waiting) >= _MOST_WAITING or self._characters >= _MOST_CHARACTERS

    def _drop_oldest(self) -> None:
        """While the disk is full, keep no more lines than may wait: a tenth is dropped at once."""
        if self._full and self._ahead():
            dropped = self._waiting[: len(self._waiting) // 10 + 1]
            del self._waiting[: len(dropped)]
            self._characters -= sum(len(text) for *_, text in dropped)
            logger.error("%d log lines were dropped: the disk is full", len(dropped))

    def flush(self) -> None:
        """Wait until all lines are stored, at most 10 s."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout=10)

    def _run(self) -> None:
        """For ever: write what waits. Lines that are refused are reported and dropped, those without room wait on."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
                self._busy = True
                batch, self._waiting, self._characters = self._waiting, [], 0
                self._changed.notify_all()
            left = self._write_batch(batch)
            with self._changed:
                if left and not self._full:
                    logger.error("log lines cannot be stored: the disk is full; they wait for room")
                self._full, self._busy = bool(left), False
                self._waiting = [*left, *self._waiting]
                self._characters += sum(len(text) for *_, text in left)
                self._drop_oldest()
                self._changed.notify_all()
            time.sleep(_FULL_SECONDS if left else _BATCH_SECONDS)

    def _write_batch(self, batch: list[_Line]) -> list[_Line]:
        """Write lines, a call for each log stream; those for which the disk has no room."""
        streams: dict[tuple[str, str], list[_Line]] = {}
        for line in batch:
            streams.setdefault(line[:2], []).append(line)
        left: list[_Line] = []
        for (group, stream), lines in streams.items():
            try:
                self._write(group, stream, [{"timestamp": at, "message": text} for *_, at, text in lines])
            except DiskError:
                left += lines
            except Exception:
                # These lines are lost; those of other streams, and those to come, are not.
                logger.exception("writing %d lines to %s failed", len(lines), group)
        return left
