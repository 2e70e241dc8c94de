"""Writes of states that nobody waits for: if the disk is full, they are tried until they are stored."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

logger = logging.getLogger("localcloud")

T = TypeVar("T")
PAUSE = 1.0


def retry_until_stored(write: Callable[[], T], given_up: Callable[[], bool], pause: float = PAUSE) -> T:
    """What `write` returns, once the store takes it. The end of a job is not forgotten because the disk was full then.

    `given_up` is asked after each failure: the local cloud ends, and the state is found out at the next start.
    """
    told = False
    while True:
        try:
            return write()
        except sqlite3.OperationalError as error:
            if given_up():
                raise
            if not told:
                logger.warning("state cannot be stored (%s): free some space; trying again until it works", error)
                told = True
            time.sleep(pause)
