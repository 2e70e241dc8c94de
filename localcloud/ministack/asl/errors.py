"""Errors of states by the names that Retry and Catch match.

Source: AWS Step Functions Developer Guide, "Handling errors in Step Functions workflows", "Error names".
"""

from typing import Any

RUNTIME = "States.Runtime"
TIMEOUT = "States.Timeout"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
DATA_LIMIT_EXCEEDED = "States.DataLimitExceeded"
INTRINSIC_FAILURE = "States.IntrinsicFailure"
QUERY_FAILURE = "States.QueryEvaluationError"

DELETING = "deleting"
"""The member of an execution whose state machine is being deleted."""


class StateError(Exception):
    """A state failed: the name of the error, and why as a sentence (empty where AWS says nothing)."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause
        self.place: Any = None
        """The branch or iteration in which it occurred."""
        self.of_branch = False
        """Whether it failed the state that the branch or iteration belongs to."""


class HeartbeatError(StateError):
    """A task sent no heartbeat in time: it is States.Timeout, which States.HeartbeatTimeout matches as well."""

    def __init__(self) -> None:
        super().__init__(TIMEOUT, "")


class StoppedError(StateError):
    """The execution, or the branch of it that runs here, has been ended meanwhile: nothing retries or catches this."""

    def __init__(self) -> None:
        super().__init__(RUNTIME, "The execution has ended.")


class DeletedError(StoppedError):
    """The state machine is being deleted, which ends its executions at their next transition."""
