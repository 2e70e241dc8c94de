"""In which thread an attempt of a Task state runs, and what comes of one that ends too late."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from localcloud.ministack.asl.errors import StateError
from localcloud.ministack.asl.integrations import Integrations
from localcloud.ministack.asl.tasks import Tasks
from localcloud.ministack.threads import Threads

RESOURCE = "arn:aws:states:::lambda:invoke"
CONTEXT = {"State": {"Name": "Call"}}


def attempt(longest: float, timeout: float, call: Callable[[], Any]) -> Any:
    """The result of a task of a service that ends by itself after `longest` seconds, with a TimeoutSeconds."""
    states: Any = SimpleNamespace(get_region=lambda: "us-east-1")
    history: Any = SimpleNamespace(add=lambda *_: None)
    services: Any = SimpleNamespace(longest=lambda *_: longest, invoke=lambda *_: call())
    nothing: Any = None
    state = {"Resource": RESOURCE, "TimeoutSeconds": timeout}
    return Tasks(states, Threads(), nothing, services, history).attempt(state, {}, {}, {}, CONTEXT)


def test_a_call_that_ends_before_its_time_is_over_wakes_no_other_thread() -> None:
    assert attempt(5, 30, threading.get_ident) == threading.get_ident()


@pytest.mark.parametrize("longest", [30, 40, float("inf")])
def test_a_call_that_can_take_too_long_has_a_thread_of_its_own(longest: float) -> None:
    assert attempt(longest, 30, threading.get_ident) != threading.get_ident()


def failing() -> None:
    time.sleep(0.05)
    raise StateError("Mine", "why")


@pytest.mark.parametrize("call", [lambda: time.sleep(0.05), failing])
def test_a_call_that_began_too_late_has_taken_too_long(call: Callable[[], Any]) -> None:
    with pytest.raises(StateError) as raised:
        attempt(0.001, 0.01, call)

    assert raised.value.error == "States.Timeout"


@pytest.mark.parametrize(
    ("resource", "given", "seconds"),
    [
        (RESOURCE, {"FunctionName": "known"}, 10),
        (RESOURCE, {"FunctionName": "unknown"}, float("inf")),
        (RESOURCE, None, float("inf")),
        ("arn:aws:states:::sqs:sendMessage", {"FunctionName": "known"}, float("inf")),
        ("arn:aws:states:::lambda:invoke.waitForTaskToken", {"FunctionName": "known"}, float("inf")),
    ],
)
def test_only_a_function_ends_by_itself(resource: str, given: Any, seconds: float) -> None:
    config = {"known": {"Timeout": 10}}
    functions = SimpleNamespace(_get_func_record_for_ref=lambda name: ({}, config.get(name), name))

    assert Integrations(None, functions).longest(resource, given) == seconds
