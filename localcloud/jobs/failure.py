"""Turns what a failed job left behind into the one sentence that its FailureReason carries. Pure."""

from __future__ import annotations

from collections import deque

MAX_REASON = 1024
_TRACEBACK = "Traceback (most recent call last):"


class JobError(Exception):
    """A job cannot go on. `kind` is how SageMaker begins the reason: whose fault it is.

    ClientError: the request, its inputs or outputs. AlgorithmError: the job's own code. InternalServerError: us.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class ErrorTail:
    """Reads a job's stderr line by line and remembers the last exception, else the last line."""

    def __init__(self) -> None:
        self._in_traceback = False
        self._exception: str | None = None
        self._last: deque[str] = deque(maxlen=1)

    def line(self, text: str) -> None:
        """Take one line without its newline."""
        if text.strip():
            self._last.append(text.strip())
        if text.startswith(_TRACEBACK):
            self._in_traceback = True
        elif self._in_traceback and text.strip() and not text[0].isspace():
            self._exception, self._in_traceback = text.strip(), False

    @property
    def exception(self) -> str | None:
        """The last line of the last traceback."""
        return self._exception

    @property
    def summary(self) -> str | None:
        """The last line of the last traceback, or the last line at all."""
        return self._exception or (self._last[0] if self._last else None)


def last_line(text: str) -> str | None:
    """The last line of a message that is not empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else None


def bounded(text: str, limit: int = MAX_REASON) -> str:
    """The text cut to what AWS's member holds."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def algorithm_error(message: str, tail: ErrorTail, exit_code: int) -> JobError:
    """What a job that ended with `exit_code` is said to have failed of.

    `message` is what the job wrote to /opt/ml/output/failure or message. The training toolkit writes there only that
    the script failed, not why; then the exception goes first. A negative exit code is the number of a signal.
    """
    ended = f"exit code: {exit_code}" if exit_code >= 0 else f"killed by signal {-exit_code}"
    written = message.strip()
    if written.startswith("ExecuteUserScriptError") and tail.exception:
        written = f"{tail.exception} ({' '.join(written.split())})"
    reason = written or tail.summary or "See the job's log for more information"
    return JobError("AlgorithmError", f"{bounded(reason, MAX_REASON - 60)}, {ended}")
