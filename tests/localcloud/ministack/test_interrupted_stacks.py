"""Stacks that a kill cut off."""

import json
from pathlib import Path
from typing import Any

import pytest

from localcloud.ministack.interrupted_stacks import mark_interrupted, status_after_kill
from tests.waiting import soon


@pytest.mark.parametrize(
    ("status", "after"),
    [
        ("CREATE_IN_PROGRESS", "CREATE_FAILED"),
        ("ROLLBACK_IN_PROGRESS", "CREATE_FAILED"),
        ("DELETE_IN_PROGRESS", "DELETE_FAILED"),
        ("UPDATE_IN_PROGRESS", "UPDATE_FAILED"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_FAILED"),
        ("REVIEW_IN_PROGRESS", "REVIEW_IN_PROGRESS"),
        ("CREATE_COMPLETE", "CREATE_COMPLETE"),
    ],
)
def test_what_was_in_progress_has_failed(status: str, after: str) -> None:
    assert status_after_kill(status) == after


def test_a_state_with_nothing_in_progress_is_not_written(tmp_path: Path) -> None:
    state = tmp_path / "cloudformation.json"
    state.write_text(json.dumps({"payload": {"stacks": {"data": {"a": {"StackStatus": "CREATE_COMPLETE"}}}}}))
    before = state.stat().st_mtime_ns

    assert mark_interrupted(state) == []
    assert mark_interrupted(tmp_path / "absent.json") == []
    assert state.stat().st_mtime_ns == before


def cut_off(cloud: Any) -> None:
    """A stack that is being made, as its file says."""
    resources = {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Waits": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "600"},
        },
    }
    template = json.dumps({"Resources": resources})
    cloud.client("cloudformation").create_stack(StackName="cut-off", TemplateBody=template)
    assert soon(lambda: "CREATE_IN_PROGRESS" in _state(cloud))


@pytest.mark.restarted(cut_off, "kill")
def test_an_interrupted_stack_says_so_after_the_restart(restarted: tuple[Any, None]) -> None:
    [stack] = restarted[0].client("cloudformation").describe_stacks(StackName="cut-off")["Stacks"]

    assert stack["StackStatus"] == "CREATE_FAILED"
    assert "was stopped while this stack was changing" in stack["StackStatusReason"]


def _state(cloud: Any) -> str:
    file = cloud.home / "emulator" / "state" / "cloudformation.json"
    return file.read_text() if file.exists() else ""
