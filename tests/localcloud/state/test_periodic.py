"""What is published every few seconds: again after a failure, and the rest at the end."""

import logging
import threading

import pytest

from localcloud.state.periodic import Periodic


def test_a_failure_is_logged_and_the_next_turn_comes(caplog: pytest.LogCaptureFixture) -> None:
    turns, again = [], threading.Event()

    def publish() -> None:
        turns.append(len(turns))
        if len(turns) == 1:
            raise RuntimeError("the first time it does not work")
        again.set()

    with caplog.at_level(logging.ERROR, "localcloud"):
        periodic = Periodic("the figures", 0.001, publish)
        assert again.wait(60)
        periodic.stop()
    assert "the figures failed" in caplog.text


def test_a_stop_publishes_the_rest_at_once() -> None:
    turns: list[str] = []
    Periodic("the figures", 3600, lambda: turns.append("published")).stop()
    assert turns == ["published"]
