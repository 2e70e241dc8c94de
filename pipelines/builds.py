"""Builds definitions in a process of their own and keeps them on disk: importing the SDK takes 5 to 10 s."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from pipelines.settings import Settings

_HERE = Path(__file__).resolve().parent


class BuildError(Exception):
    """The SDK refused the definition, or its process died."""


class Builder:
    """Builds definitions in a process of their own and remembers them in `folder`.

    `prepare` starts that process ahead, so that it imports the SDK while the caller learns the settings.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / _code_hash()
        self._process: subprocess.Popen[str] | None = None

    def prepare(self) -> None:
        """Starts the process if nothing is remembered that was built by this code."""
        if self._process is None and not any(self._folder.glob("*.json")):
            self._start()

    def definition(self, settings: Settings) -> str:
        """The definition's JSON text. Raises BuildError with the last line of what the SDK said."""
        text = json.dumps(asdict(settings), sort_keys=True)
        remembered = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
        known = _read(remembered)
        if known is not None:
            self.close()
            return known
        process = self._process or self._start()
        built, said = process.communicate(text)
        self._process = None
        if process.returncode:
            last = (said.strip().splitlines() or [f"its process ended with {process.returncode}"])[-1]
            raise BuildError(f"the pipeline definition could not be built: {last}")
        _write(remembered, built)
        return built

    def close(self) -> None:
        """Ends a process that turned out not to be needed."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        # In a session of its own: ctrl-C is for the caller, who closes it.
        """Start the process that builds; it waits for settings on its standard input."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.builds"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(_HERE.parent)},
        )
        return self._process


def _code_hash() -> str:
    """What a definition depends on beside its settings: this package's text and the SDK's version."""
    digest = hashlib.sha256()
    for name in ("costs.py", "definition.py", "figures.py", "parameters.py", "sdk.py", "settings.py", "steps.py"):
        digest.update((_HERE / name).read_bytes())
    digest.update(f"{version('sagemaker')} {version('sagemaker-core')} {version('sagemaker-mlops')}".encode())
    return digest.hexdigest()[:16]


def _read(path: Path) -> str | None:
    """The definition that is remembered there; None if there is none, or a damaged one, which is built anew."""
    try:
        text = path.read_text("utf-8")
        return text if isinstance(json.loads(text), dict) else None
    except (OSError, ValueError, RecursionError):
        return None


def _write(path: Path, text: str) -> None:
    """Writes all or nothing: a build cut short must not be remembered."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False) as part:
        part.write(text)
    Path(part.name).replace(path)


def _build_from_stdin() -> None:
    """Build the definition of the settings (JSON) on standard input and write it to standard output."""
    from pipelines import definition, sdk

    with sdk.as_nobody():
        sdk.import_sdk()
    settings = Settings(**json.loads(sys.stdin.read()))
    with redirect_stdout(sys.stderr):  # stdout carries the definition and nothing else
        built = definition.build(settings)
    sys.stdout.write(built)


if __name__ == "__main__":
    _build_from_stdin()
