"""Stacks whose change was cut off when the cloud was killed: no thread works on them any more, so they say so.

A stack would otherwise stay CREATE_IN_PROGRESS for ever, and whoever waits for it with it.
"""

import json
from pathlib import Path
from typing import Any

REASON = "The local cloud was stopped while this ran: deploy again, a stack that was never whole after it is deleted."
# REVIEW_IN_PROGRESS is a stack that only has a change set: it waits for a person.
_AFTERWARDS = {"CREATE": "CREATE_FAILED", "ROLLBACK": "CREATE_FAILED", "DELETE": "DELETE_FAILED"}


def cut_off(status: str) -> str:
    """The status of a stack in this status that nobody works on any more."""
    if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
        return status
    return _AFTERWARDS.get(status.partition("_")[0], "UPDATE_FAILED")


def mark_stacks(state: Path) -> list[str]:
    """Change the emulator's saved state of CloudFormation, before it is read; the names of the stacks concerned."""
    if not state.exists():
        return []
    document = json.loads(state.read_text())
    marked = []
    for stack in _stacks(document.get("payload", {}).get("stacks")):
        after = cut_off(stack["StackStatus"])
        if after != stack["StackStatus"]:
            stack.update(StackStatus=after, StackStatusReason=REASON)
            marked.append(str(stack.get("StackName")))
    if marked:
        partial = state.with_suffix(".partial")
        partial.write_text(json.dumps(document))
        partial.replace(state)
    return marked


def _stacks(value: Any) -> list[dict[str, Any]]:
    """The stacks in the emulator's store, whatever it nests them in (account, region)."""
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("StackStatus"), str):
        return [value]
    return [stack for inner in value.values() for stack in _stacks(inner)]
