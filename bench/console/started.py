"""Starts a local cloud of its own that serves a version, and a console in front of it; both end with the block."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadingbay.data.samples import write_archive
from loadingbay.target import Target, choose

COMMAND = [sys.executable, "-m", "loadingbay.cli"]
_QUICK = ("--epochs", "3", "--minimum-accuracy", "0.3", "--target-precision", "0.6")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cloud:
    """A local cloud that runs, in a folder that is deleted when it ends."""

    folder: Path
    environment: dict[str, str]

    @property
    def target(self) -> Target:
        """What the command line would work with."""
        return choose(self.environment, self.folder)

    def cli(self, *arguments: str) -> None:
        """Runs a command of `loadingbay`; its output is not shown. CalledProcessError when it fails."""
        subprocess.run([*COMMAND, *arguments], env=self.environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def cloud(port: int) -> Iterator[Cloud]:
    """A local cloud on a port, with version 1 in service: it learned a moment from drawn samples."""
    with tempfile.TemporaryDirectory(prefix="bench-console-") as folder:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LOADINGBAY_"))}
        environment = {**kept, "LOADINGBAY_FOLDER": folder, "LOADINGBAY_PORT": str(port)}
        made = Cloud(Path(folder), environment)
        made.cli("up")
        try:
            write_archive(made.folder / "samples.tar.gz", train=240, test=80)
            made.cli("run", "--approve", "--data", str(made.folder / "samples.tar.gz"), *_QUICK)
            yield made
        finally:
            made.cli("down")


@contextmanager
def console(of: Cloud) -> Iterator[tuple[int, str]]:
    """A console in front of the cloud: its process id, and its address with a one-time token."""
    process = subprocess.Popen(
        [*COMMAND, "console", "--no-open", "--port", "0"], env=of.environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        address = re.search(r"http://\S+", process.stderr.readline())
        assert address
        yield process.pid, address.group()
    finally:
        process.terminate()
        process.wait(20)


def processor_seconds(pid: int) -> float:
    """The processor time that a process has used so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
