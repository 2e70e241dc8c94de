"""CloudFormation stacks whose change a kill interrupted are marked as failed when the cloud starts again.

No thread works on them any more: they would stay CREATE_IN_PROGRESS, and a waiter would wait until its time-out.
"""

import json
from pathlib import Path
from typing import Any

REASON = (
    "The local cloud was stopped while this stack was changing. "
    "Deploy it again; if it was being created, delete it first."
)
# By the first word of the status that was interrupted.
_STATUS_AFTER = {"CREATE": "CREATE_FAILED", "ROLLBACK": "CREATE_FAILED", "DELETE": "DELETE_FAILED"}


def status_after_kill(status: str) -> str:
    """The status of a stack, whose status was `status` at the kill, after the restart.

    REVIEW_IN_PROGRESS stays: the stack only has a change set, which waits for a person.
    """
    if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
        return status
    return _STATUS_AFTER.get(status.partition("_")[0], "UPDATE_FAILED")


def mark_interrupted(state: Path) -> list[str]:
    """Mark interrupted stacks in MiniStack's state file of CloudFormation, before MiniStack reads it; their names."""
    if not state.exists():
        return []
    document = json.loads(state.read_text(encoding="utf-8"))
    marked = []
    for stack in _stacks(document.get("payload", {}).get("stacks")):
        after = status_after_kill(stack["StackStatus"])
        if after != stack["StackStatus"]:
            stack.update(StackStatus=after, StackStatusReason=REASON)
            marked.append(str(stack.get("StackName")))
    if marked:
        partial = state.with_suffix(".partial")
        partial.write_text(json.dumps(document))
        partial.replace(state)
    return marked


def _stacks(value: Any) -> list[dict[str, Any]]:
    """All stacks in a saved store, which nests them by account and region."""
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("StackStatus"), str):
        return [value]
    return [stack for inner in value.values() for stack in _stacks(inner)]
