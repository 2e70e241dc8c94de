"""An execution has a limited history, and hands on limited data."""

import json
from types import ModuleType
from typing import Any

import pytest

from localcloud.ministack import limits
from tests.localcloud.conftest import RunningCloud


class StateError(Exception):
    """Stands for the emulator's error of an execution: name and cause."""


@pytest.fixture
def states() -> Any:
    """Stands for the emulator's module, with the limits."""
    module: Any = ModuleType("states")
    module._ExecutionError = StateError
    module._add_event = lambda execution, kind, details=None: execution["events"].append(kind)
    limits.install(module)
    return module


def exited(output: Any) -> dict[str, Any]:
    return {"stateExitedEventDetails": {"name": "Only", "output": json.dumps(output)}}


def test_the_history_ends_after_25_000_events(states: Any) -> None:
    execution: dict[str, Any] = {"events": ["PassStateEntered"] * 24_997}
    states._add_event(execution, "PassStateEntered")

    with pytest.raises(StateError, match=r"maximum number of history events \(25000\)"):
        states._add_event(execution, "PassStateEntered")
    states._add_event(execution, "ExecutionFailed")

    assert len(execution["events"]) == 24_999


@pytest.mark.parametrize("output", ["x" * 262_142, "é" * 131_071, {}])
def test_what_is_within_the_limit_is_handed_on(states: Any, output: Any) -> None:
    execution: dict[str, Any] = {"events": []}
    states._add_event(execution, "PassStateExited", exited(output))

    assert execution["events"] == ["PassStateExited"]


@pytest.mark.parametrize("output", ["x" * 262_143, "é" * 131_072])
def test_what_is_beyond_the_limit_is_not(states: Any, output: str) -> None:
    with pytest.raises(StateError, match="The state/task 'Only' returned a result with a size exceeding"):
        states._add_event({"events": []}, "PassStateExited", exited(output))


def test_an_execution_that_hands_on_too_much_fails(cloud: RunningCloud) -> None:
    machines = cloud.client("stepfunctions")
    doubled = {"Type": "Pass", "Parameters": {"twice.$": "States.Array($.text, $.text)"}, "End": True}
    arn = machines.create_state_machine(
        name="doubling", definition=json.dumps({"StartAt": "Double", "States": {"Double": doubled}}),
        roleArn="arn:aws:iam::000000000000:role/any", type="EXPRESS",
    )["stateMachineArn"]  # fmt: skip

    ended = machines.start_sync_execution(stateMachineArn=arn, input=json.dumps({"text": "x" * 150_000}))

    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")
