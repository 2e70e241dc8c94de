"""train.py as a job runs it on a tiny channel, in a process of its own; several folders of tests look at one run."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "training" / "train.py"
FLAGS = ("--classes", "ant,bee", "--epochs", "6", "--folds", "2", "--batch-size", "8", "--workers", "1")


def flags(channel: Path, job: Path, *more: str) -> list[str]:
    """What train.py is given for a job in this folder."""
    places = ["--train", str(channel), "--model-dir", str(job / "model"), "--checkpoints", str(job / "checkpoints")]
    return [*FLAGS, *places, *more]


def command(channel: Path, job: Path, *more: str) -> list[str]:
    """The command of such a job."""
    return [sys.executable, "-u", str(SCRIPT), *flags(channel, job, *more)]


def run(channel: Path, job: Path, *more: str) -> str:
    """Run such a job to its end; what it printed."""
    done = subprocess.run(command(channel, job, *more), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
