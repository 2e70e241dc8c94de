"""Starts one process of a job, hands on its output line by line as it comes, and ends it with all its children."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

MAX_LINE = 16 * 1024
OnLine = Callable[[str, str], None]
"""Called with "stdout" or "stderr" and one line; from the thread that reads that stream."""


class JobProcess:
    """A running process in a session of its own. `home` is its HOME, by which its descendants are known."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], directory: Path, home: Path, on_line: OnLine
    ) -> None:
        self._home = home
        self._popen = subprocess.Popen(
            argv,
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self._readers = [
            threading.Thread(target=_read, args=(stream, name, on_line), name=f"read-{name}", daemon=True)
            for name, stream in (("stdout", self._popen.stdout), ("stderr", self._popen.stderr))
        ]
        for reader in self._readers:
            reader.start()
        self._timer: threading.Timer | None = None

    @property
    def pid(self) -> int:
        """The process, which is also the id of its session."""
        return self._popen.pid

    def wait(self) -> int:
        """The exit code (negative: a signal) once the process ended, its children are gone and its output is read."""
        code = self._popen.wait()
        if self._timer is not None:
            self._timer.cancel()
        kill_all(self._home, self.pid)
        for reader in self._readers:
            reader.join(5)
        return code

    def terminate(self, grace: float) -> None:
        """Ask all processes of the session to end, and after `grace` seconds make them. Returns at once."""
        if self._timer is not None or self._popen.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        self._timer = threading.Timer(grace, kill_all, (self._home, self.pid))
        self._timer.daemon = True
        self._timer.start()

    def kill(self) -> None:
        """End it and all its children now."""
        kill_all(self._home, self.pid)


def _read(stream: IO[bytes] | None, name: str, on_line: OnLine) -> None:
    """Lines of at most MAX_LINE bytes; a longer one is handed on in pieces. A carriage return ends a line too."""
    if stream is None:
        return
    rest = b""
    while chunk := stream.read(65536):
        *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            _hand_on(line, name, on_line)
        while len(rest) > MAX_LINE:
            piece, rest = rest[:MAX_LINE], rest[MAX_LINE:]
            _hand_on(piece, name, on_line)
    if rest:
        _hand_on(rest, name, on_line)
    stream.close()


def _hand_on(line: bytes, name: str, on_line: OnLine) -> None:
    for start in range(0, len(line), MAX_LINE) or (0,):
        on_line(name, line[start : start + MAX_LINE].decode("utf-8", "replace"))


def kill_all(home: Path, session: int | None = None) -> int:
    """Kill every process whose HOME is `home` or below it, or that is in `session`; how many there were.

    The environment finds what left the session, and what an earlier local cloud left behind.
    """
    count, tried = 0, -1
    # A process may start another one while we look: look again until a pass finds none.
    while tried != count:
        tried = count
        for process in _members(str(home), session):
            with contextlib.suppress(psutil.Error):
                process.kill()
                process.wait(5)
                count += 1
    return count


def _members(home: str, session: int | None) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if session is not None and os.getsid(process.pid) == session:
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
                continue
            theirs = process.environ().get("HOME", "")
            if theirs == home or theirs.startswith(home + "/"):
                found.append(process)
    return found
