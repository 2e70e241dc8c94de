"""Which retrier or catcher takes an error, and how long it waits."""

import pytest

from localcloud.ministack.asl import retries
from localcloud.ministack.asl.errors import HeartbeatError, StateError, StoppedError


def error(name: str) -> StateError:
    return StateError(name, "")


@pytest.mark.parametrize(
    ("names", "failed", "taken"),
    [
        (["Mine"], error("Mine"), True),
        (["States.ALL"], error("Mine"), True),
        (["States.ALL"], error(""), True),
        (["States.ALL"], error("States.Timeout"), True),
        (["States.ALL"], error("States.Runtime"), False),
        (["States.Runtime"], error("States.Runtime"), False),
        (["States.ALL"], error("States.DataLimitExceeded"), False),
        (["States.DataLimitExceeded"], error("States.DataLimitExceeded"), True),
        (["States.TaskFailed"], error("Mine"), True),
        (["States.TaskFailed"], error("States.Timeout"), False),
        (["States.TaskFailed"], error("States.DataLimitExceeded"), False),
        (["States.Timeout"], HeartbeatError(), True),
        (["States.HeartbeatTimeout"], HeartbeatError(), True),
        (["States.HeartbeatTimeout"], error("States.Timeout"), False),
        (["States.ALL", "States.Runtime"], StoppedError(), False),
    ],
)
def test_names_stand_for_errors_as_documented(names: list[str], failed: StateError, taken: bool) -> None:
    assert retries.matches(names, failed) is taken


def test_the_interval_grows_up_to_its_most() -> None:
    retrier = {"IntervalSeconds": 3, "BackoffRate": 2, "MaxDelaySeconds": 20}

    assert [retries.delay(retrier, count) for count in range(5)] == [3, 6, 12, 20, 20]
    assert retries.delay({"BackoffRate": 9}, 10_000) == 99_999_999
    assert retries.delay({"IntervalSeconds": 300}, 0) == 300


def test_full_jitter_takes_a_part_of_the_interval() -> None:
    found = [retries.delay({"IntervalSeconds": 8, "JitterStrategy": "FULL"}, 0) for _ in range(50)]

    assert all(0 <= one <= 8 for one in found)
    assert len(set(found)) > 40


def test_each_retrier_counts_its_own_attempts() -> None:
    retriers = [
        {"ErrorEquals": ["A"], "MaxAttempts": 1, "IntervalSeconds": 5},
        {"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "IntervalSeconds": 7},
    ]
    tried: dict[int, int] = {}

    delays = [retries.next_delay(retriers, error(name), tried) for name in ("A", "B", "A", "B")]

    assert delays == [5, 7, None, None]


def test_the_first_catcher_that_fits_takes_the_error() -> None:
    catchers = [{"ErrorEquals": ["B"], "Next": "1"}, {"ErrorEquals": ["A", "B"], "Next": "2"}]

    assert retries.catcher(catchers, error("B")) == catchers[0]
    assert retries.catcher(catchers, error("A")) == catchers[1]
    assert retries.catcher(catchers, error("C")) is None
