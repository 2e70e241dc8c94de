"""Lets one command of a folder at a time do what two must not do at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadingbay.errors import WorkError


@contextmanager
def alone(home: Path, what: str) -> Iterator[None]:
    """Inside the `with` no other process does `what` for the same home; waits until that is so.

    The lock is that of a file beside `home`, and ends with the process that holds it. Processes started inside do not
    inherit it. Raises WorkError when the folder cannot be written to.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home.parent / f".{what}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise WorkError(f"the local cloud cannot keep its state in {home}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
