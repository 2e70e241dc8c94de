"""Starts a command through a launcher, passes on its output line by line, and stops all its processes."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from localcloud.sandbox import launcher, spawner
from localcloud.sandbox.launcher import Plan
from localcloud.sandbox.leftovers import NOTE, Identity, end_marked

logger = logging.getLogger("localcloud")

MAX_LINE = 16 * 1024
OnLine = Callable[[str, str], None]
"""Called with "stdout" or "stderr" and one line, all from one thread."""
_REST_SECONDS = 1.0
"""How long the output of a command that has ended is read on, where a process that is not its own holds it open."""
_PATIENCE_SECONDS = 10.0
"""How long a process that is ours may take to do what it is told. One that takes longer is suspended: it is killed."""


class SandboxError(Exception):
    """The machine could not start the command as planned; the message says what failed. Not the command's fault."""


class Launcher:
    """A launcher that waits for its plan: its process id, its control socket and its command's output."""

    stdout: int
    stderr: int

    def __init__(self, spawner: socket.socket) -> None:
        """Have it forked by the process behind `spawner`.

        EOFError if that process has ended, TimeoutError if it does not answer, another OSError if the machine starts
        no more processes.
        """
        with contextlib.ExitStack() as kept, contextlib.ExitStack() as given:
            self.control, theirs = socket.socketpair()
            kept.callback(self.control.close)
            given.callback(theirs.close)
            files = [theirs.fileno()]
            for name in ("stdout", "stderr"):
                reading, writing = os.pipe()
                kept.callback(os.close, reading)
                given.callback(os.close, writing)
                setattr(self, name, reading)
                files.append(writing)
            socket.send_fds(spawner, [b"\0"], files)
            # Or else the end of the launcher would not be seen.
            given.close()
            self.control.settimeout(_PATIENCE_SECONDS)
            self.pid = self._answer()
            self.control.settimeout(None)
            self._kept = kept.pop_all()

    def _answer(self) -> int:
        """Return the number that the spawner answered; OSError for a negative one, which is an errno."""
        said = b""
        while not said.endswith(b"\n"):
            # A byte at a time: what follows the line belongs to others.
            more = self.control.recv(1)
            if not more:
                raise EOFError
            said += more
        number = int(said)
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return number

    def close(self) -> None:
        """End the spawner and close what belongs to it."""
        self._kept.close()


class Launchers:
    """Starts launchers, from one process that is there for it (see `spawner.py`). May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._popen, self._requests = _start_spawner()

    def start(self) -> Launcher:
        """Return a new launcher; OSError if the machine starts no more processes."""
        used = self._requests
        try:
            return Launcher(used)
        except (EOFError, BrokenPipeError, ConnectionResetError, TimeoutError):
            return Launcher(self._replaced(used))

    def _replaced(self, used: socket.socket) -> socket.socket:
        """The socket of a new spawner instead of the one behind `used`, which was killed or is suspended."""
        with self._lock:
            if self._closed:
                raise OSError("the local cloud is stopping")
            if self._requests is used:
                self._popen.kill()
                self._popen.wait()
                self._popen, self._requests = _start_spawner()
                used.close()
            return self._requests

    def close(self) -> None:
        """Start no more of them; those that are there end with their commands."""
        with self._lock:
            self._closed = True
            self._requests.close()
            try:
                self._popen.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()


def _start_spawner() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a spawner; return its process and the socket on which it takes requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        popen = subprocess.Popen(
            [sys.executable, "-I", "-S", spawner.__file__, str(theirs.fileno())],
            # No secret is in the memory that launchers are copies of.
            env={},
            cwd="/",
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    return popen, ours


class ContainedProcess:
    """A running command. `directory` is its own and holds its identity. May be used from any thread.

    Raises OSError if no process can be started, SandboxError if its launcher ends before it is told what to run, and
    ValueError if a part of the plan holds a null byte.
    """

    def __init__(self, plan: Plan, directory: Path, on_line: OnLine, launchers: Launchers) -> None:
        """Start the process of `plan`.

        Args:
            plan: command, variables, directories and limits.
            directory: of the process; notes there which process it is, so that a later start can end it.
            on_line: called with each line it prints, from a thread.
            launchers: start the launcher that runs the command.
        """
        packed = plan.pack()
        self._launcher = launchers.start()
        self._directory, self._marked = directory, not plan.namespaces
        self._lock = threading.Lock()
        self._code: int | None = None
        self._problem: str | None = None
        self._killed = False
        self.excess = ""
        """Why it was ended by the local cloud, as a sentence, if it took more of the machine than it may."""
        self._timer: threading.Timer | None = None
        self._ended = threading.Event()
        try:
            self._identity = Identity.of(self._launcher.pid)
            self._identity.write(directory / NOTE)
            self._launcher.control.sendall(packed)
        except (BrokenPipeError, ConnectionResetError, ProcessLookupError) as error:
            self._launcher.close()
            raise SandboxError(
                "its launcher ended before it was told what to run; if the program was updated while its local cloud "
                "runs, restart the local cloud"
            ) from error
        except OSError:
            self._launcher.close()
            raise
        try:
            threading.Thread(target=self._watch, args=(on_line,), name="watch-process", daemon=True).start()
        except RuntimeError as error:
            # Its end would not be seen; the closed connection ends it.
            self._launcher.close()
            raise OSError(errno.EAGAIN, "no thread can be started that would watch the process") from error

    def _watch(self, on_line: OnLine) -> None:
        """Pass on the output, read from the launcher how the command ended, and make sure that no process is left."""
        kind, _, text = self._read(on_line).decode("utf-8", "replace").partition(" ")
        code = -9
        if kind == "EXIT":
            code = int(text)
        elif kind == "LIMIT":
            self.excess = f"The local cloud ended it: {text}."
            _pass_on(_Lines("stderr", on_line), os.fsencode(self.excess) + b"\n")
        elif kind == "FAILED":
            self._problem = text
        elif self._marked:
            # The launcher was killed, by us or by somebody: with namespaces the kernel has ended all the rest.
            end_marked(self._directory)
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._launcher.close()
            self._code = code
        self._ended.set()

    def _read(self, on_line: OnLine) -> bytes:
        """Pass on the output until the launcher has ended, which is until all others have; return what it said."""
        said, deadline = b"", None
        with selectors.DefaultSelector() as selector:
            for name in ("stdout", "stderr"):
                file = getattr(self._launcher, name)
                selector.register(file, selectors.EVENT_READ, _Lines(name, on_line))
            selector.register(self._launcher.control, selectors.EVENT_READ)
            while selector.get_map() and (deadline is None or time.monotonic() < deadline):
                for key, _ in selector.select(None if deadline is None else _REST_SECONDS):
                    if key.data is not None:
                        data = os.read(key.fd, 65536)
                        _pass_on(key.data, data)
                    else:
                        data = self._from_launcher()
                        said += data
                    if not data:
                        selector.unregister(key.fileobj)
                        if key.data is None:
                            deadline = time.monotonic() + _REST_SECONDS
        return said

    def _from_launcher(self) -> bytes:
        try:
            return self._launcher.control.recv(65536)
        except OSError:
            return b""

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
                self._launcher.control.send(launcher.TERMINATE)
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
                    self._launcher.control.shutdown(socket.SHUT_WR)
        if not self._ended.wait(_PATIENCE_SECONDS):
            with self._identity.held() as process:
                if process is not None:
                    signal.pidfd_send_signal(process, signal.SIGKILL)
            self._ended.wait()


def _pass_on(lines: _Lines, data: bytes) -> None:
    """Pass output on to its reader; an error of the reader is logged and not raised."""
    try:
        lines.add(data)
    except Exception:
        # The command's end must be seen all the same.
        logger.exception("output of a command could not be passed on")


class _Lines:
    """Splits a stream into lines of at most MAX_LINE bytes; a longer one is passed on in pieces.

    A carriage return ends a line too.
    """

    def __init__(self, name: str, on_line: OnLine) -> None:
        self._name, self._on_line = name, on_line
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        """Pass on the lines that end in these bytes; empty bytes end the stream."""
        *lines, rest = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        while len(rest) > MAX_LINE:
            lines.append(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        if not chunk and rest:
            lines.append(rest)
        self._rest = rest
        for line in lines:
            for start in range(0, len(line), MAX_LINE) or (0,):
                self._on_line(self._name, line[start : start + MAX_LINE].decode("utf-8", "replace"))
