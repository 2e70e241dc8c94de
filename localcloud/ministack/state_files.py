"""MiniStack's state files: one a service, written whole and in one step, into room that was taken before."""

import itertools
import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.ministack.private_names import find_names
from localcloud.settings import DiskError

_TRIES = 20
_MORE_BYTES, _MORE_PER_BYTE = 65_536, 8
"""How much larger a state file may become by a request: so much, and so much for each byte of its body."""


class Room:
    """Bytes of the disk that are kept for what a request will change, as a file of that size."""

    def __init__(self, path: Path, size: int) -> None:
        """Take the room. DiskError if it is not there."""
        self.path = path
        try:
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            self.release()
            raise DiskError(f"Nothing was changed, as it could not be stored: {path}: {error.strerror}") from error

    def release(self) -> None:
        """Give back what was not used."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Taken:
    """A service's state as text, empty when it has none, and a number that grows with each state that is taken."""

    number: int
    text: str


class StateFiles:
    """Writes the state that MiniStack holds in memory; the same file by one thread at a time."""

    def __init__(self, app: Any, persistence: Any) -> None:
        find_names(app, "SERVICE_REGISTRY", "_build_persistence_save_dict", "_state_map")
        find_names(persistence, "_state_format_version", "_json_default", "STATE_DIR")
        self._app, self._persistence = app, persistence
        self._written: dict[str, int] = {}
        self._newest: dict[str, int] = {}  # the number of the state that was last written
        self._numbers = itertools.count()
        for left in Path(persistence.STATE_DIR).glob("*.room"):
            left.unlink()
        self._locks: dict[str, threading.Lock] = {key: threading.Lock() for key in app._state_map}

    def key_of(self, service: str) -> str | None:
        """The name of the state file that a service's changes go to; None for a service that keeps no state."""
        entry = self._app.SERVICE_REGISTRY.get(service)
        return None if entry is None else entry.get("state_key", entry["module"])

    def keys(self) -> set[str]:
        """The names of the state files of all services in use."""
        return set(self._app._build_persistence_save_dict())

    def _path(self, key: str) -> Path:
        return Path(self._persistence.STATE_DIR) / f"{key}.json"

    def reserve(self, key: str, size: int) -> Room:
        """Take room for a service's state file as a request with a body of `size` bytes may change it, or DiskError."""
        path = self._path(key)
        present = path.stat().st_size if path.exists() else 0
        room = path.with_suffix(f".{next(self._numbers)}.room")
        return Room(room, present + _MORE_BYTES + _MORE_PER_BYTE * size)

    def write(self, key: str, room: Room | None = None) -> None:
        """Write a service's state if it differs from what was last written, into the room that was taken for it.

        DiskError if the file cannot be written. (MiniStack's own `save_all` logs that and goes on.)
        """
        with self._lock(key):
            self._put(key, self._taken(key), room)

    def take(self, key: str) -> Taken:
        """A service's state as it is now, which `put` writes later."""
        with self._lock(key):
            return self._taken(key)

    def put(self, key: str, taken: Taken) -> None:
        """Write what `take` gave, unless a state that was taken later has been written; DiskError as `write`."""
        with self._lock(key):
            if taken.number > self._newest.get(key, -1):
                self._put(key, taken)

    def _lock(self, key: str) -> threading.Lock:
        return self._locks.setdefault(key, threading.Lock())

    def _taken(self, key: str) -> Taken:
        """A service's state; under the key's lock, so that numbers grow in the order of states. May raise DiskError."""
        # Lambda writes its functions' archives when it is asked for its state.
        number = next(self._numbers)
        try:
            state = self._state(key)
        except OSError as error:
            raise DiskError(f"{self._path(key)} could not be written: {error.strerror}") from error
        if state is None:
            return Taken(number, "")
        wrapped = {"__ministack_format__": self._persistence._state_format_version(key), "payload": state}
        return Taken(number, json.dumps(wrapped, default=self._persistence._json_default))

    def _put(self, key: str, taken: Taken, room: Room | None = None) -> None:
        """Write a state that is not empty and not there already; under the key's lock."""
        if not taken.text or self._written.get(key) == hash(taken.text):
            self._newest[key] = taken.number
            return
        path = self._path(key)
        partial = room.path if room else path.with_suffix(".partial")
        try:
            with partial.open("r+b" if room else "wb") as file:
                file.write(taken.text.encode())
                file.truncate()
            partial.replace(path)
        except OSError as error:
            raise DiskError(f"{path} could not be written: {error.strerror}") from error
        self._written[key], self._newest[key] = hash(taken.text), taken.number

    def _state(self, key: str) -> Any:
        """A copy of a service's state; taken again when another thread changed the state meanwhile."""
        get = self._app._build_persistence_save_dict().get(key)
        for tries_left in range(_TRIES, 0, -1):
            try:
                return None if get is None else get()
            except RuntimeError as error:
                if "changed size during iteration" not in str(error) or tries_left == 1:
                    raise
                time.sleep(0.005)
        return None

    @staticmethod
    def stacks_changing() -> bool:
        """Whether a CloudFormation stack is being created, updated or deleted."""
        module = sys.modules.get("ministack.services.cloudformation")
        stacks = [] if module is None else module._stacks.all_values()
        return any(
            stack["StackStatus"].endswith("_IN_PROGRESS") and stack["StackStatus"] != "REVIEW_IN_PROGRESS"
            for stack in stacks
        )
