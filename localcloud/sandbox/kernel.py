"""Calls of the kernel that Python's library lacks, for `launcher.py`; each raises RefusedError with a sentence."""

import ctypes
import os

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
