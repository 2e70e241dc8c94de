"""Turns what a failed job left behind into the one sentence that its FailureReason carries. Pure."""

from __future__ import annotations

import re

MAX_REASON = 1024
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'  File ".*", line \d+')
_TOOLKIT = " sagemaker-training-toolkit "
_TOOLKIT_END = "Reporting training FAILURE"


class JobError(Exception):
    """A job cannot go on. `kind` is how SageMaker begins the reason: whose fault it is.

    ClientError: the request, its inputs or outputs. AlgorithmError: the job's own code. InternalServerError: us.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class ErrorTail:
    """Reads a job's stderr line by line and remembers the last exception, else the last line.

    What the training toolkit says after the script has failed is about the toolkit, and is left out.
    """

    def __init__(self) -> None:
        self._in_traceback = False
        self._exception: str | None = None
        self._last: str | None = None
        self._over = False

    def line(self, text: str) -> None:
        """Take one line without its newline."""
        self._over = self._over or text.endswith(_TOOLKIT_END)
        if self._over or not text.strip() or _TOOLKIT in text:
            return
        self._last = text.strip()
        if text.startswith(_TRACEBACK) or _FRAME.match(text):
            # A SyntaxError of the script itself comes without the heading.
            self._in_traceback = True
        elif self._in_traceback and not text[0].isspace():
            self._exception, self._in_traceback = text.strip(), False

    @property
    def summary(self) -> str | None:
        """The last line of the last traceback, or the last line at all."""
        return self._exception or self._last


def bounded(text: str, limit: int = MAX_REASON) -> str:
    """The text cut to what AWS's member holds."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def algorithm_error(message: str, tail: ErrorTail, exit_code: int) -> JobError:
    """What a job that ended with `exit_code` is said to have failed of.

    `message` is what the job wrote to /opt/ml/output/failure or message. The training toolkit writes there only that
    the script failed, not why; then the exception takes its place. A negative exit code is the number of a signal.
    """
    ended = f"exit code: {exit_code}" if exit_code >= 0 else f"killed by signal {-exit_code}"
    written = message.strip()
    if written.startswith("ExecuteUserScriptError"):
        written = " ".join(written.split())
        if tail.summary and tail.summary not in written:
            written = tail.summary
    reason = written or tail.summary or "See the job's log for more information"
    return JobError("AlgorithmError", f"{bounded(reason, MAX_REASON - 60)}, {ended}")
