"""The way of a photo through the state machine, from the events of its execution."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from loadingbay.serving.trace import states

START = datetime(2026, 11, 26, tzinfo=UTC)


def _events(*events):
    return [{"timestamp": START + timedelta(milliseconds=10 * n), **event} for n, event in enumerate(events)]


def _entered(name, content="{}"):
    return {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": name, "input": content}}


def test_a_state_has_its_input_output_and_time():
    exited = {"type": "TaskStateExited", "stateExitedEventDetails": {"name": "A", "output": '{"b": 2}'}}
    (state,) = states(_events(_entered("A", '{"a": 1}'), {"type": "TaskScheduled"}, exited))
    assert (state.name, state.kind, state.input, state.output) == ("A", "Task", {"a": 1}, {"b": 2})
    assert (state.milliseconds, state.attempts, state.error) == (20, 1, "")


def test_a_state_that_runs_has_no_time_yet():
    (state,) = states(_events(_entered("A")))
    assert state.milliseconds is None


@pytest.mark.parametrize(
    "cause",
    [
        json.dumps({"errorMessage": json.dumps({"message": "too dark"}), "errorType": "X"}),
        json.dumps({"message": "too dark"}),
        json.dumps({"errorMessage": "too dark"}),
        "too dark",
    ],
)
def test_a_failure_has_its_own_sentence(cause):
    failed = {"type": "TaskFailed", "taskFailedEventDetails": {"error": "X", "cause": cause}}
    (state,) = states(_events(_entered("A"), {"type": "TaskScheduled"}, failed))
    assert (state.error, state.cause) == ("X", "too dark")
