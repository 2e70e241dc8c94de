"""What `loadingbay console` does with signals, and where it opens a browser."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from types import SimpleNamespace

import pytest

from loadingbay.commands import console
from loadingbay.commands.console import until_interrupted
from loadingbay.target import choose
from tests.waiting import soon


def test_a_signal_that_another_thread_took_ends_the_wait() -> None:
    done = threading.Event()

    def waits() -> bool:
        frame = sys._current_frames()[threading.main_thread().ident]
        return until_interrupted.__code__ in {caller.f_code for caller, _ in traceback.walk_stack(frame)}

    def take_the_signal() -> None:
        soon(waits)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        done.wait(60)

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    thread = threading.Thread(target=take_the_signal, daemon=True)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            until_interrupted(thread)
    finally:
        done.set()
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("display", "opened"), [("", 0), (":0", 1)])
def test_a_browser_is_opened_where_there_is_a_screen(monkeypatch, tmp_path, display, opened):
    ready = SimpleNamespace(address="http://127.0.0.1:1/enter?token=a", serve=lambda: None)
    monkeypatch.setattr("loadingbay.console.server.prepare", lambda *_, **__: ready)
    for name in ("WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", display)
    launched: list[str] = []
    monkeypatch.setattr("click.launch", launched.append)
    console.open_console(choose({}, tmp_path)).join(60)
    assert launched == [ready.address] * opened
