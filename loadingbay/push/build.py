"""Carries out the phases of a buildspec as CodeBuild does, each line of the log handed on as it comes.

As in CodeBuild, each command is a shell of its own that begins where the one before it ended: in its folder, with its
exported variables. So a command's `set -e` is its own.
"""

from __future__ import annotations

import os
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loadingbay.push.buildspec import Buildspec, Phase

_INTERRUPT_SECONDS = 60.0  # for a test run to take its local cloud down
# The state is kept however the command ends, also by `exit` or `set -e`.
_SHELL = """\
cd -- "$1" || exit 1
_push_state=$2
trap 'status=$?; export -p > "$_push_state/variables"; pwd > "$_push_state/place"; exit $status' EXIT
[ ! -f "$_push_state/variables" ] || . "$_push_state/variables"
set --
. "$_push_state/command"
"""


@dataclass
class Build:
    """A build under way in the folder `source`; `state` is a folder of its own beside it.

    `say` takes what the build itself tells, `log` the bytes that its commands print. `exit_code` is that of the first
    command that failed, else 0.
    """

    buildspec: Buildspec
    source: Path
    state: Path
    environment: Mapping[str, str]
    log: Callable[[bytes], None]
    say: Callable[[str], None]
    exit_code: int = 0
    failed: str = ""
    """`PHASE: command` of the first failure."""

    def run(self) -> int:
        """Runs the phases in their order; the exit code of the first command that failed, else 0."""
        self.state.mkdir(parents=True, exist_ok=True)
        if self.buildspec.left_out:
            self.say(f"Left out, as no phase depends on it: {', '.join(self.buildspec.left_out)}")
        for phase in self.buildspec.phases:
            if not self._phase(phase):
                break
        return self.exit_code

    def exported(self) -> dict[str, str]:
        """The values that the buildspec exports, after the phases; those that were never set are left out."""
        last = self._variables()
        return {name: last[name] for name in self.buildspec.exported if name in last}

    def _phase(self, phase: Phase) -> bool:
        """Runs one phase; whether the build goes on after it."""
        title, begun = phase.name.upper(), time.monotonic()
        self.say(f"Entering phase {title}")
        succeeded = self._commands(title, phase.commands)
        succeeded = self._commands(title, phase.finally_) and succeeded
        state = "SUCCEEDED" if succeeded else "FAILED"
        self.say(f"Phase complete: {title} State: {state} ({time.monotonic() - begun:.1f} s)")
        if succeeded or phase.on_failure == "CONTINUE":
            return True
        # CodeBuild runs POST_BUILD also after a BUILD that failed, unless it is told to abort.
        return phase.on_failure == "" and phase.name == "build"

    def _commands(self, title: str, commands: tuple[str, ...]) -> bool:
        """Run commands until one fails, which is noted under `title`; whether all succeeded."""
        for command in commands:
            first, *rest = command.strip().splitlines() or [""]
            self.say(f"Running command {first}{' ...' if rest else ''}")
            status = self._command(command)
            if status != 0:
                self.say(f"Command did not exit successfully: {first}{' ...' if rest else ''} exit status {status}")
                self.exit_code = self.exit_code or status
                self.failed = self.failed or f"{title}: {first}"
                return False
        return True

    def _command(self, command: str) -> int:
        """Run one command of the buildspec in the shell where the last one ended; its exit code.

        Folder and exported variables are carried from command to command, as in CodeBuild.
        """
        (self.state / "command").write_text(command + "\n")
        process = subprocess.Popen(
            [self.buildspec.shell, "-c", _SHELL, self.buildspec.shell, self._last_place(), str(self.state)],
            # Those of the project win over those of the file, as in CodeBuild.
            env={**self.buildspec.variables, **self.environment, "CODEBUILD_BUILD_SUCCEEDING": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._stream(process)
        except BaseException:
            _end(process)
            raise
        status = process.wait()
        status = 128 - status if status < 0 else status  # killed by a signal, as a shell counts it
        self._remember(status)
        return status

    def _stream(self, process: subprocess.Popen[bytes]) -> None:
        """Hands on what the command prints until it ends; a process that it leaves behind is not awaited."""
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        with process.stdout as pipe, selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                ended = _has_ended(process)
                if selector.select(0 if ended else 0.1):
                    read = os.read(pipe.fileno(), 65536)
                    if not read:
                        return
                    self.log(read)
                elif ended:
                    return

    def _remember(self, status: int) -> None:
        """CodeBuild's two variables about how it stands, for the next command."""
        succeeding = int(self.exit_code == 0 and status == 0)
        with (self.state / "variables").open("a") as variables:
            variables.write(f"export CODEBUILD_BUILD_SUCCEEDING={succeeding} CODEBUILD_LAST_EXIT={status}\n")

    def _last_place(self) -> str:
        kept = self.state / "place"
        return kept.read_text().removesuffix("\n") if kept.exists() else str(self.source)

    def _variables(self) -> dict[str, str]:
        """The variables as the last command left them, read by a shell, whose syntax the file has."""
        kept = self.state / "variables"
        if not kept.exists():
            return {}
        printed = subprocess.run(
            [self.buildspec.shell, "-c", '. "$1" && env -0', self.buildspec.shell, str(kept)],
            env={"PATH": os.defpath},
            capture_output=True,
            check=True,
        ).stdout.decode(errors="replace")
        return dict(item.split("=", 1) for item in printed.split("\0") if "=" in item)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a command and all that it started: first by the interrupt it knows, so that tests can tidy up.

    Whoever interrupts a second time does not wait for that. Until the command is collected, its number, which is the
    group's too, is given to no other process.
    """
    watched = os.pidfd_open(process.pid)
    try:
        os.killpg(process.pid, signal.SIGINT)
        select.select([watched], [], [], _INTERRUPT_SECONDS)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(watched)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended; unlike `poll` this does not collect it."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
