"""MiniStack's state files: one a service, written whole and in one step."""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from localcloud.ministack.private_names import find_names
from localcloud.settings import DiskError

_TRIES = 20


class StateFiles:
    """Writes the state that MiniStack holds in memory; the same file by one thread at a time."""

    def __init__(self, app: Any, persistence: Any) -> None:
        find_names(app, "SERVICE_REGISTRY", "_build_persistence_save_dict", "_state_map")
        find_names(persistence, "_state_format_version", "_json_default", "STATE_DIR")
        self._app, self._persistence = app, persistence
        self._written: dict[str, int] = {}
        self._locks: dict[str, threading.Lock] = {key: threading.Lock() for key in app._state_map}

    def key_of(self, service: str) -> str | None:
        """The name of the state file that a service's changes go to; None for a service that keeps no state."""
        entry = self._app.SERVICE_REGISTRY.get(service)
        return None if entry is None else entry.get("state_key", entry["module"])

    def keys(self) -> set[str]:
        """The names of the state files of all services in use."""
        return set(self._app._build_persistence_save_dict())

    def write(self, key: str) -> None:
        """Write a service's state if it differs from what was last written.

        DiskError if the file cannot be written. (MiniStack's own `save_all` logs that and goes on.)
        """
        with self._locks.setdefault(key, threading.Lock()):
            path = Path(self._persistence.STATE_DIR) / f"{key}.json"
            try:
                # Lambda writes its functions' archives when it is asked for its state.
                state = self._state(key)
                if state is None:
                    return
                wrapped = {"__ministack_format__": self._persistence._state_format_version(key), "payload": state}
                text = json.dumps(wrapped, default=self._persistence._json_default)
                if self._written.get(key) == hash(text):
                    return
                partial = path.with_suffix(".partial")
                partial.write_text(text)
                partial.replace(path)
            except OSError as error:
                raise DiskError(f"{path} could not be written: {error.strerror}") from error
            self._written[key] = hash(text)

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
