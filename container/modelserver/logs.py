"""The log: one line an event on standard error, each with the process it comes from."""

from __future__ import annotations

import logging
import sys


def configure() -> None:
    """Send everything from INFO up to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s [%(process)d] %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
