"""When MiniStack's state files are written."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from localcloud.ministack.persistence import Saver
from localcloud.ministack.state_files import Room, Taken
from localcloud.settings import DiskError
from tests.waiting import soon


class Files:
    """Notes which files are written; those in `broken` cannot be."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.reserved: list[tuple[str, int]] = []
        self.broken: set[str] = set()
        self.changing = False

    def key_of(self, service: str) -> str | None:
        return None if service == "stateless" else service

    def keys(self) -> set[str]:
        return {"cloudformation", "iam", "sqs"}

    def reserve(self, key: str, size: int) -> Room:
        self.reserved.append((key, size))
        raise DiskError("No space left on device")

    def write(self, key: str, room: Room | None = None) -> None:
        if key in self.broken:
            raise DiskError(f"{key}.json could not be written: No space left on device")
        self.written.append(key)

    def take(self, key: str) -> Taken:
        self.written.append(f"{key} taken")
        return Taken(0, "")

    def put(self, key: str, taken: Taken) -> None:
        self.write(key)

    def stacks_changing(self) -> bool:
        return self.changing


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def saver(files: Files) -> Iterator[Saver]:
    saver = Saver(files)
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
    files: Files, saver: Saver, service: str, operation: str, method: str, path: str
) -> None:
    asyncio.run(saver.after(service, operation, method, path))

    assert files.written == [service]


@pytest.mark.parametrize(
    ("service", "operation", "method", "path"),
    [
        ("sqs", "SendMessage", "POST", "/"),
        ("states", "StartExecution", "POST", "/"),
        ("lambda", "", "POST", "/2015-03-31/functions/f/invocations"),
        ("s3", "", "PUT", "/bucket/key"),
    ],
)
def test_what_traffic_changes_in_files_is_saved_soon_after_the_answer(
    files: Files, saver: Saver, monkeypatch: pytest.MonkeyPatch, service: str, operation: str, method: str, path: str
) -> None:
    threads, write = list[threading.Thread](), files.write
    monkeypatch.setattr(files, "write", lambda *given: threads.append(threading.current_thread()) or write(*given))
    asyncio.run(saver.after(service, operation, method, path))

    assert soon(lambda: files.written)
    assert set(threads) == {saver._thread}


@pytest.mark.parametrize(
    ("service", "operation", "method", "path"),
    [
        ("sqs", "ListQueues", "POST", "/"),
        ("states", "DescribeExecution", "POST", "/"),
        ("s3", "", "GET", "/bucket/key"),
        ("lambda", "", "GET", "/2015-03-31/functions"),
        ("stateless", "CreateAnything", "POST", "/"),
        ("cloudformation", "DescribeStacks", "POST", "/"),
    ],
)
def test_reading_saves_nothing(
    files: Files, saver: Saver, service: str, operation: str, method: str, path: str
) -> None:
    asyncio.run(saver.after(service, operation, method, path))
    time.sleep(0.4)

    assert files.written == []


def test_what_is_told_of_a_changing_stack_is_saved_first(files: Files, saver: Saver) -> None:
    files.changing = True

    asyncio.run(saver.after("cloudformation", "DescribeStacks", "POST", "/"))

    assert files.written == ["cloudformation taken", "cloudformation", "iam", "sqs"]
    files.changing = False


def test_a_stack_is_complete_on_disk_only_after_its_resources(files: Files, saver: Saver) -> None:
    asyncio.run(saver.after("cloudformation", "UpdateStack", "POST", "/"))

    assert files.written[:4] == ["cloudformation taken", "iam", "sqs", "cloudformation"]


def test_a_read_of_a_changing_stack_does_not_fail_for_a_full_disk(files: Files, saver: Saver) -> None:
    files.changing, files.broken = True, files.keys()

    asyncio.run(saver.after("cloudformation", "DescribeStacks", "POST", "/"))

    files.broken, files.changing = set(), False


def test_a_change_that_cannot_be_saved_is_not_acknowledged(files: Files, saver: Saver) -> None:
    files.broken = {"iam", "cloudformation"}

    for service, operation in (("iam", "CreateRole"), ("cloudformation", "CreateStack")):
        with pytest.raises(DiskError, match="No space left"):
            asyncio.run(saver.after(service, operation, "POST", "/"))
    files.broken = set()


def test_a_file_that_cannot_be_written_keeps_no_other_from_it(files: Files, saver: Saver) -> None:
    files.broken = {"logs"}
    saver.mark("logs")
    saver.mark("sqs")
    saver.flush()
    asyncio.run(saver.after("events", "PutRule", "POST", "/"))

    assert set(files.written) == {"sqs", "events"}
    files.broken = set()


def test_a_file_that_could_not_be_written_is_tried_again(
    files: Files, saver: Saver, caplog: pytest.LogCaptureFixture
) -> None:
    files.broken = {"sqs"}
    saver.mark("sqs")
    assert soon(lambda: "the state of sqs could not be written" in caplog.text)
    files.broken = set()

    assert soon(lambda: files.written) == ["sqs"]


@pytest.mark.parametrize(
    ("service", "operation", "method", "path"),
    [
        ("iam", "CreateRole", "POST", "/"),
        ("cloudformation", "CreateStack", "POST", "/"),
        ("lambda", "", "PUT", "/2015-03-31/functions/f/code"),
        ("events", "PutEvents", "POST", "/"),
        ("s3", "", "PUT", "/bucket"),
    ],
)
def test_a_change_that_has_no_room_is_refused_before_it_is_made(
    files: Files, saver: Saver, service: str, operation: str, method: str, path: str
) -> None:
    with pytest.raises(DiskError, match="No space left"):
        saver.before(service, operation, method, path, 100)

    assert files.reserved == [(service, 100)]


@pytest.mark.parametrize(
    ("service", "operation", "method", "path"),
    [
        ("iam", "GetRole", "POST", "/"),
        ("stateless", "CreateAnything", "POST", "/"),
        ("sqs", "SendMessage", "POST", "/"),
        ("sqs", "ReceiveMessage", "POST", "/"),
        ("states", "StartExecution", "POST", "/"),
        ("lambda", "", "POST", "/2015-03-31/functions/f/invocations"),
        ("s3", "", "PUT", "/bucket/key"),
        ("s3", "", "DELETE", "/bucket/key"),
        ("s3", "", "POST", "/bucket"),  # deletes objects
    ],
)
def test_what_takes_back_what_it_could_not_keep_needs_no_room(
    files: Files, saver: Saver, service: str, operation: str, method: str, path: str
) -> None:
    assert saver.before(service, operation, method, path, 100) is None
    assert files.reserved == []
