"""Ports of this machine for what a test starts."""

import contextlib
import random
import socket


def free_port() -> int:
    """A port of 127.0.0.1 that stays free until what is started takes it.

    It is below those that the kernel gives to whoever asks for any, as other tests do meanwhile.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_768)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
