"""Ends processes that a killed local cloud left running, and no others.

A launcher ends by itself, with all it started, when the local cloud is gone. The next local cloud makes sure of that:
each launcher is known by its number, its start in clock ticks since boot and the boot's id, which together are never
given again. Where a launcher without namespaces was killed too, its command's processes are known by a variable.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

NOTE = "process"
"""The file in a command's directory that holds the identity of its launcher."""
VARIABLE = "LOCALCLOUD_DIRECTORY"
"""Names its directory to all processes of a command without namespaces, and of a function."""
_WAIT_MILLISECONDS = 5000


@dataclass(frozen=True)
class Identity:
    """Identifies a process uniquely, even if its PID is reused."""

    pid: int
    started: int
    """Clock ticks after the machine's boot."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> Identity:
        """Return the identity of the process with this PID; ProcessLookupError if there is none."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except FileNotFoundError:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), str(pid)) from None
        return cls(pid, int(fields[19]), Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())

    @classmethod
    def read(cls, note: Path) -> Identity | None:
        """Return the identity that `write` stored in a file; None if there is none."""
        try:
            pid, started, boot = note.read_text(encoding="utf-8").split()
            return cls(int(pid), int(started), boot)
        except (OSError, ValueError):
            return None

    def write(self, note: Path) -> None:
        """Store the identity in a file."""
        note.write_text(str(self), encoding="utf-8")

    def __str__(self) -> str:
        return f"{self.pid} {self.started} {self.boot}\n"

    @contextlib.contextmanager
    def held(self) -> Iterator[int | None]:
        """Yield a pidfd of this process, which stays valid if its PID is reused; None if it has ended."""
        with contextlib.ExitStack() as closing:
            process = None
            with contextlib.suppress(OSError):
                file = os.pidfd_open(self.pid)
                closing.callback(os.close, file)
                process = file if Identity.of(self.pid) == self else None
            yield process


def end_leftovers(notes: Iterable[Path], directory: Path) -> int:
    """Wait 5 s for each launcher whose identity is in `notes` to end, then kill it.

    Also kills processes whose variable VARIABLE names `directory` or a path below it. Returns how many were found.
    """
    found = 0
    for identity in filter(None, map(Identity.read, notes)):
        with identity.held() as process:
            if process is None:
                continue
            found += 1
            if not _ended(process):
                signal.pidfd_send_signal(process, signal.SIGKILL)
                _ended(process)
    return found + end_marked(directory)


def end_marked(directory: Path) -> int:
    """Kill processes whose variable VARIABLE names `directory` or a path below it; return how many."""
    killed: set[int] = set()
    # A process may start another one during a pass: repeat until a pass finds none.
    while found := [process for process in _numbers() if _kill_if_marked(process, os.fsencode(directory))]:
        killed.update(found)
    return len(killed)


def _kill_if_marked(pid: int, directory: bytes) -> bool:
    """Kill a process whose variable VARIABLE names the directory or a path below it; whether it was one."""
    with contextlib.suppress(OSError):
        file = os.pidfd_open(pid)
        try:
            # Held before it is looked at, so that what is killed is what was seen. A zombie has no variables.
            for item in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                name, _, value = item.partition(b"=")
                if name == VARIABLE.encode() and (value + b"/").startswith(directory + b"/"):
                    signal.pidfd_send_signal(file, signal.SIGKILL)
                    return True
        finally:
            os.close(file)
    return False


def _numbers() -> Iterator[int]:
    own = os.getpid()
    return (int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit() and int(entry.name) != own)


def _ended(process: int) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(_WAIT_MILLISECONDS))
