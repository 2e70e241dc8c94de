"""Plans what a command sees: its own /opt/ml and no other process; without namespaces, rewritten paths.

With namespaces the command's directory is mounted on /opt/ml and a folder of it on /tmp, the homes of this and the
user's other local clouds look empty, and no process but the command's own can be seen or signalled. Without them
(`Sandbox()`), every path below /opt/ml in the command, its variables and its configuration is rewritten to the
command's directory, and its processes are ended by their parentage. In both ways the paths that a command is given are
ASCII, whatever the home is called: some libraries open no others.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.sandbox.homes import noted, outermost
from localcloud.sandbox.launcher import Plan
from localcloud.sandbox.leftovers import VARIABLE
from localcloud.sandbox.process import ContainedProcess, Launchers, SandboxError
from localcloud.sandbox.usage import most_disk, most_memory, most_tasks

OPT_ML = "/opt/ml"
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - replaced by the command's own
_TRIAL_SECONDS = 10.0
# A path, not a part of a longer one: after the start, a blank, a quote, '=', ':' or ','.
_PATH = re.compile(r"(?<![^\s='\":,(\[])/opt/ml(?=$|[/\s'\":,)\]])")


@dataclass(frozen=True)
class Place:
    """The directory of one command: below it what the command sees as /opt/ml."""

    directory: Path

    @property
    def ml(self) -> Path:
        """What the command sees as /opt/ml."""
        return self.directory / "opt" / "ml"

    def make(self) -> None:
        """Make the directories, with a home and a place for temporary files for the command."""
        for name in ("home", "tmp"):
            (self.ml / name).mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Sandbox:
    """How commands are isolated from each other on this machine.

    `namespaces` is "user" (a user namespace too, which needs no root), "root", or "" where the machine allows none.
    `hidden` is the home of the local cloud; `visible` are directories that commands need although they may lie in it.
    `homes` is the directory in which the user's other local clouds note their homes: those that are noted when a
    command begins are hidden from it as well.
    `most_tasks`, `most_memory` (bytes) and `most_disk` (bytes by the gigabytes of the volume) bound what the processes
    of one command take together, with namespaces only.
    `ascii_hidden` is another path of `hidden`, for commands without namespaces where its own is not ASCII.
    """

    namespaces: str = ""
    hidden: Path | None = None
    visible: tuple[Path, ...] = ()
    ascii_hidden: Path | None = None
    homes: Path | None = None
    most_tasks: int = field(default_factory=most_tasks)
    most_memory: int = field(default_factory=most_memory)
    most_disk: Callable[[int | None], int] = most_disk

    @property
    def mounts(self) -> bool:
        """Whether a command sees its directory as /opt/ml."""
        return bool(self.namespaces)

    def _all_hidden(self) -> list[Path]:
        """The directories that look empty to a command that begins now."""
        others = noted(self.homes) if self.homes is not None else []
        return outermost([*others, self.hidden] if self.hidden is not None else others)

    def root(self, place: Place) -> str:
        """The path by which a command finds its /opt/ml."""
        return OPT_ML if self.mounts else str(self._seen(place.ml))

    def _seen(self, path: Path) -> Path:
        """The path by which a command without namespaces is told of a directory."""
        if self.ascii_hidden is None or self.hidden is None or not path.is_relative_to(self.hidden):
            return path
        return self.ascii_hidden / path.relative_to(self.hidden)

    def told(self, value: Any, place: Place) -> Any:
        """A JSON value for a file that the command reads, with the paths by which it finds its /opt/ml."""
        return value if self.mounts else rewrite(value, self._seen(place.ml))

    def own_variables(self, place: Place) -> dict[str, str]:
        """HOME and TMPDIR of a command, in its own /opt/ml."""
        return {"HOME": f"{self.root(place)}/home", "TMPDIR": f"{self.root(place)}/tmp"}  # noqa: S108 - its own

    def plan(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        place: Place,
        *,
        mounts: Mapping[Path, str] | None = None,
        hostname: str = "",
        network: str = "shared",
        gigabytes: int | None = None,
    ) -> Plan:
        """Return the launcher's plan to run `command` with the environment `variables` and `place` as /opt/ml.

        `mounts` are files and directories that the command sees at further paths, and `hostname` is its host's name;
        both need namespaces. `network` is "shared", "alone" or a port (see `Plan`); where the machine has no network
        namespaces the command says so in its output and shares. `gigabytes` is the size of its volume.
        """
        if not self.mounts:
            seen = self._seen(place.ml)
            command = rewrite(list(command), seen)
            variables = {**rewrite(dict(variables), seen), VARIABLE: str(place.directory)}
            return Plan(_bytes(command), _environment(variables), os.fsencode(seen), network=network.encode())
        own = [(place.ml / "tmp", folder) for folder in _TEMPORARY if Path(folder).is_dir()]
        pairs = [(place.ml, OPT_ML), *own, *(mounts or {}).items()]
        bound = [item for pair in pairs for item in pair]
        return Plan(
            _bytes(command),
            _environment(variables),
            OPT_ML.encode(),
            self.namespaces.encode(),
            mounts=_bytes(bound),
            hidden=_bytes(self._all_hidden()),
            visible=_bytes([*self.visible, *_installations(self.visible)]),
            hostname=hostname.encode(),
            network=network.encode(),
            limits=[b"%d" % self.most_tasks, b"%d" % self.most_memory, b"%d" % self.most_disk(gigabytes)],
        )


def _installations(environments: Sequence[Path]) -> list[Path]:
    """The Pythons that virtual environments are made from, where they lie in folders that a command does not see."""
    programs = [program for folder in environments for program in (folder / "bin/python", *folder.glob("*/bin/python"))]
    found = {program.resolve().parent.parent for program in programs if program.exists()}
    return sorted(path for path in found if any(path.is_relative_to(Path(folder).resolve()) for folder in _TEMPORARY))


def _bytes(values: Sequence[str | Path]) -> list[bytes]:
    return [os.fsencode(value) for value in values]


def _environment(variables: Mapping[str, str]) -> list[bytes]:
    return [os.fsencode(f"{name}={value}") for name, value in variables.items()]


def rewrite(value: Any, ml: Path) -> Any:
    """Return a JSON value with every path under /opt/ml in its strings changed to one under `ml`."""
    if isinstance(value, str):
        return _PATH.sub(lambda _: str(ml), value)
    if isinstance(value, dict):
        return {name: rewrite(member, ml) for name, member in value.items()}
    return [rewrite(member, ml) for member in value] if isinstance(value, list) else value


def detect(
    directory: Path,
    launchers: Launchers,
    hidden: Path | None = None,
    visible: tuple[Path, ...] = (),
    homes: Path | None = None,
) -> Sandbox:
    """Return the sandbox with the strongest isolation that works here: each is tried in `directory`, up to 10 s."""
    for namespaces in ("user", "root"):
        sandbox = Sandbox(namespaces, hidden, visible, homes=homes)
        if _works(sandbox, directory, launchers):
            return sandbox
    return Sandbox("", hidden, visible, ascii_path(hidden) if hidden is not None else None)


def ascii_path(directory: Path) -> Path | None:
    """Another path of a directory, in ASCII and as long as this process lives; None if its own is ASCII."""
    if str(directory).isascii():
        return None
    return Path(f"/proc/{os.getpid()}/fd/{os.open(directory, os.O_PATH)}")


def _works(sandbox: Sandbox, directory: Path, launchers: Launchers) -> bool:
    """Whether a command runs in this sandbox and sees its own /opt/ml; tried in `directory`."""
    with tempfile.TemporaryDirectory(prefix="trial-", dir=directory) as folder:
        place = Place(Path(folder))
        place.make()
        (place.ml / "here").touch()
        plan = sandbox.plan(["rm", "/opt/ml/here"], {"PATH": os.defpath}, place)
        try:
            return ContainedProcess(plan, place.directory, lambda *_: None, launchers).wait(_TRIAL_SECONDS) == 0
        except (OSError, SandboxError):
            return False
