"""How each job begins and ends: JSON it reads, exit status 0, or 1 and a sentence that says why it failed.

The sentence goes to stderr and to the file that SageMaker shows as the job's exit message.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class JobError(Exception):
    """A job cannot do its work; the message is one sentence that names what, which value and what to do."""


def add_message_flag(flags: argparse.ArgumentParser) -> None:
    """Add --message, whose default is the file that SageMaker reads."""
    message = os.environ.get("PROCESSING_MESSAGE", "/opt/ml/output/message")
    flags.add_argument("--message", type=Path, default=message, help="where a failure's sentence goes")


def require(flag: str, value: float | None, low: float, high: float) -> None:
    """JobError unless the value of a flag is left out, or from `low` to `high`."""
    if value is not None and not low <= value <= high:  # true for NaN as well
        raise JobError(f"{flag} {value:g}: must be from {low:g} to {high:g}")


def run(work: Callable[[], None], message: Path) -> int:
    """Call `work`; the exit status: 0, or 1 with the reason in the file `message` and on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no text, or not the log's
    try:
        work()
    except (JobError, OSError) as error:
        reason = str(error) if isinstance(error, JobError) else f"Reading or writing failed: {error}."
        print(reason, file=sys.stderr)
        try:
            message.parent.mkdir(parents=True, exist_ok=True)
            message.write_text(reason[:1000] + "\n", "utf-8", errors="backslashreplace")
        except OSError:
            pass  # the sentence is on stderr; a full disk must not hide it
        return 1
    return 0


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. JobError when the file is missing or holds something else."""
    content = _read_json(path)
    if not isinstance(content, dict):
        raise JobError(f"{path} holds no JSON object")
    return content


def read_list(path: Path) -> list[dict[str, Any]]:
    """The JSON list of objects in a file. JobError when the file is missing or holds something else."""
    content = _read_json(path)
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise JobError(f"{path} holds no JSON list of objects")
    return content


def _read_json(path: Path) -> Any:
    """Return the JSON value in a file; JobError when it is missing or no JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise JobError(f"{path} is missing") from None
    except (ValueError, RecursionError) as error:
        raise JobError(f"{path} is not JSON: {error}") from error
