"""Waiting, in tests, for what another thread or process does."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self, TypeVar

T = TypeVar("T")
PATIENCE = 240.0
"""Seconds within which comes what is there in a moment: a machine that is busy with other things fails no test."""


def soon(reached: Callable[[], T], seconds: float = PATIENCE) -> T:
    """Ask `reached` until it returns something true, at most for so many seconds; what it returned last.

    It is asked less and less often: to ask takes time from what is waited for.
    """
    deadline, pause = time.monotonic() + seconds, 0.02
    while not (found := reached()) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(1.3 * pause, 0.2)
    return found


def ended(states: Any, execution: str) -> dict[str, Any]:
    """The execution of a state machine, by its ARN, once it runs no longer."""

    def described() -> dict[str, Any]:
        found: dict[str, Any] = states.describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else {}

    found = soon(described)
    assert found, f"{execution} did not end"
    return found


def message(sqs: Any, url: str) -> str:
    """The body of the next message of a queue, which is deleted."""
    received = soon(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5).get("Messages"))
    assert received, f"no message came to {url}"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=received[0]["ReceiptHandle"])
    return str(received[0]["Body"])


class Gate:
    """Where processes of this machine wait, by the function `pass_gate()` of `source`, until the test opens it."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._listener = self._open.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]
        self.source = f"""
def pass_gate():
    import socket
    try:
        socket.create_connection(("127.0.0.1", {self.port})).recv(1)
    except OSError:
        pass  # it is open
"""

    def arrived(self, number: int = 1) -> None:
        """Return once so many more processes wait."""
        for _ in range(number):
            self._open.enter_context(self._listener.accept()[0])

    def open(self) -> None:
        """Let all go on, and whoever comes later."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()
