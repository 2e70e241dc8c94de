"""How long the two commands take to start: `.venv/bin/python bench/commands.py [--times 10]` prints a table.

Each line is a whole process, from its start to its end: the help of `loadingbay` and of `localcloud`, beside a Python
that does nothing; then, each time in an empty folder, `localcloud up` (until the port answers), `loadingbay up` (with
the application's stack deployed) and `loadingbay up` once more (nothing to do). Printed are the median, least and most
of the wall clock in seconds, and the median of the processor time of the process itself. Nothing else should be
running on the machine.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

BIN = Path(sys.executable).parent
HELP = (
    ("Python that does nothing", ("python", "-c", "pass")),
    ("loadingbay --help", ("loadingbay", "--help")),
    ("loadingbay run --help", ("loadingbay", "run", "--help")),
    ("localcloud --help", ("localcloud", "--help")),
    ("localcloud up --help", ("localcloud", "up", "--help")),
)


class Taken(NamedTuple):
    """Seconds that one process took: by the clock, and of a processor."""

    wall: float
    processor: float


def main() -> None:
    """Time all commands and print a line for each as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10, help="runs of each command [default: 10]")
    times = parser.parse_args().times
    print(f"{'command':<40} {'median':>7} {'least':>7} {'most':>7} {'processor':>10}   seconds")
    for name, command in HELP:
        timed(command, dict(os.environ))  # what is read from disk the first time is not what is asked
        show(name, [timed(command, dict(os.environ)) for _ in range(times)])
    started = [starts() for _ in range(max(1, times // 3))]
    names = ("localcloud up", "loadingbay up", "loadingbay up, again")
    for name, taken in zip(names, zip(*started, strict=True), strict=True):
        show(name, list(taken))


def timed(command: tuple[str, ...], environment: dict[str, str]) -> Taken:
    """Run a program of this environment to its end; fails if the program does."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [BIN / command[0], *command[1:]],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{' '.join(command)} ended with {process.returncode}"
    return Taken(wall, used.ru_utime + used.ru_stime)


def starts() -> tuple[Taken, Taken, Taken]:
    """Start both in folders of their own, which are empty at first, and stop what was started."""
    with tempfile.TemporaryDirectory(prefix="commands-") as folder:
        home = f"{folder}/home"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOADINGBAY_"))}
        environment = {**kept, "LOADINGBAY_FOLDER": f"{folder}/bay", "LOADINGBAY_PORT": str(free_port())}
        Path(environment["LOADINGBAY_FOLDER"]).mkdir()
        alone = timed(("localcloud", "up", "--home", home, "--port", "0"), environment)
        timed(("localcloud", "down", "--home", home), environment)
        first = timed(("loadingbay", "up"), environment)
        again = timed(("loadingbay", "up"), environment)
        timed(("loadingbay", "down"), environment)
        return alone, first, again


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def show(name: str, taken: list[Taken]) -> None:
    """Print a command's line."""
    wall = [one.wall for one in taken]
    processor = statistics.median(one.processor for one in taken)
    print(
        f"{name:<40} {statistics.median(wall):>7.2f} {min(wall):>7.2f} {max(wall):>7.2f} {processor:>10.2f}", flush=True
    )


if __name__ == "__main__":
    main()
