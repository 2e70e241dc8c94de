"""Keeps out of the process what MiniStack imports and the local cloud does not use: a tenth of a start's work."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

_NOT_INSTALLED = ("docker", "rfc3987_syntax")
"""Modules that MiniStack, or what it imports, can do without: no container is run, and no schema's formats are checked.
They take 0.15 s at the start and 1.2 s at the first stack."""
_OF_ITS_SERVER = (
    "ministack.core.hypercorn_compat",
    "hypercorn.config",
    "hypercorn.protocol.events",
    "hypercorn.protocol.h11",
    "hypercorn.protocol.ws_stream",
    "h11",
)
"""Modules whose classes MiniStack changes when it is imported, for Hypercorn: the server here is uvicorn."""
_LATE = ("jsonata",)
"""Modules that are imported when MiniStack first uses something of them: few state machines are of JSONata."""


class _Unused(ModuleType):
    """In place of a module: each of its names is a class that nothing uses."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, type(name, (), {}))
        return getattr(self, name)


class _Late(ModuleType):
    """In place of a module, which is imported when one of its names is first asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def light() -> Iterator[None]:
    """Import MiniStack within it; what is imported later gets the modules themselves."""
    for name in _NOT_INSTALLED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None is taken for not installed
    instead: dict[str, ModuleType] = {name: _Unused(name) for name in _OF_ITS_SERVER} | {n: _Late(n) for n in _LATE}
    instead = {name: module for name, module in instead.items() if name not in sys.modules}
    sys.modules.update(instead)
    try:
        yield
    finally:
        for name in instead:
            del sys.modules[name]
