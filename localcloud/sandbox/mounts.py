"""What a command in a mount namespace of its own sees: its own /opt/ml, no home of a local cloud, no disks.

For `launcher.py`, and as lean.
"""

# Paths are bytes here, as the kernel takes them.
from __future__ import annotations

import contextlib
import os
import time

from localcloud.sandbox.kernel import RefusedError, call, libc, mount

TYPE_CHECKING = False  # typing would be in the memory of each launcher
if TYPE_CHECKING:
    from localcloud.sandbox.launcher import Plan

OPT_ML = b"/opt/ml"
_SHARED_MEMORY = b"/dev/shm"
# From <sys/mount.h>.
_NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18


def confine(plan: Plan) -> None:
    """Make the mounts of the plan; they are visible in this mount namespace only."""
    if plan.hostname:
        call("no host name", libc.sethostname(plan.hostname, len(plan.hostname)))
    mount(b"none", b"/", _REC | _PRIVATE)
    # A container whose own /proc is partly masked gets no new one; its processes are then seen, but out of reach.
    with contextlib.suppress(RefusedError):
        mount(b"proc", b"/proc", _NOSUID | _NODEV | _NOEXEC, b"proc")
    # Opened before anything is mounted, because a mount may hide the source of another.
    sources = [os.open(path, os.O_PATH) for path in plan.mounts[::2]]
    shown = [(path, os.open(path, os.O_PATH)) for path in plan.visible if os.path.exists(path)]
    targets = plan.mounts[1::2]
    if OPT_ML in targets and not os.path.isdir(OPT_ML):
        _add_opt_ml()
    if plan.limits and os.path.isdir(_SHARED_MEMORY):
        # What it leaves there ends with it, and counts as its memory.
        _cover(_SHARED_MEMORY, shown, b"mode=1777,size=%d" % (int(plan.limits[1]) // 2))
    for path in plan.hidden:
        if os.path.isdir(path):  # another cloud's home may have been removed meanwhile
            _cover(os.path.realpath(path), shown)
    for source, target in zip(sources, targets, strict=True):
        mount(b"/proc/self/fd/%d" % source, target, _BIND | _REC)
    for file in (*sources, *(file for _, file in shown)):
        os.close(file)
    for device in block_devices():
        mount(b"/dev/null", device, _BIND)


def _add_opt_ml() -> None:
    """Mount a tmpfs on /opt that shows its present entries and an empty directory `ml`."""
    held = [(entry, os.open(entry.path, os.O_PATH | os.O_NOFOLLOW)) for entry in os.scandir(b"/opt")]
    links = {entry.name: os.readlink(entry.path) for entry, _ in held if entry.is_symlink()}
    directories = {entry.name for entry, _ in held if entry.is_dir(follow_symlinks=False)}
    mount(b"tmpfs", b"/opt", _NOSUID | _NODEV, b"tmpfs", b"mode=755,size=1m")
    for entry, file in held:
        if entry.name in links:
            os.symlink(links[entry.name], entry.path)
        else:
            _bind(file, entry.path, directory=entry.name in directories)
        os.close(file)
    os.mkdir(OPT_ML)


def _cover(directory: bytes, shown: list[tuple[bytes, int]], options: bytes = b"mode=755,size=1m") -> None:
    """Make a directory look empty, but for those of `shown` (path, its descriptor) that lie below it.

    `options` are those of the tmpfs that is mounted there.
    """
    mount(b"tmpfs", directory, _NOSUID | _NODEV, b"tmpfs", options)
    for path, file in shown:
        real = os.path.realpath(b"/proc/self/fd/%d" % file)
        for place in {path, real}:
            if os.path.commonpath([directory, place]) == directory and place != directory:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                _bind(file, place, directory=os.path.isdir(b"/proc/self/fd/%d" % file))


def _bind(file: int, target: bytes, *, directory: bool) -> None:
    """Mount what the descriptor `file` refers to at `target`, which is made if it is missing."""
    if directory:
        os.makedirs(target, exist_ok=True)
    else:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT))
    mount(b"/proc/self/fd/%d" % file, target, _BIND | _REC)


_TICK = 10**9
_devices: tuple[int, list[bytes]] = (0, [])
"""When /dev was last changed, in nanoseconds, and the block devices that it held then."""


def block_devices() -> list[bytes]:
    """The block devices in /dev, which would give access to disks regardless of file permissions.

    The spawner calls it before each fork, so that only a changed /dev is read.
    """
    global _devices
    changed = os.stat(b"/dev").st_mtime_ns
    # A clock tick may hide a second change from a file's time.
    if changed != _devices[0] or time.time_ns() - changed < _TICK:
        found = []
        for entry in os.scandir(b"/dev"):
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mode & 0o170000 == 0o060000:
                    found.append(entry.path)
        _devices = (changed, found)
    return _devices[1]
