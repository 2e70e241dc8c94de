"""Gives each job its own /opt/ml: by a mount namespace where the machine allows it, else by rewriting paths.

In the namespace the job's directory is mounted on /opt/ml, which need not exist on the machine: /opt is then covered
by a small tmpfs that shows everything /opt held. Nothing of this is seen outside of the job.
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
# $1: the directory to mount on /opt/ml, $2: an empty directory, $3: a hosts file or "". The rest is the command.
_SCRIPT = """
set -e
ml=$1; cover=$2; hosts=$3; shift 3
if [ ! -d /opt/ml ]; then
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
fi
mount --bind "$ml" /opt/ml
if [ -n "$hosts" ]; then mount --bind "$hosts" /etc/hosts; fi
exec "$@"
"""
# A path, not a part of a longer one: after the start, a blank, a quote, '=', ':' or ','.
_PATH = re.compile(r"(?<![^\s='\":,(\[])/opt/ml(?=$|[/\s'\":,)\]])")


@dataclass(frozen=True)
class Sandbox:
    """`prefix` is the command that makes a namespace; empty where the machine has none, and paths are rewritten."""

    prefix: tuple[str, ...] = ()

    @property
    def mounts(self) -> bool:
        """Whether the job sees its directory as /opt/ml."""
        return bool(self.prefix)

    def root(self, ml: Path) -> str:
        """Where the job finds what lies in its directory `ml`."""
        return OPT_ML if self.mounts else str(ml)

    def argv(self, command: Sequence[str], ml: Path, cover: Path, hosts: Path | None = None) -> list[str]:
        """The command line that runs `command` with `ml` as its /opt/ml."""
        if not self.mounts:
            return [rewrite(part, ml) for part in command]
        return [*self.prefix, "/bin/sh", "-c", _SCRIPT, "job", str(ml), str(cover), str(hosts or ""), *command]

    def environment(self, variables: Mapping[str, str], ml: Path) -> dict[str, str]:
        """The variables as the job should see them."""
        return dict(variables) if self.mounts else {name: rewrite(value, ml) for name, value in variables.items()}


def rewrite(text: str, ml: Path) -> str:
    """The text with every path under /opt/ml changed to one under `ml`."""
    return _PATH.sub(lambda _: str(ml), text)


def detect() -> Sandbox:
    """The best sandbox that works here, found out by trying it once."""
    unshare = shutil.which("unshare")
    if unshare and shutil.which("mount"):
        for prefix in ((unshare, "-rm"), (unshare, "-m")):
            if _works(Sandbox(prefix)):
                return Sandbox(prefix)
    return Sandbox()


def _works(sandbox: Sandbox) -> bool:
    with tempfile.TemporaryDirectory(prefix="localcloud-") as folder:
        ml, cover, inside = Path(folder, "ml"), Path(folder, "cover"), Path(folder, "ml", "here")
        cover.mkdir()
        ml.mkdir()
        inside.touch()
        try:
            argv = sandbox.argv(["test", "-e", "/opt/ml/here"], ml, cover)
            ended = subprocess.run(argv, capture_output=True, timeout=10, env={"PATH": os.defpath}, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return ended.returncode == 0
