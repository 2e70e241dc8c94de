"""Calls of the kernel that Python's library lacks, for `launcher.py`; each raises RefusedError with a sentence."""

import ctypes
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


class RefusedError(Exception):
    """The machine does not allow a part of the plan; the message says which and why."""


def call(what: str, result: int) -> None:
    """RefusedError if a call of the C library has the result -1; `what` begins the message."""
    if result == -1:
        raise RefusedError(f"{what}: {os.strerror(ctypes.get_errno())}")


def prctl(what: str, option: int, value: int) -> None:
    """Set an attribute of this process, see prctl(2)."""
    call(what, libc.prctl(option, value, 0, 0, 0))


def mount(source: bytes, target: bytes, flags: int, kind: bytes | None = None, options: bytes | None = None) -> None:
    """Mount something on an existing path, see mount(2)."""
    if libc.mount(source, target, kind, flags, options) == -1:
        call(f"{os.fsdecode(source)} cannot be mounted on {os.fsdecode(target)}", -1)


# Calls that most C libraries have no function for: their numbers by the machine's architecture.
_SET_SCHEDULING, KEY_CONTROL = {"x86_64": (314, 250), "aarch64": (274, 219)}.get(os.uname().machine, (None, None))
_SET_ATTRIBUTES = 442  # the same everywhere
_READ_ONLY, _RECURSIVE = 1, 0x8000
_JOIN_SESSION_KEYRING = 1
_RESET_ON_FORK = 1
_SLICE_NANOSECONDS = 100_000


def attend() -> None:
    """Let this process, and none that it forks, run soon after it woke, however many others are ready to run.

    It has shorter turns, from Linux 6.12 on; elsewhere without effect.
    """
    if _SET_SCHEDULING is not None:
        attributes = struct.pack("IIQiIQQQ", 48, os.SCHED_OTHER, _RESET_ON_FORK, 0, 0, _SLICE_NANOSECONDS, 0, 0)
        libc.syscall(_SET_SCHEDULING, 0, attributes, 0)


def leave_keyring() -> None:
    """Give this process a session keyring of its own, without the keys of its user's session, see keyctl(2)."""
    if KEY_CONTROL is not None:
        libc.syscall(KEY_CONTROL, _JOIN_SESSION_KEYRING, None)


def make_read_only(mounted: bytes) -> None:
    """Make a mount and all below it read-only, from Linux 5.12 on; elsewhere without effect."""
    attributes = struct.pack("QQQQ", _READ_ONLY, 0, 0, 0)
    libc.syscall(_SET_ATTRIBUTES, -1, mounted, _RECURSIVE, attributes, ctypes.c_size_t(len(attributes)))
