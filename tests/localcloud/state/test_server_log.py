"""The server's log: floods are counted, and a large file starts anew."""

import logging
import os
from pathlib import Path

import pytest

from localcloud.state.server_log import RateLimit, rotate


def record(message: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("localcloud", logging.WARNING, "", 0, message, values, None)


def test_a_message_is_written_so_many_times_a_minute() -> None:
    limit = RateLimit(3, lambda: 0.0)

    assert [limit.filter(record("no room for %s", n)) for n in range(5)] == [True, True, True, False, False]


def test_another_message_is_written() -> None:
    limit = RateLimit(1, lambda: 0.0)
    limit.filter(record("one"))

    assert [limit.filter(record("one")), limit.filter(record("two"))] == [False, True]


def test_a_minute_later_the_count_of_what_was_left_out_is_said() -> None:
    now = 0.0
    limit = RateLimit(2, lambda: now)
    for number in range(10):
        limit.filter(record("no room for %s", number))
    now = 61.0
    next_one = record("no room for %s", 10)

    assert limit.filter(next_one)
    assert next_one.getMessage() == "no room for 10 (8 more of these in the minute before were left out)"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


def appended(path: Path, data: bytes, most: int) -> bool:
    """Write as the server does, to a descriptor that somebody else opened, then rotate."""
    descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    try:
        os.write(descriptor, data)
        rotated = rotate(descriptor, most)
        os.write(descriptor, b"after")
    finally:
        os.close(descriptor)
    return rotated


def test_a_small_log_stays(log: Path) -> None:
    assert not appended(log, b"short", 100)
    assert log.read_bytes() == b"shortafter"


def test_a_large_log_starts_anew_and_its_end_is_kept(log: Path) -> None:
    assert appended(log, b"x" * 100 + b"the end", 10)
    assert log.read_bytes() == b"after"
    assert log.with_name("server.log.1").read_bytes() == b"xxxthe end"


def test_three_earlier_logs_are_kept(log: Path) -> None:
    for number in range(6):
        appended(log, b"%d" % number * 10, 10)

    assert sorted(path.name for path in log.parent.iterdir()) == [
        "server.log",
        "server.log.1",
        "server.log.2",
        "server.log.3",
    ]
    assert b"5" in log.with_name("server.log.1").read_bytes()


def test_a_terminal_or_pipe_is_left_alone() -> None:
    reading, writing = os.pipe()

    assert not rotate(writing, 0)

    os.close(reading)
    os.close(writing)
