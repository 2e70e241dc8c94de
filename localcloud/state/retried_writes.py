"""Writes to the store that are repeated while the database refuses them (full disk, locked file)."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger("localcloud")

T = TypeVar("T")
PAUSE_SECONDS = 1.0


class RetriedWrites:
    """Writes of states that must not be lost, such as the end of a job; what they wait for can be told meanwhile."""

    def __init__(self, pause: float = PAUSE_SECONDS) -> None:
        """`pause` is the time between two attempts in seconds."""
        self._pause = pause
        self._lock = threading.Lock()
        self._waiting: dict[int, str] = {}
        """By thread, why its write is refused."""

    @property
    def refused(self) -> str | None:
        """A sentence while any write waits, for whoever asks how work stands; else None."""
        with self._lock:
            reason = next(iter(self._waiting.values()), None)
        return reason and f"Its state cannot be stored ({reason}): free some space, then it goes on."

    def until_stored(self, write: Callable[[], T], stop_retrying: Callable[[], bool]) -> T:
        """Call `write` until it raises no sqlite3.OperationalError, and return its result. The first failure is logged.

        `stop_retrying` is called after each failure; if it returns True (e.g. because the local cloud is closing), the
        error is raised.
        """
        thread = threading.get_ident()
        try:
            while True:
                try:
                    return write()
                except sqlite3.OperationalError as error:
                    if stop_retrying():
                        raise
                    with self._lock:
                        first = thread not in self._waiting
                        self._waiting[thread] = str(error)
                    if first:
                        logger.warning("state cannot be stored (%s): free some space; it is tried again", error)
                    time.sleep(self._pause)
        finally:
            with self._lock:
                self._waiting.pop(thread, None)
