"""Runs what takes longer than a request in threads, and remembers how far it is."""

from __future__ import annotations

import io
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from rich.console import Console

from loadingbay.console.pages import explained
from loadingbay.screen.progress import Part, Screen

_KEPT = 50


@dataclass
class Task:
    """Work that was started from a page. Its screen has the parts; `result` is set when it is done."""

    kind: str
    title: str
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    state: Literal["running", "done", "failed"] = "running"
    failure: str = ""
    result: Any = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    screen: Screen = field(default_factory=lambda: Screen(Console(file=io.StringIO(), width=200)))

    @property
    def parts(self) -> list[Part]:
        """The parts that have begun."""
        return list(self.screen.parts)


class Tasks:
    """The newest tasks of this console, by id. They end with the console; what they started in the cloud goes on."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()

    def start(self, kind: str, title: str, do: Callable[[Task], Any]) -> Task:
        """Starts `do` in a thread; what it returns is the result, what it raises the failure, as a sentence."""
        task = Task(kind, title)

        def work() -> None:
            try:
                task.result = do(task)
                task.state = "done"
            except Exception as error:
                task.failure, task.state = explained(error), "failed"

        with self._lock:
            self._tasks[task.id] = task
            for old in [one.id for one in self._tasks.values() if one.state != "running"][:-_KEPT]:
                del self._tasks[old]
        threading.Thread(target=work, daemon=True, name=f"console-{kind}").start()
        return task

    def get(self, identity: str) -> Task | None:
        """The task of that id."""
        return self._tasks.get(identity)

    def of(self, kind: str) -> list[Task]:
        """The tasks of a kind, the newest first."""
        return [task for task in list(self._tasks.values()) if task.kind == kind][::-1]
