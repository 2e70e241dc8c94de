"""Checks that the installed MiniStack has the private names that this package uses; a missing one stops the start."""

from importlib.metadata import version
from types import ModuleType
from typing import Any

from localcloud.settings import StartError

PINNED_VERSION = "1.5.33"


class PrivateNameError(StartError):
    """The installed MiniStack lacks a private name that this package uses, or uses it differently."""


def need(condition: bool, what: str) -> None:
    """Raise PrivateNameError unless `condition` holds; `what` completes the sentence "in the installed version ..."."""
    if not condition:
        raise PrivateNameError(
            f"The local cloud uses private names of ministack=={PINNED_VERSION}; in the installed "
            f"{version('ministack')} {what}. "
            f"Install the pinned version (make setup), or adapt localcloud/ministack."
        )


def find_names(module: ModuleType, *names: str) -> None:
    """Raise PrivateNameError unless `module` has all these names; a dotted name is an attribute of an attribute."""
    for name in names:
        target: Any = module
        for part in name.split("."):
            need(hasattr(target, part), f"the private name {module.__name__}.{name} is missing")
            target = getattr(target, part)
