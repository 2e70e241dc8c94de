"""The models in memory of a server of several models: loaded on first use, the least recently used ones leave.

Source: "Custom Containers Contract for Multi-Model Endpoints" and "Multi-model endpoints" in the SageMaker developer
guide. SageMaker unloads models when memory runs short; here at most MOST_MODELS are loaded at a time.
"""

import asyncio
import json
import shutil
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localcloud.api import ApiError
from localcloud.serving.model_server import ModelServer

MOST_MODELS = 16
"""Models that a server has in memory at a time."""
READY_SECONDS = 60.0
LOAD_SECONDS = 360.0
_LOADING_AT_ONCE = 4
_NO_MEMORY = 507

Ask = Callable[[ModelServer, str, str, bytes], Awaitable[tuple[int, str]]]
"""Sends a request (method, path, JSON body) to a server; returns the answer's status and text."""
Fetch = Callable[[str, Path], None]
"""Downloads and unpacks an archive, named by its path below the prefix, into a new directory. ApiError."""


class LoadError(Exception):
    """The server refused to load a model: with which status, and what it said."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


@dataclass
class _Model:
    """A model in memory, or on its way there."""

    name: str
    """The name that the server knows it by."""
    ready: asyncio.Task[None]
    users: int = 0
    """Requests that use it or wait for it."""


class LoadedModels:
    """The models of one server. Used from the event loop only."""

    def __init__(self, server: ModelServer, fetch: Fetch, *, cached: bool) -> None:
        """No model is loaded yet. Without `cached` each is unloaded as soon as no request uses it."""
        self._server, self._fetch, self._cached = server, fetch, cached
        self._models: OrderedDict[str, _Model] = OrderedDict()
        self._starts = 0
        self._leaving = 0
        self._placing = asyncio.Lock()
        self._freed = asyncio.Event()
        self._loading = asyncio.Semaphore(_LOADING_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, target: str) -> bool:
        return self._starts == self._server.starts and target in self._models

    @asynccontextmanager
    async def held(self, target: str, ask: Ask) -> AsyncIterator[str]:
        """The name by which the server knows the archive `target`, which stays loaded as long as the context lasts.

        Waits up to 60 s until it is loaded; then ApiError ModelNotReadyException, while loading goes on. ApiError if
        the archive cannot be had, LoadError if the server does not load it.
        """
        try:
            async with asyncio.timeout(READY_SECONDS):
                model = await self._taken(target, ask)
                try:
                    await asyncio.shield(model.ready)
                except BaseException:
                    self._released(target, model, ask)
                    raise
        except TimeoutError:
            raise ApiError(
                "ModelNotReadyException",
                f"The model {target} is being loaded and not ready yet. Retry the request.",
                429,
            ) from None
        try:
            yield model.name
        finally:
            self._released(target, model, ask)

    async def _taken(self, target: str, ask: Ask) -> _Model:
        """The model, which begins to load if it is new, with one more user."""
        if self._starts != self._server.starts:
            self._models, self._starts = OrderedDict(), self._server.starts
        if target not in self._models:
            # One request at a time makes room; the others wait here in their order.
            async with self._placing:
                if target not in self._models:
                    await self._make_room(ask)
                    name = uuid.uuid4().hex
                    self._models[target] = _Model(name, self._begin(self._load(target, name, ask)))
        model = self._models[target]
        model.users += 1
        self._models.move_to_end(target)
        return model

    def _released(self, target: str, model: _Model, ask: Ask) -> None:
        model.users -= 1
        if model.users == 0 and not self._cached and model.ready.done() and self._models.get(target) is model:
            self._begin(self._unload(target, ask))
        self._freed.set()

    async def _make_room(self, ask: Ask) -> None:
        """Unload the least recently used model that is idle if there are too many; waits until one is idle."""
        while len(self._models) + self._leaving >= MOST_MODELS:
            idle = self._idle()
            if idle is not None:
                await asyncio.shield(self._begin(self._unload(idle, ask)))
            else:
                self._freed.clear()
                await self._freed.wait()

    def _idle(self) -> str | None:
        return next((t for t, model in self._models.items() if not model.users and model.ready.done()), None)

    async def _load(self, target: str, name: str, ask: Ask) -> None:
        """Fetch the archive and have the server load it; for want of memory after unloading idle models."""
        server = self._server
        try:
            async with self._loading, asyncio.timeout(LOAD_SECONDS):
                await asyncio.to_thread(self._fetch, target, server.models / name / "model")
                body = json.dumps({"model_name": name, "url": f"{server.models_seen}/{name}/model"}).encode()
                status, text = await ask(server, "POST", "/models", body)
                while status == _NO_MEMORY and (idle := self._idle()) is not None:
                    await self._unload(idle, ask)
                    status, text = await ask(server, "POST", "/models", body)
                refused = LoadError(status, text) if status >= 400 else None
        except BaseException:
            self._forget(target, name)
            raise
        if refused is not None:
            self._forget(target, name)
            raise refused
        self._freed.set()

    def _forget(self, target: str, name: str) -> None:
        """Give up a model that could not be loaded: the next request for it tries again."""
        model = self._models.get(target)
        if model is not None and model.name == name:
            del self._models[target]
        shutil.rmtree(self._server.models / name, ignore_errors=True)
        self._freed.set()

    async def _unload(self, target: str, ask: Ask) -> None:
        """Take a model out of the server's memory and off the disk."""
        model = self._models.pop(target, None)
        if model is None:
            return
        self._leaving += 1
        try:
            await ask(self._server, "DELETE", f"/models/{model.name}", b"")
        finally:
            self._leaving -= 1
            self._freed.set()
            await asyncio.to_thread(shutil.rmtree, self._server.models / model.name, ignore_errors=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that goes on though nobody waits for it; its error is then nobody's."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not task.cancelled():
                task.exception()

        task.add_done_callback(ended)
        return task
