"""Threads that are used again."""

import contextvars
import threading

import pytest

from localcloud.ministack import threads as module
from localcloud.ministack.threads import Threads
from tests.waiting import soon


def test_work_after_work_is_done_by_one_thread() -> None:
    threads = Threads()
    seen = set()
    for _ in range(20):
        assert soon(lambda: len(threads._idle) == 1 or not seen)
        seen.add(threads.submit(threading.get_ident).result(60))

    assert len(seen) == 1


def test_work_that_waits_for_other_work_gets_threads_without_limit() -> None:
    threads = Threads()
    met = threading.Barrier(50)

    futures = [threads.submit(met.wait, 60) for _ in range(50)]

    assert sorted(future.result(60) for future in futures) == list(range(50))


def test_the_context_of_one_work_is_not_seen_by_the_next() -> None:
    threads, variable = Threads(), contextvars.ContextVar("variable", default="unset")
    threads.submit(variable.set, "of the first").result(60)
    assert soon(lambda: len(threads._idle) == 1)

    assert threads.submit(variable.get).result(60) == "unset"


def test_what_work_raises_is_in_its_future() -> None:
    threads = Threads()

    with pytest.raises(KeyError):
        threads.submit({}.__getitem__, "absent").result(60)


def test_an_idle_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.01)
    threads = Threads()
    thread = threads.submit(threading.current_thread).result(60)

    thread.join(60)

    assert not thread.is_alive()
    assert not threads._idle
