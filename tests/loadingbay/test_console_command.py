"""What `loadingbay console` does with signals."""

from __future__ import annotations

import signal
import threading

import pytest

from loadingbay.commands.console import until_interrupted


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
