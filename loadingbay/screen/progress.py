"""Shows the parts of a command with state and duration: live on a terminal, as plain lines elsewhere.

Progress goes to stderr; stdout belongs to results.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipelines.executions import Execution, Step
from pipelines.training_log import Epoch

STEPS = ("Stage", "Train", "Evaluate", "Gate", "Register")
_LINE_SECONDS = 5.0  # between two lines about the same thing where lines cannot be redrawn
_SHORT_SECONDS = 1.0  # a part that ends within has one line there
_MARKS = {"done": ("✔", "green"), "failed": ("✘", "red"), "waiting": ("·", "dim"), "stopped": ("■", "yellow")}
_STATES = {"Succeeded": "done", "Failed": "failed", "Stopped": "stopped", "Stopping": "stopped"}


def duration(seconds: float) -> str:
    """Return a duration as text: `8.2 s`, `1 min 12 s`, `2 h 5 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@cache
def command(name: str = "loadingbay") -> str:
    """How to type this program, or another of its environment, in this folder: its bare name only if PATH finds it."""
    here = Path(sys.prefix) / "bin" / name
    found = shutil.which(name)
    if found and (not here.exists() or Path(found).resolve() == here.resolve()):
        return name
    return os.path.relpath(here) if here.is_relative_to(Path.cwd()) else str(here)


def typed(sentence: str) -> str:
    """The sentence, its commands written so that they can be typed as they stand."""
    return sentence.replace("`loadingbay ", f"`{command()} ").replace("`aws ", f"`{command('aws')} ")


def shown(path: Path) -> str:
    """Return the path relative to the current folder where it lies below it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


@dataclass
class Part:
    """One part of the work. `note` says what it is doing now, or what came of it."""

    name: str
    state: str = "running"
    note: str = ""
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds since the part began, or that it took."""
        return (self.ended or time.monotonic()) - self.started


class Output(Console):
    """A console that ends the command, quietly, when whoever read its output has closed it: `loadingbay.cli` does.

    Text is printed as it is: names, paths and reasons may hold what rich takes for markup, a number or an emoji. In a
    file or a pipe no line ends with spaces: rich fills the last column of a table with them.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print the objects as rich's Console does."""
        if self.is_terminal:
            super().print(*objects, **options)
            return
        with self.capture() as printed:
            super().print(*objects, **options)
        self.file.write(re.sub(" +$", "", printed.get(), flags=re.MULTILINE))
        self.file.flush()

    def on_broken_pipe(self) -> None:
        """Raises the error: rich would put /dev/null in the place of the output, and exit."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Screen:
    """The parts of one command. Parts may run side by side, each in a thread of its own."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Output(stderr=True)
        self.parts: list[Part] = []
        self._execution: Execution | None = None
        self._epochs: dict[str, Epoch] = {}
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(self, console=self.console, refresh_per_second=8) if self.console.is_terminal else None
        self._said: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._ended = False

    def __enter__(self) -> Screen:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        if self._live:
            self._live.stop()

    @property
    def execution(self) -> Execution | None:
        """The pipeline execution as last seen."""
        return self._execution

    @contextmanager
    def part(self, name: str) -> Iterator[Part]:
        """A part that is running inside the `with`, done after it, and failed if that raises.

        Where lines cannot be redrawn, one that takes a second or more has a line before it ends, and its last line
        does not repeat the note that the line before it said.
        """
        part = Part(name)
        with self._lock:
            self.parts.append(part)
            self._said.pop(name, None)
        begun = threading.Timer(_SHORT_SECONDS, self._begun, [part])
        begun.daemon = True
        begun.start()
        try:
            yield part
        except BaseException as error:
            part.state = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
            raise
        else:
            part.state = "done"
        finally:
            begun.cancel()
            part.ended = time.monotonic()
            note = "" if self._said.get(name, ("",))[0] == f"{name}: {part.note}" else part.note
            state = "" if part.state == "done" and note else part.state
            text = ", ".join(words for words in (state, note, duration(part.seconds)) if words)
            self._line(name, f"{name}: {text}", force=True)

    def _begun(self, part: Part) -> None:
        """Say that a part is running that did not end within a moment."""
        if part.ended is None:
            self._line(part.name, f"{part.name}: {part.note}" if part.note else f"{part.name} ...")

    def note(self, part: Part, text: str) -> None:
        """Says what the part is doing; where lines cannot be redrawn, not more often than each few seconds."""
        part.note = text
        if part.seconds >= _SHORT_SECONDS:
            self._line(part.name, f"{part.name}: {text}")

    def update(self, seen: Execution | Epoch) -> None:
        """Show a pipeline execution and its steps in their present state."""
        if isinstance(seen, Epoch):
            self._epochs["all" if seen.overall else seen.phase] = seen
            self._line("epoch", f"  Train: {_figures(seen)}")
            return
        if self._execution and self._execution.arn != seen.arn:  # a story follows two, one after the other
            self._execution, self._epochs, self._said = None, {}, {}
        before = {step.name: step.status for step in self._execution.steps} if self._execution else {}
        self._execution = seen
        for step in seen.steps:
            if before.get(step.name) != step.status and step.status != "Starting":
                self._line(step.name, f"  {step.name}: {_words(step)}", force=True)

    def say(self, text: str, style: str = "") -> None:
        """Print a line above the parts that are redrawn."""
        self.console.print(Text(typed(text), style=style), soft_wrap=True)

    def _line(self, key: str, text: str, *, force: bool = False) -> None:
        """Print a line where the screen cannot be redrawn: only when the text for `key` changed, and not too often."""
        if self._live:
            return
        with self._lock:
            before, at = self._said.get(key, ("", -_LINE_SECONDS))
            now = time.monotonic()
            if text == before or (not force and now - at < _LINE_SECONDS):
                return
            self._said[key] = (text, now)
            self.console.print(Text(typed(text)), soft_wrap=True)

    def __rich__(self) -> RenderableType:
        """The parts and steps as a table, which rich draws again and again."""
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=1, no_wrap=True)
        table.add_column(no_wrap=True, min_width=12)
        table.add_column(justify="right", no_wrap=True, min_width=10)
        # What is redrawn must keep its height; what stays must be whole.
        table.add_column(overflow="fold" if self._ended else "ellipsis", no_wrap=not self._ended, ratio=1)
        parts = list(self.parts)
        newest = next((part for part in reversed(parts) if part.name == "Pipeline"), None)
        for part in parts:
            table.add_row(
                self._mark(part.state), part.name, Text(duration(part.seconds), style="dim"), Text(typed(part.note))
            )
            if part is newest and self._execution:
                self._add_steps(table, self._execution)
        return Group(table)

    def _mark(self, state: str) -> RenderableType:
        if state == "running":
            return self._spinner
        mark, style = _MARKS[state]
        return Text(mark, style=style)

    def _add_steps(self, table: Table, execution: Execution) -> None:
        """Add a row to the table for each step of the execution, and below a running training one for each network's
        epoch.
        """
        seen = {step.name: step for step in execution.steps}
        for name in (*STEPS, *(n for n in seen if n not in STEPS)):
            step = seen.get(name)
            if step is None:
                if execution.status == "Executing":
                    table.add_row("", Text(f"  {name}", style="dim"), "", "")
                continue
            training = name == "Train" and step.status == "Executing"
            note = "" if training and self._epochs else _words(step)
            took = Text(duration(step_seconds(step)), style="dim")
            state = _STATES.get(step.status, "running")
            style = {"failed": "red", "running": "cyan"}.get(state, "")
            table.add_row("", Text(f"  {name}", style=style), took, Text(note, style="dim" if step.cached else ""))
            if training:
                for epoch in list(self._epochs.values()):
                    table.add_row("", "", "", Text(_figures(epoch)))


def step_seconds(step: Step) -> float:
    """How long the step took, or has been running."""
    if step.seconds is not None:
        return step.seconds
    return (datetime.now(UTC) - step.started).total_seconds() if step.started else 0.0


def _words(step: Step) -> str:
    """The step's state in words."""
    if step.failure:
        return f"failed: {' '.join(step.failure.split())}"
    if step.cached:
        return "nothing changed: taken from the cache"
    if step.outcome:
        return "yes" if step.outcome == "True" else "no"
    if step.status == "Succeeded":
        return f"done in {duration(step_seconds(step))}"
    return {"Executing": "running", "Starting": "starting"}.get(step.status, step.status.lower())


def _figures(epoch: Epoch) -> str:
    """A bar with figures: of the whole training job if its log tells its progress, else of the epoch's network."""
    if overall := epoch.overall:
        return f"{_bar(overall.done / 100)} {overall}"
    accuracy = "" if epoch.accuracy is None else f"  accuracy {epoch.accuracy:.3f}"
    share = epoch.epoch / max(epoch.epochs, 1)
    return f"{epoch.phase:<8} {_bar(share)} {epoch.epoch:>3}/{epoch.epochs}  loss {epoch.loss:.3f}{accuracy}"


def _bar(share: float) -> str:
    filled = round(12 * share)
    return "━" * filled + "╌" * (12 - filled)
