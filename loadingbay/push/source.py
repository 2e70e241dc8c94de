"""A clean clone of one commit, as a build gets it: what is not committed is not in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from loadingbay.errors import UsageError, WorkError

REMOTE = "local"


@dataclass(frozen=True)
class Commit:
    """A commit: its full hash and the first line of its message."""

    sha: str
    subject: str


def resolve(repository: Path, name: str) -> Commit:
    """The commit that `name` means. Raises UsageError when there is none of that name."""
    if name.startswith("-"):
        raise UsageError(f"{name}: is no name of a commit")
    found = _git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if found.returncode != 0:
        inside = _git(repository, "rev-parse", "--git-dir").returncode == 0
        if not inside:
            raise UsageError(f"{repository} is no git repository: a push takes a commit of it")
        raise UsageError(f"{name}: there is no such commit in {repository}; `git log` shows those there are")
    sha = found.stdout.strip()
    return Commit(sha, _git(repository, "log", "-1", "--format=%s", sha).stdout.strip())


def uncommitted(repository: Path) -> int:
    """Return the number of files in the work tree that differ from its last commit, new files included."""
    return len(_git(repository, "status", "--porcelain").stdout.splitlines())


def clone(repository: Path, commit: Commit, place: Path) -> None:
    """Clones the commit, with its history, to `place`. Raises WorkError with git's own reason."""
    # Shared: the objects stay where they are, and a commit that no branch names is there too.
    for arguments in (
        ("clone", "--quiet", "--shared", "--no-checkout", str(repository), str(place)),
        ("-C", str(place), "checkout", "--quiet", "--detach", commit.sha),
    ):
        done = _git(repository, *arguments)
        if done.returncode != 0:
            raise WorkError(f"the commit {commit.sha[:12]} could not be cloned: {_last(done.stderr)}")


def install_remote(repository: Path, command: list[str]) -> Path:
    """Makes the git remote `local`, whose hook runs `command` with each commit that is pushed; its path.

    A push whose build fails is declined. Raises WorkError when the remote is something else already.
    """
    bare = repository / ".loadingbay" / "push.git"
    known = _git(repository, "remote", "get-url", REMOTE)
    if known.returncode == 0 and Path(known.stdout.strip()) != bare:
        raise WorkError(f"the remote {REMOTE} is {known.stdout.strip()} already: rename that one, then try again")
    if not bare.exists():
        made = _git(repository, "init", "--quiet", "--bare", str(bare))
        if made.returncode != 0:
            raise WorkError(f"{bare} could not be made: {_last(made.stderr)}")
    _git(bare, "config", "receive.advertisePushOptions", "true")
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_HOOK.format(repository=_quoted(str(repository)), command=" ".join(map(_quoted, command))))
    hook.chmod(0o755)
    if known.returncode != 0:
        _git(repository, "remote", "add", REMOTE, str(bare))
    return bare


# git sets variables that would make every git command of the build talk about the remote.
_HOOK = """\
#!/bin/sh
# Written by `loadingbay push --install-remote`: a push is built, and declined when its build fails.
# git push -o NAME=VALUE sets a variable of the build.
number=0
while [ "$number" -lt "${{GIT_PUSH_OPTION_COUNT:-0}}" ]; do
    eval "option=\\$GIT_PUSH_OPTION_$number"
    set -- "$@" --variable "$option"
    number=$((number + 1))
done
while read -r before after name; do
    case "$after" in *[!0]*) ;; *) continue ;; esac
    (
        unset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH
        cd -- {repository} && exec {command} "$@" "$after"
    ) < /dev/null || exit $?
done
"""


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


def _git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in the repository, its output captured; the caller checks its exit code. WorkError without git."""
    git = shutil.which("git")
    if git is None:
        raise WorkError("git is not installed: a push takes its commit from it")
    # A hook of git's runs with variables that name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        [git, *arguments], cwd=repository, env=environment, text=True, capture_output=True, check=False
    )


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["git gave no reason"])[-1]
