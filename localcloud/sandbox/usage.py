"""What the processes of a PID namespace take of the machine, and whether it is more than they may. For `launcher.py`.

The kernel bounds both for a whole namespace only where a control group was delegated to its user, which on most
machines needs an administrator. So process 1 of the namespace looks four times a second; when it ends, all end.
"""

# pathlib and dataclasses would be in the memory of each launcher.
from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

LOOK_SECONDS = 0.25
_TASKS, _TASKS_A_CORE = 2048, 64
_KEPT_FREE = 512 * 1024**2, 0.1
"""What one command leaves to all others: so many bytes, or this share of the memory if that is more."""
MOST_FILES = 65_536
"""How many descriptors one process may have open."""
GIB = 1024**3
_BESIDE_VOLUME = 10 * GIB
"""For what is not on a job's volume on AWS: temporary files, and packages that it installs."""
_VOLUME_GIGABYTES = 30
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOOK_AT_DISK_SECONDS, _REST = 10.0, 20
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - its own in the namespace


def most_tasks() -> int:
    """How many processes and threads one command may have: 2,048, as Podman's default, and more from 32 cores on."""
    return max(_TASKS, _TASKS_A_CORE * (os.cpu_count() or 1))


def most_memory() -> int:
    """The bytes of memory that one command may take: what this machine or container has, without a tenth."""
    with open("/proc/meminfo", encoding="ascii") as file:
        total = 1024 * int(file.readline().split()[1])
    for path in _limits_of_groups():
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
            total = min(total, int(file.read()))
    return max(total - max(_KEPT_FREE[0], int(total * _KEPT_FREE[1])), total // 2)


def most_disk(gigabytes: int | None) -> int:
    """The bytes that one command's files may take, by its VolumeSizeInGB: of 30 GB if it has none."""
    return (gigabytes or _VOLUME_GIGABYTES) * GIB + _BESIDE_VOLUME


def _limits_of_groups() -> list[str]:
    """The files that bound the memory of this process's control groups; not all of them need to be there."""
    found = []
    with contextlib.suppress(OSError), open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            _, controllers, group = line.rstrip("\n").split(":", 2)
            if controllers == "memory":
                top, name = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
            elif not controllers:
                top, name = "/sys/fs/cgroup", "memory.max"
            else:
                continue
            # In a container the group's path is often that of the machine, where only the uppermost is seen.
            found += [f"{top}{group}/{name}", f"{top}/{name}"]
    return found


def kernel_has(major: int, minor: int) -> bool:
    """Whether this kernel is of this version or a later one."""
    found = os.uname().release.split(".")[:2]
    return all(part.isdecimal() for part in found) and [int(part) for part in found] >= [major, minor]


def is_whole() -> bool:
    """Whether /proc shows the processes of this one's namespace, of which this one is the first."""
    try:
        return os.readlink("/proc/self") == "1"
    except OSError:
        return False


def excess(tasks: int, memory: int) -> str:
    """Why the other processes of this namespace take more than so many tasks and bytes, as a sentence; "" if not."""
    numbers = [name for name in os.listdir("/proc") if name.isdigit() and name != "1"]
    found = resident = 0
    for number in numbers:
        with contextlib.suppress(OSError, IndexError):
            # A folder for each thread, and two links to the folder of them.
            found += os.stat(f"/proc/{number}/task").st_nlink - 2
            with open(f"/proc/{number}/statm", "rb") as file:
                resident += _PAGE * int(file.read().split()[1])
    if found > tasks:
        return f"its processes and threads were {found:,}, and it may have {tasks:,}"
    files = _bytes_of_files()
    # Pages that several processes share count for each of them there.
    if resident + files > memory and (taken := _bytes(numbers, files)) > memory:
        return f"its processes took {taken:,} bytes of memory, and it may take {memory:,}"
    return ""


def _bytes_of_files() -> int:
    """What files in shared memory take."""
    try:
        found = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return 0
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def _bytes(numbers: list[str], files: int) -> int:
    """The memory of processes, each page counted once, without what is only read from the disk."""
    anonymous, shared = 0, 0
    for number in numbers:
        with contextlib.suppress(OSError, IndexError, ValueError), open(f"/proc/{number}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss_Anon:"):
                    anonymous += 1024 * int(line.split()[1])
                elif line.startswith(b"Pss_Shmem:"):
                    shared += 1024 * int(line.split()[1])
    return anonymous + max(shared, files)


class Disk:
    """Looks at what a directory takes of its disk: again when so much was written that it may be too much."""

    def __init__(self, directory: bytes, most: int) -> None:
        self._directory, self._most = directory, most
        self._room, self._free, self._again = 0, 0, 0.0

    def excess(self) -> str:
        """Why the directory's files take more than they may, as a sentence; "" if not, as far as it was looked at."""
        found = os.statvfs(self._directory)
        free, now = found.f_bfree * found.f_frsize, time.monotonic()
        # What others delete meanwhile hides what is written here: so now and then without a reason.
        if self._free - free < self._room and now < self._again:
            return ""
        taken = sum(_bytes_on_disk(self._directory))
        self._free, self._room = free, self._most - taken
        self._again = time.monotonic() + max(_LOOK_AT_DISK_SECONDS, _REST * (time.monotonic() - now))
        if self._room >= 0:
            return ""
        return f"its files took {taken:,} bytes of the disk, and they may take {self._most:,}"


def _bytes_on_disk(directory: bytes) -> Iterator[int]:
    """Yield what each file below a directory takes, and each that a process of this namespace holds though deleted."""
    disk = os.stat(directory).st_dev
    seen: set[int] = set()
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                found = os.lstat(os.path.join(folder, name))
                if found.st_nlink == 1 or found.st_ino not in seen:
                    yield 512 * found.st_blocks
                if found.st_nlink > 1:
                    seen.add(found.st_ino)
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for file in os.listdir(f"/proc/{number}/fd"):
                with contextlib.suppress(OSError):
                    found = os.stat(f"/proc/{number}/fd/{file}")
                    if found.st_nlink == 0 and found.st_dev == disk and found.st_ino not in seen:
                        seen.add(found.st_ino)
                        yield 512 * found.st_blocks
