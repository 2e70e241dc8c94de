"""Private names of MiniStack: looked up at the start, so that a missing one stops it with a sentence that names it."""

from importlib.metadata import version
from types import ModuleType
from typing import Any

from localcloud.settings import StartError

PINNED_VERSION = "1.5.33"


class HookError(StartError):
    """MiniStack does not have a name that a hook needs."""


def need(condition: bool, what: str) -> None:
    """HookError, saying `what` the installed version does in another way, unless the condition holds."""
    if not condition:
        raise HookError(
            f"The local cloud hooks into ministack=={PINNED_VERSION}; in the installed {version('ministack')} {what}. "
            f"Install the pinned version (make setup), or mend the local cloud's hooks."
        )


def find_names(module: ModuleType, *names: str) -> None:
    """HookError unless a module of MiniStack has all these private names."""
    for name in names:
        target: Any = module
        for part in name.split("."):
            need(hasattr(target, part), f"the private name {module.__name__}.{name} is missing")
            target = getattr(target, part)
