"""What a command may take of the machine: one that takes more is ended, with all that it started, and says why."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localcloud.sandbox import usage
from localcloud.sandbox.process import ContainedProcess, Launchers
from localcloud.sandbox.sandbox import Place, Sandbox, detect

MIB = 1024 * 1024
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def launchers() -> Iterator[Launchers]:
    started = Launchers()
    yield started
    started.close()


@pytest.fixture
def run(tmp_path: Path, launchers: Launchers) -> Run:
    """Runs a program of Python under limits; its exit code, why it was ended, and what it printed."""
    sandbox = detect(tmp_path, launchers, visible=(Path(sys.prefix),))
    if not sandbox.mounts:
        pytest.skip("this machine allows no namespaces, without which nothing is bounded")

    def run(program: str, **limits: Any) -> tuple[int | None, str, list[str]]:
        place = Place(tmp_path)
        lines: list[str] = []
        place.make()
        plan = replace(sandbox, **limits).plan([sys.executable, "-c", program], {"PATH": os.defpath}, place)
        process = ContainedProcess(plan, tmp_path, lambda _, line: lines.append(line), launchers)
        code = process.wait(100)
        process.kill()
        return code, process.excess, lines

    return run


FORKED = "import os, time\nfor _ in range(40):\n    if os.fork() == 0: break\n"


# Each is harmless where nothing ends it: so many processes and bytes, and no more.
@pytest.mark.parametrize(
    "program",
    [
        FORKED + "time.sleep(120)",
        FORKED + "else: time.sleep(120)\nos.setsid()\ntime.sleep(120)",
        "import threading, time\nfor _ in range(40): threading.Thread(target=time.sleep, args=(120,)).start()",
    ],
    ids=["processes", "daemons", "threads"],
)
def test_a_command_with_too_many_processes_or_threads_is_ended(run: Run, program: str) -> None:
    code, excess, lines = run(program, most_tasks=20)

    assert code == -9
    assert "The local cloud ended it: its processes and threads were " in excess
    assert excess.endswith("and it may have 20.")
    assert lines[-1] == excess


@pytest.mark.parametrize(
    "program",
    [
        "import time\nheld = bytearray(b'x') * (60 << 20)\ntime.sleep(120)",
        "import mmap, time\nheld = mmap.mmap(-1, 60 << 20)\nheld.write(b'x' * (60 << 20))\ntime.sleep(120)",
        "import time\nopen('/dev/shm/a', 'wb').write(b'x' * (28 << 20))\nheld = b'x' * (40 << 20)\ntime.sleep(120)",
    ],
    ids=["its own", "shared", "files in shared memory"],
)
def test_a_command_that_takes_too_much_memory_is_ended(run: Run, program: str) -> None:
    code, excess, _ = run(program, most_memory=60 * MIB)

    assert code == -9
    assert excess.startswith("The local cloud ended it: its processes took ")
    assert excess.endswith(f"bytes of memory, and it may take {60 * MIB:,}.")


@pytest.mark.parametrize(
    "program",
    [
        "import time\nfor n in range(60): open(f'/opt/ml/output-{n}', 'wb').write(b'x' * (1 << 20))\ntime.sleep(120)",
        "import time\nopen('/tmp/a', 'wb').write(b'x' * (60 << 20))\ntime.sleep(120)",
        "import os, time\nfile = open('a', 'wb')\nos.unlink('a')\nfile.write(b'x' * (60 << 20))\ntime.sleep(120)",
    ],
    ids=["many", "temporary", "deleted but open"],
)
def test_a_command_that_writes_too_much_is_ended(run: Run, program: str) -> None:
    code, excess, _ = run(program, most_disk=lambda _: 50 * MIB)

    assert code == -9
    assert excess.startswith("The local cloud ended it: its files took ")
    assert excess.endswith(f"bytes of the disk, and they may take {50 * MIB:,}.")


def test_files_of_several_names_and_of_holes_count_once(run: Run) -> None:
    program = (
        "import os, time\nopen('a', 'wb').write(b'x' * (30 << 20))\nos.link('a', 'b')\nos.link('a', 'c')\n"
        "os.truncate(os.open('hole', os.O_CREAT | os.O_WRONLY), 1 << 40)\ntime.sleep(1)"
    )

    assert run(program, most_disk=lambda _: 50 * MIB)[:2] == (0, "")


def test_a_command_may_write_what_its_volume_and_the_images_disk_hold() -> None:
    assert usage.most_disk(1) == 11 * 1024 * MIB
    assert usage.most_disk(None) == 40 * 1024 * MIB


def test_memory_that_processes_share_counts_once(run: Run) -> None:
    program = (
        "import os, time\nheld = b'x' * (40 << 20)\n"
        "for _ in range(4):\n    if os.fork() == 0: os._exit(time.sleep(1) or 0)\ntime.sleep(1)"
    )

    assert run(program, most_memory=120 * MIB)[:2] == (0, "")


def test_files_in_shared_memory_are_bounded_and_its_own(run: Run) -> None:
    program = (
        "import os\nprint(os.listdir('/dev/shm'))\nfile = open('/dev/shm/left', 'wb', 0)\n"
        "try: print(len([file.write(b'x' * 2**20) for _ in range(90)]))\nexcept OSError as error: print(error)"
    )

    code, _, lines = run(program, most_memory=40 * MIB)

    assert (code, lines) == (0, ["[]", "[Errno 28] No space left on device"])
    assert not Path("/dev/shm/left").exists()


def test_the_kernel_ends_a_command_before_others_when_memory_is_short(run: Run) -> None:
    assert run("print(open('/proc/self/oom_score_adj').read().strip())")[2] == ["500"]


def test_the_kernel_refuses_a_little_more_tasks_than_a_command_may_have(run: Run) -> None:
    program = "import resource\nprint(*resource.getrlimit(resource.RLIMIT_NPROC))"

    assert run(program, most_tasks=300)[2] == ["556 556"]


def test_a_command_may_take_most_of_the_machine() -> None:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    assert Sandbox().most_memory == usage.most_memory() <= total
