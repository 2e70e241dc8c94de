"""Makes the FailureReason of a failed job from its exit code, its message file and its stderr. Pure functions."""

from __future__ import annotations

import errno
import re

MAX_REASON = 1024
_TRACEBACK = "Traceback (most recent call last):"
_FRAME = re.compile(r'  File ".*", line \d+')
_NOTHING_THERE = re.compile(r"(FileNotFoundError|PermissionError|NotADirectoryError)\b.*['\"]/opt(/ml\b|['\"])")
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([^'.]+)")
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""What is installed for the modules whose names are not those of their packages."""
_TOOLKIT = " sagemaker-training-toolkit "
_TOOLKIT_END = "Reporting training FAILURE"
_INSTALLER = "ERROR: "


class JobError(Exception):
    """A job failed. `kind` is the prefix of its FailureReason and says what caused the failure.

    ClientError: the request, its inputs or outputs. AlgorithmError: its code. InternalServerError: the local cloud.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class CancelledError(JobError):
    """A job was stopped before its process was started."""

    def __init__(self) -> None:
        super().__init__("ClientError", "The job was stopped before its process was started")


class ErrorTail:
    """Reads a job's stderr line by line and remembers the last exception, else the last line.

    Lines that the training toolkit writes after the script has failed are ignored.
    """

    def __init__(self) -> None:
        self._in_traceback = False
        self._exception: str | None = None
        self._last: str | None = None
        self._over = False
        self.not_installed: str | None = None
        """What pip said last about what it could not install; None if it said nothing."""

    def line(self, text: str) -> None:
        """Read one line, given without its newline."""
        self._over = self._over or text.endswith(_TOOLKIT_END)
        if self._over or not text.strip() or _TOOLKIT in text:
            return
        self._last = text.strip()
        if text.startswith(_INSTALLER):
            self.not_installed = text.removeprefix(_INSTALLER).strip()
        if text.startswith(_TRACEBACK) or _FRAME.match(text):
            # A SyntaxError of the script itself comes without the heading.
            self._in_traceback = True
        elif self._in_traceback and not text[0].isspace():
            self._exception, self._in_traceback = text.strip(), False

    @property
    def summary(self) -> str | None:
        """The last line of the last traceback; without a traceback the last line; None if there was no line."""
        return self._exception or self._last


def bounded(text: str, limit: int = MAX_REASON) -> str:
    """Return the text cut to at most `limit` characters (1,024: the limit of FailureReason)."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def algorithm_error(
    message: str, tail: ErrorTail, exit_code: int, image: str | None = None, *, mounted: bool = True
) -> JobError:
    """Return the error of a job whose process ended with `exit_code`.

    `message` is what the job wrote to /opt/ml/output/failure or message. The training toolkit writes there only that
    the script failed, not why; then the exception takes its place. A negative exit code is the number of a signal.
    Where the script needs a package that is missing, the reason says what to add for `image`; where it looked for a
    file below /opt/ml and the machine allows none to be `mounted` there, it says so.
    """
    ended = f"exit code: {exit_code}" if exit_code >= 0 else f"killed by signal {-exit_code}"
    written = message.strip()
    if written.startswith("InstallRequirementsError") and tail.not_installed:
        written = f"The requirements.txt beside the script cannot be installed: {tail.not_installed}"
    if written.startswith("ExecuteUserScriptError"):
        written = " ".join(written.split())
        if tail.summary and tail.summary not in written:
            written = tail.summary
    reason = written or tail.summary or "See the job's log for more information"
    missing = _MISSING.search(reason)
    if missing and image:
        line = _DISTRIBUTIONS.get(missing.group(1), missing.group(1))
        ended += f". The environment of the image {image} has no {missing.group(1)}: add the line {line} to a"
        ended += f" requirements.txt beside the script, or {line!r} to the requirements in a rule of your own for the"
        ended += " image (`localcloud up --images FILE`)"
    if not mounted and _NOTHING_THERE.search(reason):
        ended += ". This machine lets ordinary users make no namespaces, so nothing is mounted at /opt/ml: take paths"
        ended += " from arguments and from variables such as SM_MODEL_DIR, which name the job's own directory, or allow"
        ended += " user namespaces (on Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
    return JobError("AlgorithmError", f"{bounded(reason, max(200, MAX_REASON - 60 - len(ended)))}, {ended}")


def sentence(error: OSError) -> str:
    """Return an OSError as a sentence: what failed, on which file, and what to do."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk of the local cloud is full{where}; free some space and run it again"
    if error.errno == errno.EROFS:
        return f"the disk of the local cloud is read-only{where}; make it writable and run it again"
    return f"{error.strerror or error}{where}"
