"""Gives each job its own /opt/ml: by a mount namespace where the machine allows it, else by rewriting paths.

In the namespace the job's directory is mounted on /opt/ml, which need not exist on the machine: /opt is then covered
by something that shows all it held and an `ml` besides. Nothing of this is seen outside of the job.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OPT_ML = "/opt/ml"
# $1: the directory to mount on /opt/ml, $2: an empty directory, $3: a hosts file or "", $4: where to note the
# namespace. The rest is the command.
_BEGIN = 'set -e; ml=$1; cover=$2; hosts=$3; readlink /proc/self/ns/mnt > "$4"; shift 4\n'
_END = """
mount --bind "$ml" /opt/ml
if [ -n "$hosts" ]; then mount --bind "$hosts" /etc/hosts; fi
exec "$@"
"""
# Two mounts, but read-only, and blind to what is mounted below /opt.
_OVERLAY = 'mkdir "$cover/ml"; mount -t overlay overlay -o "lowerdir=$cover:/opt" /opt'
# A mount for each entry of /opt.
_TMPFS = """
mount -t tmpfs -o mode=755,size=1m tmpfs "$cover"
for entry in /opt/* /opt/.[!.]*; do
  name=${entry##*/}
  if [ -L "$entry" ]; then cp -P "$entry" "$cover/$name"
  elif [ -d "$entry" ]; then mkdir "$cover/$name"; mount --rbind "$entry" "$cover/$name"
  elif [ -e "$entry" ]; then : > "$cover/$name"; mount --bind "$entry" "$cover/$name"
  fi
done
mkdir "$cover/ml"
mount --rbind "$cover" /opt
"""
# A path, not a part of a longer one: after the start, a blank, a quote, '=', ':' or ','.
_PATH = re.compile(r"(?<![^\s='\":,(\[])/opt/ml(?=$|[/\s'\":,)\]])")


@dataclass(frozen=True)
class Place:
    """The directories of one process: what it sees as /opt/ml, an empty one, and a file that tells its namespace."""

    directory: Path

    @property
    def ml(self) -> Path:
        """What the process sees as /opt/ml."""
        return self.directory / "opt" / "ml"

    @property
    def cover(self) -> Path:
        """An empty directory for the sandbox's use."""
        return self.directory / "cover"

    @property
    def note(self) -> Path:
        """Where the sandbox writes the mount namespace that the process and its children are in."""
        return self.directory / "namespace"

    def make(self) -> None:
        """Make the directories."""
        self.ml.mkdir(parents=True)
        self.cover.mkdir()


@dataclass(frozen=True)
class Sandbox:
    """`prefix` is the command that makes a namespace; empty where the machine has none, and paths are rewritten.

    `cover` is the script that puts an empty directory at /opt/ml.
    """

    prefix: tuple[str, ...] = ()
    cover: str = ""

    @property
    def mounts(self) -> bool:
        """Whether the job sees its directory as /opt/ml."""
        return bool(self.prefix)

    def root(self, ml: Path) -> str:
        """Where the job finds what lies in its directory `ml`."""
        return OPT_ML if self.mounts else str(ml)

    def argv(self, command: Sequence[str], place: Place, hosts: Path | None = None) -> list[str]:
        """The command line that runs `command` with `place.ml` as its /opt/ml."""
        if not self.mounts:
            return [rewrite(part, place.ml) for part in command]
        paths = (place.ml, place.cover, hosts or "", place.note)
        return [*self.prefix, "/bin/sh", "-c", f"{_BEGIN}{self.cover}{_END}", "job", *map(str, paths), *command]

    def environment(self, variables: Mapping[str, str], ml: Path) -> dict[str, str]:
        """The variables as the job should see them."""
        return dict(variables) if self.mounts else {name: rewrite(value, ml) for name, value in variables.items()}


def rewrite(text: str, ml: Path) -> str:
    """The text with every path under /opt/ml changed to one under `ml`."""
    return _PATH.sub(lambda _: str(ml), text)


def detect(jobs_dir: Path) -> Sandbox:
    """The best sandbox that works here for jobs below `jobs_dir`, found out by trying."""
    unshare = shutil.which("unshare")
    if unshare and shutil.which("mount"):
        for sandbox in (Sandbox((unshare, flags), cover) for cover in _covers(jobs_dir) for flags in ("-rm", "-m")):
            if _works(sandbox, jobs_dir):
                return sandbox
    return Sandbox()


def _covers(jobs_dir: Path) -> tuple[str, ...]:
    if Path(OPT_ML).is_dir():
        return ("",)
    mounted_below = any(line.split()[4].startswith("/opt/") for line in _mounts())
    if mounted_below or jobs_dir.resolve().is_relative_to("/opt"):
        return (_TMPFS,)
    return (_OVERLAY, _TMPFS)


def _mounts() -> list[str]:
    try:
        return Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return []


def _works(sandbox: Sandbox, jobs_dir: Path) -> bool:
    with tempfile.TemporaryDirectory(prefix="trial-", dir=jobs_dir) as folder:
        place = Place(Path(folder))
        place.make()
        (place.ml / "here").touch()
        try:
            argv = sandbox.argv(["rm", "/opt/ml/here"], place)
            ended = subprocess.run(argv, capture_output=True, timeout=10, env={"PATH": os.defpath}, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return ended.returncode == 0
