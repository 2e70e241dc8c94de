"""Starts one process of a job, hands on its output line by line as it comes, and ends it with all its children."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from localcloud.jobs.sandbox import Place

MAX_LINE = 16 * 1024
OnLine = Callable[[str, str], None]
"""Called with "stdout" or "stderr" and one line; from the thread that reads that stream."""


class JobProcess:
    """A running process in a session of its own. Its HOME is `place.directory`, by which its descendants are known."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], place: Place, on_line: OnLine) -> None:
        self._place = place
        self._popen = subprocess.Popen(
            argv,
            env=dict(environment),
            cwd=place.ml,
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
        self._ended = False

    @property
    def pid(self) -> int:
        """The process, which is also the id of its session."""
        return self._popen.pid

    def wait(self) -> int:
        """The exit code (negative: a signal) once the process ended, its children are gone and its output is read."""
        code = self._popen.wait()
        if self._timer is not None:
            self._timer.cancel()
        self.kill()
        self._ended = True
        for reader in self._readers:
            reader.join(1)
        return code

    def terminate(self, grace: float) -> None:
        """Ask all processes of the session to end, and after `grace` seconds make them. Returns at once."""
        if self._timer is not None or self._popen.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        self._timer = threading.Timer(grace, kill_all, (self._place.directory, (self._place.note,), self.pid))
        self._timer.daemon = True
        self._timer.start()

    def kill(self) -> None:
        """End it and all its children now; nothing happens once `wait` has returned."""
        if not self._ended:
            kill_all(self._place.directory, (self._place.note,), self.pid)


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


def kill_all(directory: Path, notes: Iterable[Path] = (), session: int | None = None) -> int:
    """Kill every process of the jobs below `directory`, or in `session`; how many there were.

    A job's process is known by its HOME, or by its mount namespace where the sandbox left a note of it: that finds what
    left the session, and what an earlier local cloud left behind.
    """
    namespaces = {text for note in notes if (text := _note(note))}
    killed: set[int] = set()
    deadline = time.monotonic() + 5
    # A process may start another one while we look: look again until a pass finds none.
    while (found := _members(str(directory), session, namespaces)) and time.monotonic() < deadline:
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
                killed.add(process.pid)
        time.sleep(0.002)
    return len(killed)


def _note(path: Path) -> str:
    """The namespace noted in a file; a job's own file of that name is not one."""
    try:
        text = path.read_text()[:100].strip() if path.is_file() and not path.is_symlink() else ""
    except (OSError, UnicodeDecodeError):
        return ""
    return text if text.startswith("mnt:[") and text != str(Path("/proc/self/ns/mnt").readlink()) else ""


def _members(directory: str, session: int | None, namespaces: set[str]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            home = process.environ().get("HOME", "")
            if (
                home == directory
                or home.startswith(directory + "/")
                or (session is not None and os.getsid(process.pid) == session)
                or (namespaces and str(Path(f"/proc/{process.pid}/ns/mnt").readlink()) in namespaces)
            ) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
