"""What `loadingbay console` does with signals, and where it opens a browser."""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest

from loadingbay.commands import console
from loadingbay.commands.console import until_interrupted
from loadingbay.target import choose


def test_a_signal_that_another_thread_took_ends_the_wait() -> None:
    done = threading.Event()

    def take_the_signal() -> None:
        done.wait(0.2)  # until the main thread waits
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        done.wait(30)

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
    console.open_console(choose({}, tmp_path)).join(5)
    assert launched == [ready.address] * opened
