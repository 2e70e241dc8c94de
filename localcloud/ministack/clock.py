"""Jumps of the machine's clock, which is set while the local cloud runs: by a person, a time server, a virtual machine.

What waits for a time of the day that was reckoned before a jump would wait too long, or not long enough.
"""

import time

_LEAST_SECONDS = 1.0


class Clock:
    """Compares the time of day with a clock that never jumps and goes on while the machine sleeps."""

    def __init__(self) -> None:
        self._offset = _offset()

    def jumped(self) -> float:
        """The seconds by which the time of day was set forward (backward: negative) since the last call; else 0."""
        offset = _offset()
        jump = offset - self._offset
        if abs(jump) < _LEAST_SECONDS:
            return 0.0
        self._offset = offset
        return jump


def _offset() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
