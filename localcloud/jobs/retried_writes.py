"""Repeats a write to the store that the database refuses (full disk, locked file) until it succeeds."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger("localcloud")

T = TypeVar("T")
PAUSE_SECONDS = 1.0


def retry_until_stored(write: Callable[[], T], stop_retrying: Callable[[], bool], pause: float = PAUSE_SECONDS) -> T:
    """Call `write` until it raises no sqlite3.OperationalError, and return its result.

    Used for states that must not be lost, such as the end of a job. The first failure is logged.

    Args:
        write: stores the state; called again after each failure.
        stop_retrying: called after each failure; if it returns True (e.g. because the local cloud is closing), the
            error is raised.
        pause: seconds between two attempts.

    Raises:
        sqlite3.OperationalError: the write failed and `stop_retrying` returned True.
    """
    logged = False
    while True:
        try:
            return write()
        except sqlite3.OperationalError as error:
            if stop_retrying():
                raise
            if not logged:
                logger.warning("state cannot be stored (%s): free some space; trying again until it works", error)
                logged = True
            time.sleep(pause)
