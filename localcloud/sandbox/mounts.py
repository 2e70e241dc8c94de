"""What a command in a mount namespace of its own sees: its own /opt/ml, /tmp and /dev, and no home of a local cloud.

For `launcher.py`, and as lean.
"""

# Paths are bytes here, as the kernel takes them.
from __future__ import annotations

import contextlib
import os

from localcloud.sandbox.kernel import RefusedError, call, libc, make_read_only, mount

TYPE_CHECKING = False  # typing would be in the memory of each launcher
if TYPE_CHECKING:
    from localcloud.sandbox.launcher import Plan

OPT_ML = b"/opt/ml"
_SHARED_MEMORY = b"/dev/shm"
_SOCKETS = b"/run/user"
"""Where a user's programs, such as the one that starts others, are spoken to."""
_DEVICES = (b"null", b"zero", b"full", b"random", b"urandom", b"tty")
_ACCELERATORS = (b"nvidia", b"kfd", b"dri")
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
    _cover_devices(shown)
    if plan.limits and os.path.isdir(_SHARED_MEMORY):
        # What it leaves there ends with it, and counts as its memory.
        _cover(_SHARED_MEMORY, shown, b"mode=1777,size=%d" % (int(plan.limits[1]) // 2))
    for path in (*plan.hidden, _SOCKETS):
        if os.path.isdir(path):  # another cloud's home may have been removed meanwhile
            _cover(os.path.realpath(path), shown)
    for source, target in zip(sources, targets, strict=True):
        mount(b"/proc/self/fd/%d" % source, target, _BIND | _REC)
        _show(target, shown)
    for file in (*sources, *(file for _, file in shown)):
        os.close(file)


def protect() -> None:
    """Make the settings of the kernel and of the machine read-only, which root's files are for root's commands."""
    for path in (b"/proc/sys", b"/proc/sysrq-trigger"):
        with contextlib.suppress(RefusedError):
            mount(path, path, _BIND | _REC)
            make_read_only(path)
    make_read_only(b"/sys")


def _cover_devices(shown: list[tuple[bytes, int]]) -> None:
    """Make /dev hold what programs need, and no disk, terminal, camera or keyboard of the machine."""
    names = [name for name in os.listdir(b"/dev") if name in _DEVICES or name.startswith(_ACCELERATORS)]
    devices = [(b"/dev/" + name, os.open(b"/dev/" + name, os.O_PATH)) for name in names]
    has_shared_memory = os.path.isdir(_SHARED_MEMORY)
    _cover(b"/dev", devices + shown)
    for _, file in devices:
        os.close(file)
    for number, name in enumerate((b"stdin", b"stdout", b"stderr")):
        os.symlink(b"/proc/self/fd/%d" % number, b"/dev/" + name)
    os.symlink(b"/proc/self/fd", b"/dev/fd")
    os.symlink(b"pts/ptmx", b"/dev/ptmx")
    os.makedirs(b"/dev/pts", exist_ok=True)
    if has_shared_memory:
        os.makedirs(_SHARED_MEMORY, exist_ok=True)
    # Terminals of its own: those of the machine are its user's.
    with contextlib.suppress(RefusedError):
        mount(b"devpts", b"/dev/pts", _NOSUID | _NOEXEC, b"devpts", b"newinstance,ptmxmode=0666,mode=620")


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
    _show(directory, shown)


def _show(directory: bytes, shown: list[tuple[bytes, int]]) -> None:
    """Mount those of `shown` (path, its descriptor) that lie below a directory where they were."""
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
