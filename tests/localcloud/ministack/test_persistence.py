"""When the emulator's state is written."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from localcloud.ministack.persistence import Saver


class Emulator:
    """Notes what it is asked to save."""

    def __init__(self) -> None:
        self.saved: list[set[str] | None] = []

    def state_key(self, service: str) -> str | None:
        return None if service == "stateless" else service

    def save(self, keys: set[str] | None = None) -> None:
        self.saved.append(keys)


@pytest.fixture
def emulator() -> Emulator:
    return Emulator()


@pytest.fixture
def saver(emulator: Emulator) -> Iterator[Saver]:
    saver = Saver(emulator)
    yield saver
    saver.stop()


@pytest.mark.parametrize(
    ("service", "operation", "method", "path"),
    [
        ("sqs", "CreateQueue", "POST", "/"),
        ("iam", "CreateRole", "POST", "/"),
        ("events", "PutRule", "POST", "/"),
        ("lambda", "", "POST", "/2015-03-31/functions"),
        ("s3", "", "PUT", "/bucket"),
    ],
)
def test_a_change_of_a_resource_is_saved_before_the_answer(
    emulator: Emulator, saver: Saver, service: str, operation: str, method: str, path: str
) -> None:
    asyncio.run(saver.after(service, operation, method, path))

    assert any(keys is not None and service in keys for keys in emulator.saved)


@pytest.mark.parametrize(
    ("service", "operation", "method", "path"),
    [
        ("sqs", "SendMessage", "POST", "/"),
        ("states", "StartExecution", "POST", "/"),
        ("lambda", "", "POST", "/2015-03-31/functions/f/invocations"),
        ("s3", "", "PUT", "/bucket/key"),
    ],
)
def test_traffic_is_saved_soon_after_the_answer(
    emulator: Emulator, saver: Saver, service: str, operation: str, method: str, path: str
) -> None:
    asyncio.run(saver.after(service, operation, method, path))
    at_once = list(emulator.saved)
    time.sleep(0.45)

    assert at_once == []
    assert len(emulator.saved) == 1


@pytest.mark.parametrize(
    ("service", "operation", "method", "path"),
    [
        ("sqs", "ListQueues", "POST", "/"),
        ("states", "DescribeExecution", "POST", "/"),
        ("s3", "", "GET", "/bucket/key"),
        ("lambda", "", "GET", "/2015-03-31/functions"),
        ("stateless", "CreateAnything", "POST", "/"),
    ],
)
def test_reading_saves_nothing(
    emulator: Emulator, saver: Saver, service: str, operation: str, method: str, path: str
) -> None:
    asyncio.run(saver.after(service, operation, method, path))
    time.sleep(0.4)

    assert emulator.saved == []


def test_whoever_asks_how_a_stack_stands_gets_saved_news(emulator: Emulator, saver: Saver) -> None:
    asyncio.run(saver.after("cloudformation", "DescribeStacks", "POST", "/"))

    assert emulator.saved[0] is None


def test_a_failure_to_save_is_tried_again(emulator: Emulator, saver: Saver, caplog: pytest.LogCaptureFixture) -> None:
    original = emulator.save

    def fail_once(keys: set[str] | None = None) -> None:
        emulator.save = original  # type: ignore[method-assign]  # the stand-in mends itself
        raise OSError("disk full")

    emulator.save = fail_once  # type: ignore[method-assign]  # the stand-in breaks once
    saver.mark("sqs")
    time.sleep(1.2)

    assert emulator.saved == [{"sqs"}]
    assert "saving the emulator's state failed" in caplog.text
