"""Batched log lines and the outbox of events, without a cloud."""

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from localcloud.settings import DiskError
from localcloud.state.events import Outbox
from localcloud.state.logs import BatchedLogs
from localcloud.state.store import Store
from tests.waiting import soon


def test_lines_arrive_in_order_and_in_few_batches() -> None:
    written: list[tuple[str, str, list[str]]] = []
    logs = BatchedLogs(lambda group, stream, events: written.append((group, stream, [e["message"] for e in events])))
    for number in range(100):
        logs.put("group", f"stream-{number % 2}", [str(number)])

    logs.flush()

    lines = [int(line) for _, stream, batch in written if stream == "stream-0" for line in batch]
    assert lines == list(range(0, 100, 2))
    assert len(written) < 20


def test_an_empty_line_is_kept_and_a_long_one_is_cut_with_a_mark() -> None:
    written: list[str] = []
    logs = BatchedLogs(lambda group, stream, events: written.extend(e["message"] for e in events))

    logs.put("group", "stream", ["", "x" * 300_000])
    logs.flush()

    assert written[0] == " "
    assert len(written[1]) < 262_144
    assert written[1].endswith("... (line cut)")


def test_a_group_that_cannot_be_written_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    written: list[str] = []

    def write(group: str, stream: str, events: list[dict[str, Any]]) -> None:
        if group == "broken":
            raise RuntimeError("refused")
        written.append(group)

    logs = BatchedLogs(write)
    logs.put("broken", "s", ["a"])
    logs.put("good", "s", ["b"])
    logs.flush()

    assert written == ["good"]
    assert "writing 1 lines to broken failed" in caplog.text


def test_a_writer_far_ahead_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localcloud.state.logs._MOST_WAITING", 10)
    gate = threading.Event()

    def write(_group: str, _stream: str, _events: list[dict[str, Any]]) -> None:
        gate.wait(60)

    logs = BatchedLogs(write)
    logs.put("group", "stream", ["first"])
    time.sleep(0.05)
    writer = threading.Thread(target=lambda: [logs.put("group", "stream", ["x"]) for _ in range(15)])
    writer.start()
    writer.join(0.1)

    waited = writer.is_alive()
    gate.set()
    writer.join(60)

    assert waited
    assert not writer.is_alive()


class Disk:
    """Where lines are written while it has room."""

    def __init__(self) -> None:
        self.full, self.tries, self.lines = True, 0, list[str]()

    def write(self, _group: str, _stream: str, events: list[dict[str, Any]]) -> None:
        self.tries += 1
        if self.full:
            raise DiskError("the disk is full")
        self.lines += [event["message"] for event in events]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr("localcloud.state.logs._FULL_SECONDS", 0.01)
    monkeypatch.setattr("localcloud.state.logs._BATCH_SECONDS", 0.01)
    return Disk()


def test_lines_wait_in_order_while_the_disk_is_full(disk: Disk) -> None:
    logs = BatchedLogs(disk.write)
    for number in range(5):
        logs.put("group", "stream", [str(number)])
        assert soon(lambda tries=disk.tries: disk.tries > tries)  # type: ignore[misc]

    disk.full = False
    logs.flush()

    assert disk.lines == ["0", "1", "2", "3", "4"]


def test_nobody_waits_for_a_full_disk_and_the_newest_lines_are_kept(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("localcloud.state.logs._MOST_WAITING", 10)
    logs = BatchedLogs(disk.write)
    logs.put("group", "stream", ["first"])
    while not disk.tries:
        time.sleep(0.001)
    for number in range(50):
        logs.put("group", "stream", [str(number)])

    disk.full = False
    logs.flush()

    assert disk.lines[-1] == "49"
    assert len(disk.lines) <= 12
    assert "log lines were dropped: the disk is full" in caplog.text


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store.sqlite")
    yield store
    store.close()


def test_events_are_published_again_after_a_restart(store: Store) -> None:
    published: list[tuple[str, list[str], dict[str, Any]]] = []

    def publish(detail_type: str, resources: list[str], detail: Mapping[str, Any]) -> None:
        published.append((detail_type, resources, dict(detail)))

    Outbox(store, publish).put("Change", ["arn"], {"a": 1})

    assert Outbox(store, publish).resend() == 1
    assert published == [("Change", ["arn"], {"a": 1})] * 2


def test_an_event_is_written_down_before_it_is_published(store: Store) -> None:
    def publish(detail_type: str, resources: list[str], detail: Mapping[str, Any]) -> None:
        raise RuntimeError("the bus is gone")

    with pytest.raises(RuntimeError, match="the bus is gone"):
        Outbox(store, publish).put("Change", [], {})

    published: list[str] = []
    assert Outbox(store, lambda detail_type, resources, detail: published.append(detail_type)).resend() == 1
    assert published == ["Change"]


def test_events_that_are_old_are_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(store, lambda detail_type, resources, detail: None)
    outbox.put("Change", [], {})
    monkeypatch.setattr("localcloud.state.events.KEEP_SECONDS", -1.0)

    outbox.prune()

    assert outbox.resend() == 0
