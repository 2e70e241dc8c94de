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


# sched_setattr(2) has no function in most C libraries; its number by the machine's architecture.
_SET_SCHEDULING = {"x86_64": 314, "aarch64": 274}
_RESET_ON_FORK = 1
_SLICE_NANOSECONDS = 100_000


def attend() -> None:
    """Let this process, and none that it forks, run soon after it woke, however many others are ready to run.

    It has shorter turns, from Linux 6.12 on; elsewhere without effect.
    """
    number = _SET_SCHEDULING.get(os.uname().machine)
    if number is not None:
        attributes = struct.pack("IIQiIQQQ", 48, os.SCHED_OTHER, _RESET_ON_FORK, 0, 0, _SLICE_NANOSECONDS, 0, 0)
        libc.syscall(number, 0, attributes, 0)
