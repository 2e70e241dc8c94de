"""A machine's clock that is set while the local cloud runs keeps no message and no poll waiting."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.ministack import queues
from localcloud.ministack.clock import Clock
from localcloud.ministack.database import Database


class Held(dict[Any, Any]):
    """MiniStack's dictionary of queues, of all accounts."""

    all_items, all_values = dict.items, dict.values


def emulated(receive: Any, messages: list[dict[str, Any]]) -> Any:
    """As much of MiniStack's SQS as `Queues` patches, with one queue."""
    held = Held({("a", "r", "q"): {"messages": messages, "dedup_cache": {"d": {"expire": 300.0}}}})
    handlers = dict.fromkeys(queues._CHANGE, len) | {"ReceiveMessage": receive}
    names = {name.partition(".")[0]: len for name in queues._NAMES}
    return SimpleNamespace(__name__="sqs", **names | {"_queues": held, "_HANDLERS": handlers})


def message(visible_at: float) -> dict[str, Any]:
    return {"id": "m", "visible_at": visible_at, "sent_at": 0.0, "receipt_handle": "h", "receive_count": 1}


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_a_clock_that_is_set_is_noticed_once(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    clock, real = Clock(), time.time
    assert clock.jumped() == 0

    monkeypatch.setattr(time, "time", lambda: real() + jump)

    assert clock.jumped() == pytest.approx(jump, abs=0.5)
    assert clock.jumped() == 0


def test_messages_are_seen_again_when_they_would_have_been(tmp_path: Path) -> None:
    sqs = emulated(len, [message(visible_at=30.0)])
    held = queues.Queues(sqs, Database(tmp_path / "traffic.sqlite", queues.SCHEMA))

    held.shift(-20.0)

    queue = sqs._queues[("a", "r", "q")]
    assert (queue["messages"][0]["visible_at"], queue["dedup_cache"]["d"]["expire"]) == (10.0, 280.0)


def test_a_poll_ends_although_the_time_of_day_does_not_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive(_data: dict[str, Any], _url: str) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(queues, "_LONGEST_WAIT_SECONDS", -0.99)
    sqs = emulated(receive, [])
    queues.Queues(sqs, Database(tmp_path / "traffic.sqlite", queues.SCHEMA))

    assert asyncio.run(sqs._HANDLERS["ReceiveMessage"]({}, "q")) == {}
