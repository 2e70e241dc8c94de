"""Calls of Lambda workers: answers, what was printed, and processes that end or take too long."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from localcloud.ministack import worker_calls
from localcloud.ministack.worker_calls import Pipes

END = r"os.write(2, b'\x1elocalcloud-end-of-output\x1e2048\n')"
ANSWER = """print('{"status": "ok", "result": 1}', flush=True)"""


@pytest.fixture
def started() -> Iterator[ExitStack]:
    with ExitStack() as processes:
        yield processes


def pipes(started: ExitStack, code: str, printed: bytes = b"") -> Pipes:
    """The pipes of a process that reads a line and then runs `code`."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"import os, sys, time\nsys.stdin.readline()\n{code}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    started.callback(process.communicate)
    started.callback(process.kill)
    return Pipes(process, bytearray(printed))


def ask(called: Pipes, request: bytes = b"{}\n", seconds: float = 60) -> dict[str, object]:
    deadline = time.monotonic() + seconds
    called.send(request, deadline)
    return called.receive(deadline)


def test_an_answer_comes_with_what_was_printed_and_the_memory(started: ExitStack) -> None:
    called = pipes(started, f"print('said', file=sys.stderr)\n{END}\n{ANSWER}")

    assert ask(called)["result"] == 1
    assert called.printed(60) == ("said", 2048)


def test_more_is_printed_than_a_pipe_holds(started: ExitStack) -> None:
    called = pipes(started, f"print('x' * 1_000_000, file=sys.stderr)\n{END}\n{ANSWER}")

    ask(called)

    assert called.printed(60)[0] == "x" * 1_000_000


def test_a_request_and_an_answer_may_be_longer_than_a_pipe(started: ExitStack) -> None:
    called = pipes(started, """print('{"status": "ok", "result": "' + 'y' * 1_000_000 + '"}', flush=True)""")

    assert ask(called, b"z" * 1_000_000 + b"\n")["result"] == "y" * 1_000_000


def test_lines_that_are_no_answer_are_passed_over(started: ExitStack) -> None:
    called = pipes(started, f"""print('{{"status": "other"}}\\n{{broken\\nnoise', flush=True)\n{ANSWER}""")

    assert ask(called)["result"] == 1


def test_what_was_printed_before_the_first_call_is_in_its_log(started: ExitStack) -> None:
    called = pipes(started, f"{END}\n{ANSWER}", b"imported\n" + worker_calls._END + b"0\n")

    ask(called)

    assert called.printed(60)[0] == "imported"


def test_a_process_that_ends_gives_no_answer(started: ExitStack) -> None:
    called = pipes(started, "print('last words', file=sys.stderr)")

    with pytest.raises(EOFError):
        ask(called)
    assert called.printed(0)[0] == "last words"


def test_a_process_that_ends_is_noticed_while_its_child_holds_the_pipes(
    started: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_calls, "_LOOK_SECONDS", 0.05)
    called = pipes(started, "if os.fork() == 0: sys.stdin.read()\nelse: os._exit(1)")

    with pytest.raises(EOFError):
        ask(called)


def test_an_answer_that_takes_too_long_is_not_waited_for(started: ExitStack) -> None:
    called = pipes(started, "print('begun', file=sys.stderr, flush=True)\ntime.sleep(120)")

    with pytest.raises(TimeoutError):
        ask(called, seconds=0.3)


def test_a_process_that_ended_takes_no_request(started: ExitStack) -> None:
    called = pipes(started, "")
    with pytest.raises(EOFError):
        ask(called)
    called._process.wait(60)

    with pytest.raises(BrokenPipeError):
        called.send(b"{}\n", time.monotonic() + 60)


def test_without_a_mark_of_the_end_what_was_printed_is_given(started: ExitStack) -> None:
    called = pipes(started, f"os.close(2)\n{ANSWER}")

    ask(called)

    assert called.printed(60) == ("", 0)
