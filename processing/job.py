"""How each job ends: with 0, or with 1 and one sentence, on stderr and where SageMaker reads why a job failed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path


class JobError(Exception):
    """A job cannot do its work; the message is one sentence that names what, which value and what to do."""


def add_message_flag(flags: argparse.ArgumentParser) -> None:
    """--message, whose default is the place that SageMaker reads."""
    message = os.environ.get("PROCESSING_MESSAGE", "/opt/ml/output/message")
    flags.add_argument("--message", type=Path, default=message, help="where a failure's sentence goes")


def run(work: Callable[[], None], message: Path) -> int:
    """Does the work. Exit status 0, or 1 with the reason in `message` and on stderr."""
    try:
        work()
    except (JobError, OSError) as error:
        reason = str(error) if isinstance(error, JobError) else f"Reading or writing failed: {error}."
        print(reason, file=sys.stderr)
        try:
            message.parent.mkdir(parents=True, exist_ok=True)
            message.write_text(reason[:1000] + "\n", "utf-8")
        except OSError:
            pass  # the sentence is on stderr; a full disk must not hide it
        return 1
    return 0
