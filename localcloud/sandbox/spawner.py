"""Forks launchers, because a fork takes less than the start of a Python: `python -I -S spawner.py FD`.

FD is a SOCK_SEQPACKET socket to the local cloud. Each message on it carries three descriptors: the control socket of a
new launcher (see `launcher.py`), and the pipes for what its command prints to stdout and stderr. The answer comes over
the control socket: the launcher's process id and a newline, or `-<errno>` and a newline if the machine forks no more.
This process ends when FD is closed; the launchers then end because their own sockets are closed.

A plan is never sent here but to its launcher, so the memory that a launcher is a copy of holds nothing of another
command's. Of descriptors a launcher keeps its control socket, the two pipes and /dev/null as standard input.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys

# -I and -S leave nothing but the standard library on the path.
sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from localcloud.sandbox import launcher

_FILES = 3


def main(requests: socket.socket) -> None:
    """Fork a launcher for each message until the other side closes the socket."""
    # Launchers inherit this; only their commands get the signals that are blocked here.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGCHLD})
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, _collect)
    while True:
        message, files, _, _ = socket.recv_fds(requests, 1, _FILES)
        if not message:
            return
        # Fewer when this process may open no more: the closed socket tells.
        if len(files) == _FILES:
            _fork(requests, *files)
        for file in files:
            os.close(file)


def _collect(*_: object) -> None:
    """Collect the launchers that have ended, so that their processor time counts as this process's children's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _fork(requests: socket.socket, control: int, stdout: int, stderr: int) -> None:
    """Fork a launcher that has these descriptors; this process keeps them too."""
    try:
        process = os.fork()
    except OSError as error:
        with contextlib.suppress(OSError):
            os.write(control, b"-%d\n" % (error.errno or errno.EAGAIN))
        return
    if process:
        return
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        requests.close()
        for number, file in ((1, stdout), (2, stderr)):
            os.dup2(file, number)
            os.close(file)
        os.set_inheritable(control, False)
        os.write(control, b"%d\n" % os.getpid())
        launcher.main(control)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
