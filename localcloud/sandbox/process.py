"""Starts a command through a launcher, passes on its output line by line, and stops all its processes.

A launcher takes some milliseconds to be ready, so one is kept in reserve (`Launchers`).
"""

from __future__ import annotations

import contextlib
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from localcloud.sandbox import launcher
from localcloud.sandbox.launcher import Plan
from localcloud.sandbox.leftovers import NOTE, Identity, end_marked

MAX_LINE = 16 * 1024
OnLine = Callable[[str, str], None]
"""Called with "stdout" or "stderr" and one line; from the thread that reads that stream."""


class SandboxError(Exception):
    """The machine could not start the command as planned; the message says what failed. Not the command's fault."""


class _Launcher:
    """A launcher that waits for its plan."""

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair()
        with theirs:
            self.popen = subprocess.Popen(
                [sys.executable, "-I", "-S", launcher.__file__, str(theirs.fileno())],
                # The launcher inherits only its output and the socket; the command's variables are part of the plan.
                env={},
                cwd="/",
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )

    def close(self) -> None:
        self.control.close()
        self.popen.communicate()


class Launchers:
    """Keeps one launcher started in advance. May be used from any thread."""

    def __init__(self) -> None:
        self._reserve: queue.Queue[_Launcher] = queue.Queue(1)
        self._lock = threading.Lock()
        self._closed = False

    def take(self) -> _Launcher:
        """Return the launcher in reserve, or else a new one; starts the next in the background."""
        try:
            taken = self._reserve.get_nowait()
        except queue.Empty:
            taken = _Launcher()
        threading.Thread(target=self._prepare, name="launcher", daemon=True).start()
        return taken

    def _prepare(self) -> None:
        made = _Launcher()
        with self._lock:
            if not self._closed:
                with contextlib.suppress(queue.Full):
                    self._reserve.put_nowait(made)
                    return
        made.close()

    def close(self) -> None:
        """End the one in reserve."""
        with self._lock:
            self._closed = True
        with contextlib.suppress(queue.Empty):
            self._reserve.get_nowait().close()


class ContainedProcess:
    """A running command. `directory` is its own and holds its identity. May be used from any thread.

    Raises OSError if no process can be started, ValueError if a part of the plan holds a null byte.
    """

    def __init__(self, plan: Plan, directory: Path, on_line: OnLine, launchers: Launchers | None = None) -> None:
        """Start the process of `plan`; OSError if the launcher cannot be told.

        Args:
            plan: command, variables, directories and limits.
            directory: of the process; notes there which process it is, so that a later start can end it.
            on_line: called with each line it prints, from a thread.
            launchers: processes started ahead, to take one from; without them one is started here.
        """
        packed = plan.pack()
        taken = launchers.take() if launchers is not None else _Launcher()
        self._popen, self._control = taken.popen, taken.control
        self._directory, self._marked = directory, not plan.namespaces
        self._lock = threading.Lock()
        self._code: int | None = None
        self._problem: str | None = None
        self._killed = False
        self._timer: threading.Timer | None = None
        self._ended = threading.Event()
        try:
            Identity.of(self._popen.pid).write(directory / NOTE)
            self._control.sendall(packed)
        except OSError:
            taken.close()
            raise
        self._readers = [
            threading.Thread(target=_read, args=(stream, name, on_line), name=f"read-{name}", daemon=True)
            for name, stream in (("stdout", self._popen.stdout), ("stderr", self._popen.stderr))
        ]
        for thread in (*self._readers, threading.Thread(target=self._watch, name="watch-process", daemon=True)):
            thread.start()

    def _watch(self) -> None:
        """Read from the launcher how the command ended, and make sure that none of its processes is left."""
        said = b""
        with contextlib.suppress(OSError):
            while more := self._control.recv(65536):
                said += more
        code = self._popen.wait()
        kind, _, text = said.decode("utf-8", "replace").partition(" ")
        if kind == "EXIT":
            code = int(text)
        elif kind == "FAILED":
            self._problem = text
        else:
            # The launcher was killed, by us or by somebody: with namespaces the kernel has ended all the rest.
            code = -9 if self._killed or code == 0 else code
            if self._marked:
                end_marked(self._directory)
        for reader in self._readers:
            reader.join(1)
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._control.close()
            self._code = code
        self._ended.set()

    @property
    def alive(self) -> bool:
        """Whether the command, or anything that it started, still runs."""
        return not self._ended.is_set()

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code (negative: a signal) once all its processes are gone and its output is read; None: too early.

        Raises SandboxError if the machine did not let it start.
        """
        if not self._ended.wait(seconds):
            return None
        if self._problem is not None:
            raise SandboxError(self._problem)
        return self._code

    def terminate(self, grace: float) -> None:
        """Send SIGTERM to its processes, and kill them after `grace` seconds. Returns at once."""
        with self._lock:
            if self._timer is not None or self._code is not None or self._killed:
                return
            with contextlib.suppress(OSError):
                self._control.send(launcher.TERMINATE)
            self._timer = threading.Timer(grace, self.kill)
            self._timer.daemon = True
            self._timer.start()

    def kill(self) -> None:
        """Kill it and all processes it started, and return when they have ended."""
        with self._lock:
            if self._code is None:
                self._killed = True
                with contextlib.suppress(OSError):
                    # The launcher sees the end of the connection, kills and ends.
                    self._control.shutdown(socket.SHUT_WR)
        self._ended.wait()


def _read(stream: IO[bytes] | None, name: str, on_line: OnLine) -> None:
    """Lines of at most MAX_LINE bytes; a longer one is passed on in pieces. A carriage return ends a line too."""
    if stream is None:
        return
    rest = b""
    while chunk := stream.read(65536):
        *lines, rest = (rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            _pass_on(line, name, on_line)
        while len(rest) > MAX_LINE:
            piece, rest = rest[:MAX_LINE], rest[MAX_LINE:]
            _pass_on(piece, name, on_line)
    if rest:
        _pass_on(rest, name, on_line)
    stream.close()


def _pass_on(line: bytes, name: str, on_line: OnLine) -> None:
    for start in range(0, len(line), MAX_LINE) or (0,):
        on_line(name, line[start : start + MAX_LINE].decode("utf-8", "replace"))
