"""Runs one command in namespaces of its own and ends every process it started; forked by `spawner.py`.

A socket to the program that wants the command run (see `process.py`) has three roles:

- it carries the plan (`Plan.pack`), so that no variable of the command is seen in a command line;
- the byte TERMINATE asks the command's processes to end, and its closing, also because the other side was killed,
  kills them all: so nothing outlives the local cloud;
- back come `EXIT <code>` (negative: a signal), `LIMIT <sentence>` if the command was ended because it took more than
  the plan allows, or `FAILED <sentence>` if this machine did not allow what the plan says.

With namespaces this is process 1 of a PID namespace, whose end the kernel makes the end of all others in it. Without
them it is the subreaper that every orphan below it is handed to. In both ways a process is ended by whose child it is,
and never by a number that another process may have been given meanwhile.

A module that needs nothing but the standard library, and little of that: each fork copies what it holds.
"""

# Paths are bytes here, as the kernel takes them.
from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator

from localcloud.sandbox import usage
from localcloud.sandbox.kernel import RefusedError, attend, call, leave_keyring, libc, prctl
from localcloud.sandbox.mounts import confine, protect

TERMINATE = b"T"
SHARED, ALONE = b"shared", b"alone"
_MORE_TASKS = 256
"""The kernel refuses more tasks than the plan allows and these; the command is ended when it has the first of them."""

# From <sched.h>, <sys/prctl.h> and <linux/capability.h>.
_NEW_MOUNTS = 0x00020000
_NEW_NAMESPACES = _NEW_MOUNTS | 0x04000000 | 0x08000000 | 0x20000000  # mount, UTS, IPC, PID
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_PDEATHSIG, _CAPBSET_DROP, _SUBREAPER, _NO_NEW_PRIVS = 1, 24, 36, 38
_CAPABILITIES_3 = 0x20080522
_INTERFACE_UP, _SET_INTERFACE_FLAGS = 1, 0x8914  # <net/if.h>, <linux/sockios.h>
# What a container's root may do by Docker's default, without making device files: chown, dac_override, fowner, fsetid,
# kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot.
_KEPT_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18)
with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as file:
    _DROPPED_CAPABILITIES = tuple(n for n in range(int(file.read()) + 1) if n not in _KEPT_CAPABILITIES)


class Plan:
    """What to run and what it sees; every value is bytes.

    `argv` and `environment` (NAME=VALUE) are the command's, `cwd` its directory. With `namespaces` ("" for none,
    "user" for a user namespace too, "root" without one) the pairs `mounts` (source, target) are bound, the
    directories `hidden` are covered by empty ones, but for what is in `visible`, and `hostname` is the host's name.
    `network` is SHARED for the machine's, ALONE for one with nothing but a loopback of its own, or a port's number: as
    ALONE, and connections to that port of the machine's 127.0.0.1 are passed on to it (see `relay.py`).
    `limits` are the most tasks, bytes of memory and bytes on the disk of all its processes together (see `usage.py`),
    or empty.
    """

    def __init__(
        self,
        argv: list[bytes],
        environment: list[bytes],
        cwd: bytes,
        namespaces: bytes = b"",
        mounts: list[bytes] | None = None,
        hidden: list[bytes] | None = None,
        visible: list[bytes] | None = None,
        hostname: bytes = b"",
        network: bytes = SHARED,
        limits: list[bytes] | None = None,
    ) -> None:
        self.argv, self.environment, self.cwd, self.namespaces = argv, environment, cwd, namespaces
        self.mounts, self.hidden, self.visible, self.hostname = mounts or [], hidden or [], visible or [], hostname
        self.network, self.limits = network, limits or []

    def pack(self) -> bytes:
        """Return the plan as bytes, preceded by their length; ValueError if a value holds a null byte."""
        lists = [self.argv, self.environment, [self.cwd], [self.namespaces]]
        lists += [self.mounts, self.hidden, self.visible, [self.hostname], [self.network], self.limits]
        fields = [field for values in lists for field in (b"%d" % len(values), *values)]
        if any(b"\0" in field for field in fields):
            raise ValueError("a null byte cannot be part of a command, a variable or a path")
        body = b"\0".join(fields)
        return b"%d\n" % len(body) + body

    @classmethod
    def read(cls, control: int) -> Plan:
        """Read a packed plan from the socket `control`; EOFError if it is closed first."""
        head = b""
        while not head.endswith(b"\n"):
            head += _received(control, 1)
        fields = iter(_received(control, int(head)).split(b"\0"))

        def values() -> list[bytes]:
            return [next(fields) for _ in range(int(next(fields)))]

        argv, environment, [cwd], [namespaces] = values(), values(), values(), values()
        mounts, hidden, visible, [hostname], [network] = values(), values(), values(), values(), values()
        return cls(argv, environment, cwd, namespaces, mounts, hidden, visible, hostname, network, values())


def _received(control: int, size: int) -> bytes:
    """Read exactly `size` bytes from the socket; EOFError if it is closed first."""
    data = b""
    while len(data) < size:
        more = os.read(control, size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class LimitError(Exception):
    """The command takes more of the machine than it may; the message says what."""


def main(control: int) -> None:
    """Read the plan from `control`, run its command, and report how it ended; does not return.

    To be called with all signals but SIGCHLD blocked and their actions the default: those from the command must not
    end this process.
    """
    try:
        plan = Plan.read(control)
        if plan.namespaces:
            _separate(user=plan.namespaces == b"user")
            first = os.fork()
            if first:
                # Its end is awaited here; the kernel lets it end when every process of the namespace has.
                os.waitpid(first, 0)
                os._exit(0)
            prctl("the end of the parent cannot be watched", _PDEATHSIG, signal.SIGKILL)
            if plan.network != SHARED:
                _separate_network(plan.network)
            confine(plan)
            if plan.limits:
                _bound_numbers(int(plan.limits[0]) + _MORE_TASKS)
                attend()
            protect()
        else:
            if plan.network != SHARED:
                _share_network("it allows no namespaces at all")
            prctl("orphans cannot be collected", _SUBREAPER, 1)
        message = b"EXIT %d" % _supervise(plan, control)
    except EOFError:
        message = b""
    except LimitError as error:
        message = b"LIMIT " + os.fsencode(str(error))
    except (RefusedError, OSError) as error:
        message = b"FAILED " + os.fsencode(str(error))
    if message:
        with contextlib.suppress(OSError):
            os.write(control, message)
    if os.getpid() != 1:
        _end_children()
    os._exit(0)


def _separate(*, user: bool) -> None:
    """Enter new namespaces; only children are in the new PID namespace."""
    uid, gid = os.geteuid(), os.getegid()
    call("no new namespace", libc.unshare(_NEW_NAMESPACES | (_NEW_USER if user else 0)))
    if user:
        # The command is root in its own namespace, and the local cloud's user outside of it.
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            _write(f"/proc/self/{name}", text)


def _separate_network(network: bytes) -> None:
    """Leave for a network that holds a loopback only, or say in the command's output that the machine has none."""
    listener = socket.create_server(("127.0.0.1", int(network)), backlog=1024) if network != ALONE else None
    if libc.unshare(_NEW_NETWORK) == -1:
        _share_network(os.strerror(ctypes.get_errno()))
        if listener is not None:
            listener.close()
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", _INTERFACE_UP)
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, request)
    if listener is not None:
        _start_relay(listener, network.decode())
        listener.close()


def _start_relay(listener: socket.socket, port: str) -> None:
    """Start the relay; returns when it has the present mounts for itself: what comes hides its program."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "relay.py")
    started, starting = os.pipe()
    if os.fork() == 0:
        try:
            call("no new namespace", libc.unshare(_NEW_MOUNTS))
            listener.set_inheritable(True)
            os.execv(sys.executable, [sys.executable, "-I", "-S", script, str(listener.fileno()), port])
        finally:
            os._exit(1)
    os.close(starting)
    os.read(started, 1)  # its end is closed by the start of the program
    os.close(started)


def _share_network(reason: str) -> None:
    os.write(
        1, b"This machine gave the process no network of its own (%s): it shares the machine's.\n" % reason.encode()
    )


def _write(path: str, text: str) -> None:
    """Write a text to a file that exists, such as one below /proc."""
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def _drop_capabilities() -> None:
    """Drop all capabilities but those of Docker's default; set-user-ID files cannot restore them."""
    for number in _DROPPED_CAPABILITIES:
        prctl("capabilities cannot be bounded", _CAPBSET_DROP, number)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0)
    held = (ctypes.c_uint32 * 6)()
    call("no capabilities", libc.capget(header, held))
    low = sum(1 << bit for bit in _KEPT_CAPABILITIES)
    data = (ctypes.c_uint32 * 6)(held[0] & low, held[1] & low, 0, 0, 0, 0)
    call("capabilities cannot be dropped", libc.capset(header, data))


def _bound_numbers(most: int) -> None:
    """Let this PID namespace have no numbers above `most`, where the kernel has such a bound for each namespace."""
    # Before, the same file was the whole machine's.
    if usage.kernel_has(6, 14) and usage.is_whole():
        with contextlib.suppress(OSError):
            _write("/proc/sys/kernel/pid_max", str(most))


def _supervise(plan: Plan, control: int) -> int:
    """Run the command and return its exit code; pass TERMINATE on as SIGTERM. EOFError if the socket is closed.

    LimitError if its processes take more than they may.

    A command that dies of SIGTERM itself, such as a shell, may have children that still end in order: they are waited
    for until they have ended or the socket is closed.
    """
    woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    command = os.fork()
    if command == 0:
        _become(plan)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    code, asked = None, False
    limits = [int(limit) for limit in plan.limits] if usage.is_whole() else []
    disk = usage.Disk(plan.cwd, limits.pop()) if limits else None
    looked = time.monotonic()
    while True:
        ready = [file for file, _ in poll.poll(1000 * usage.LOOK_SECONDS if limits else None)]
        if limits and time.monotonic() - looked >= usage.LOOK_SECONDS:
            looked = time.monotonic()
            if excess := usage.excess(*limits) or (disk.excess() if disk else ""):
                raise LimitError(excess)
        if woken in ready:
            os.read(woken, 4096)
            ended, others = _collect(command)
            code = ended if code is None else code
            if code is not None and not (others and asked and code == -signal.SIGTERM):
                return code
        if control in ready:
            if os.read(control, 1) != TERMINATE:
                raise EOFError
            asked = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                # Not collected yet, so the group's number is still the command's.
                os.kill(-1 if os.getpid() == 1 else -command, signal.SIGTERM)


def _collect(command: int) -> tuple[int | None, bool]:
    """Reap children that have ended; return the command's exit code if it is among them, and whether any are left."""
    code = None
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == command:
                code = os.waitstatus_to_exitcode(ended[1])
    except ChildProcessError:
        return code, False
    return code, True


def _become(plan: Plan) -> None:
    """Replace this process by the command; exits with 127 or 126, as a shell does, if it cannot be started."""
    code = 125
    try:
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setsid()
        os.umask(0o022)
        if plan.namespaces:
            _drop_capabilities()
        prctl("privileges cannot be given up", _NO_NEW_PRIVS, 1)
        if plan.limits:
            _bound_processes(int(plan.limits[0]) + _MORE_TASKS)
        leave_keyring()
        _bound(resource.RLIMIT_NOFILE, usage.MOST_FILES)
        _bound(resource.RLIMIT_CORE, 0)
        environment = dict(item.split(b"=", 1) for item in plan.environment)
        os.chdir(plan.cwd)
        code = 127
        os.execvpe(plan.argv[0], plan.argv, environment)
    except (OSError, RefusedError) as error:
        code = 126 if isinstance(error, PermissionError) else code
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        os.write(2, b"%r cannot be started: %s\n" % (os.fsdecode(plan.argv[0]), os.fsencode(reason)))
    finally:
        os._exit(code)


def _bound(what: int, most: int) -> None:
    """Let this process, and all that it starts, have no more of a resource than `most`, or than it could before."""
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _bound_processes(most: int) -> None:
    """Bound the tasks of this process's user; let the kernel end it before others when memory is short."""
    # Before, all tasks of the user counted, also outside of the user namespace.
    if usage.kernel_has(5, 14):
        _bound(resource.RLIMIT_NPROC, most)
    with contextlib.suppress(OSError):
        _write("/proc/self/oom_score_adj", "500")


def _end_children() -> None:
    """Kill and reap children until there are none; orphans of killed children become children of this process."""
    while True:
        for process in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)  # uncollected, so the number is still this child's
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> Iterator[int]:
    """Yield the process ids of the children of this process."""
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                # After the name, which may hold anything: state and parent.
                if int(file.read().rpartition(b")")[2].split()[1]) == own:
                    yield int(name)
