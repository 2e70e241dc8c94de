"""What runs together is stopped together, and nothing waits for longer."""

import threading

import pytest

from localcloud.ministack.asl import runs
from localcloud.ministack.asl.errors import StateError, StoppedError
from localcloud.ministack.threads import Threads
from tests.waiting import soon

THREADS = Threads()


def test_a_wait_ends_with_the_run_around_it() -> None:
    with runs.Run() as outer, runs.Run(outer) as inner:
        future = THREADS.submit(inner.wait, 60)
        outer.stop()

        with pytest.raises(StoppedError):
            future.result(60)
        with pytest.raises(StoppedError):
            inner.check()


def test_what_begins_in_a_stopped_run_is_stopped() -> None:
    outer = runs.Run()
    outer.stop()

    with runs.Run(outer) as inner, pytest.raises(StoppedError):
        inner.wait(0)


def test_a_signal_ends_a_wait_and_time_does() -> None:
    run = runs.Run()
    signal = runs.Signal(run)
    future = THREADS.submit(run.wait_for, lambda: signal.happened, 60)

    signal.set()

    assert future.result(60) is True
    assert run.wait_for(lambda: False, 0.01) is False


def test_a_wait_of_ages_is_a_wait() -> None:
    run = runs.Run()
    future = THREADS.submit(run.wait, 1e300)
    assert not future.done()

    run.stop()

    with pytest.raises(StoppedError):
        future.result(60)


def test_results_come_in_order_and_only_so_many_run_at_once() -> None:
    running, most, lock, met = 0, 0, threading.Lock(), threading.Barrier(3)

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        met.wait(60)  # for two others that run at once
        with lock:
            running -= 1
        return number

    found = runs.together(THREADS, [lambda n=n: work(n) for n in range(21)], 3)  # type: ignore[misc]

    assert (found, most) == (list(range(21)), 3)
    assert runs.together(THREADS, [], 3) == []


def test_the_first_that_fails_stops_the_others() -> None:
    stopped: list[str] = []

    def waits() -> None:
        try:
            runs.current().wait(60)
        except StoppedError:
            stopped.append("it")
            raise

    def fails() -> None:
        raise StateError("Mine", "why")

    with pytest.raises(StateError, match="Mine: why"):
        runs.together(THREADS, [waits, fails, waits], 3)

    assert soon(lambda: stopped == ["it", "it"])


def test_a_run_is_told_of_anothers_end() -> None:
    own, other = runs.Run(), runs.Run()
    with own.told_by(other):
        future = THREADS.submit(own.wait_for, lambda: other.stopped, 60)
        other.stop()

        assert future.result(60) is True
    assert not own.stopped
