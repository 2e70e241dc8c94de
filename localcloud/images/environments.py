"""Makes the environments that stand for images with uv, once each, and keeps them for every local cloud of the user."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from uv import find_uv_bin

from localcloud.images.catalog import Rule, UnknownImageError, find
from localcloud.images.functions import for_function
from localcloud.images.reasons import reason

PROGRAMS = Path(__file__).parent / "programs"
_COMPLETE = "localcloud.json"
"""In an environment: what it was made from. It is written last, so an environment without it is half made."""
_POLL_SECONDS = 0.2
_MAX_LINES = 2000
"""Of the installer's output that are looked through for the reason of a failure: a build may print its whole log."""

Say = Callable[[str], None]
"""Called with a line of progress."""


class InstallError(Exception):
    """An environment could not be made; the message is a sentence with the installer's reason."""


@dataclass(frozen=True)
class Runtime:
    """What a process of an image runs in: a virtual environment, a directory whose bin/ comes before it, variables."""

    environment: Path
    root: Path
    variables: Mapping[str, str] = field(default_factory=dict)


def installer_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of a shell's variables that the installer needs: where programs, caches, indexes and proxies are."""
    kept = ("HOME", "PATH", "TMPDIR", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    return {
        name: value
        for name, value in variables.items()
        if name in kept or name.startswith(("UV_", "PYENV_")) or name.lower().endswith("_proxy")
    }


class Images:
    """The images that a local cloud knows, and their environments below `folder`. May be used from any thread.

    `fallback` stands for every address that no rule matches; without it such an address is refused. `installer` are
    the environment variables for uv, such as the address of a package index.
    """

    def __init__(
        self, folder: Path, rules: Sequence[Rule], fallback: Runtime | None, installer: Mapping[str, str]
    ) -> None:
        self._folder, self._rules, self._fallback, self._installer = folder, rules, fallback, installer

    @property
    def visible(self) -> tuple[Path, ...]:
        """The directories that processes need, wherever they lie."""
        fallback = (self._fallback.environment, self._fallback.root) if self._fallback is not None else ()
        given = [rule.environment for rule in self._rules if rule.environment is not None]
        return (PROGRAMS, self._folder, *fallback, *given)

    def check(self, address: str) -> None:
        """Raise UnknownImageError if nothing stands for the image at this address."""
        try:
            find(self._rules, address)
        except UnknownImageError:
            if self._fallback is None:
                raise

    def metric_definitions(self, address: str) -> list[dict[str, str]]:
        """The MetricDefinitions of the algorithm that the image at this address holds; empty if it has none."""
        try:
            return find(self._rules, address).metric_definitions()
        except UnknownImageError:
            return []

    def entrypoint(self, address: str) -> tuple[str, ...]:
        """The command of a processing job that names none, in the image at this address; empty if it has none."""
        try:
            return find(self._rules, address).entrypoint
        except UnknownImageError:
            return ()

    def prepare(self, address: str, say: Say, cancelled: threading.Event, command: Sequence[str] = ()) -> Runtime:
        """Return what stands for the image, made first if it is not there; that may take minutes.

        `say` gets the lines of progress, and a sentence if the library's version is not the tag's. `command` is what
        will run in it: a function of @step has an environment of the Python and the SDK that it comes from.
        UnknownImageError; InstallError, also once `cancelled` is set.
        """
        try:
            rule = for_function(find(self._rules, address), command)
        except UnknownImageError:
            if self._fallback is None:
                raise
            return self._fallback
        difference = rule.difference(address)
        if difference:
            say(difference)
        environment = rule.environment or self._made(rule, say, cancelled)
        return Runtime(environment, PROGRAMS, {"LOCALCLOUD_IMAGE": address, **rule.variables})

    def make(self, rule: Rule, say: Say) -> Path:
        """Return a rule's environment, made first if it is not there. InstallError."""
        return rule.environment or self._made(rule, say, threading.Event())

    def listed(self) -> Iterator[tuple[Rule, Path, bool]]:
        """Each rule with the place of its environment and whether that has been made."""
        for rule in (one for one in self._rules if not one.refused):
            place = rule.environment or self._place(rule)
            yield rule, place, rule.environment is not None or (place / _COMPLETE).exists()

    def _place(self, rule: Rule) -> Path:
        what = json.dumps([rule.python, *rule.requirements]).encode()
        return self._folder / f"{rule.name}-{hashlib.sha256(what).hexdigest()[:12]}"

    def _made(self, rule: Rule, say: Say, cancelled: threading.Event) -> Path:
        """Return the virtual environment of a rule, made first if it is not complete; InstallError."""
        place = self._place(rule)
        if not (place / _COMPLETE).exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with _locked(place.with_name(f"{place.name}.lock"), lambda: self._wait(rule, say), cancelled):
                # Another process may have made it while this one waited.
                if not (place / _COMPLETE).exists():
                    self._make(rule, place, say, cancelled)
        # For the programs of this local cloud, wherever it is installed.
        packages = next(place.glob("lib/python3.*/site-packages"))
        _write_if_other(packages / "localcloud_programs.pth", f"{PROGRAMS}\n")
        return place

    @staticmethod
    def _wait(rule: Rule, say: Say) -> None:
        say(f"Waiting for the environment {rule.name}, which is being made for another job.")

    def _make(self, rule: Rule, place: Path, say: Say, cancelled: threading.Event) -> None:
        """Make the virtual environment of a rule at `place`; if it fails or is cancelled, nothing of it is left.

        Raises InstallError with the installer's reason in one sentence.
        """
        say(f"Making the environment {rule.name} for the first time, in {place}.")
        shutil.rmtree(place, ignore_errors=True)
        uv = find_uv_bin()
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        python = sys.executable if rule.python == own else rule.python
        try:
            # With pip: scripts and AWS's toolkit install a job's requirements.txt with it.
            self._run([uv, "venv", "--seed", "--python", python, str(place)], rule, say, cancelled)
            if rule.requirements:
                install = [uv, "pip", "install", "--python", str(place / "bin" / "python"), "--requirements", "-"]
                self._run(install, rule, say, cancelled, "\n".join(rule.requirements))
            made_from = {"name": rule.name, "python": rule.python, "requirements": rule.requirements}
            (place / _COMPLETE).write_text(json.dumps(made_from, indent=2) + "\n")
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise

    def _run(self, command: list[str], rule: Rule, say: Say, cancelled: threading.Event, given: str = "") -> None:
        """Run an installer command with `given` as its input, passing its output to `say`; InstallError if it fails."""
        lines: deque[str] = deque(maxlen=_MAX_LINES)
        with subprocess.Popen(
            # What is installed is for any user's job to read, and this server's files are not.
            ["/bin/sh", "-c", 'umask 022 && exec "$@"', "sh", *command],
            env={**self._installer, "NO_COLOR": "1", "UV_NO_PROGRESS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            reader = threading.Thread(target=_read, args=(process, lines, say), daemon=True)
            reader.start()
            if process.stdin is not None:
                process.stdin.write(given)
                process.stdin.close()
            while process.poll() is None:
                if cancelled.wait(_POLL_SECONDS):
                    process.kill()
                    raise InstallError(f"Making the environment {rule.name} was stopped.")
            reader.join()
        if process.returncode != 0:
            why = reason(lines, process.returncode)
            raise InstallError(f"The environment {rule.name} could not be made: {why}.")


def _read(process: subprocess.Popen[str], lines: deque[str], say: Say) -> None:
    for line in process.stdout or ():
        lines.append(line)
        say(line.rstrip())


@contextmanager
def _locked(path: Path, waiting: Callable[[], None], cancelled: threading.Event) -> Iterator[None]:
    """Hold the lock of a file, which other processes and threads wait for; it ends with the process that holds it."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600)) as file:
        said = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    waiting()
                    said = True
                if cancelled.wait(_POLL_SECONDS):
                    raise InstallError("The job was stopped while it waited for its environment.") from None
        yield


def _write_if_other(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
