"""That a stack changes is on the disk before its first resource is touched."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.ministack.stacks import begin_on_disk
from localcloud.settings import DiskError


def _changed(write: Any) -> list[Any]:
    """What happens, in turn, when a module that imported the function starts a change."""
    happened: list[Any] = []
    tasks = []

    def start(change: Any, *of_stack: Any) -> None:
        happened.append(of_stack)
        tasks.append(asyncio.get_running_loop().create_task(change))

    stacks = SimpleNamespace(__name__="stacks", _create_stack_task_in_region=start)
    handlers = SimpleNamespace(__name__="handlers", _create_stack_task_in_region=start)
    begin_on_disk([stacks, handlers], lambda: write(happened))

    async def change() -> None:
        happened.append("resources")

    async def request() -> None:
        handlers._create_stack_task_in_region(change(), {"StackName": "one"}, "id")
        await tasks[0]

    asyncio.run(request())
    return happened


def test_a_change_is_stored_before_its_first_resource() -> None:
    happened = _changed(lambda happened: happened.append("stored"))

    assert happened == [({"StackName": "one"}, "id"), "stored", "resources"]


def test_a_change_that_cannot_be_stored_is_logged_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def write(_: Any) -> None:
        raise DiskError("cloudformation.json could not be written: No space left on device")

    assert _changed(write)[1:] == ["resources"]
    assert "No space left on device" in caplog.text
