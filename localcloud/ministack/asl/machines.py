"""Operations on state machines and activities: names, and what is not there, as AWS has it.

Source: AWS Step Functions API reference, CreateStateMachine, UpdateStateMachine, DeleteStateMachine, StartExecution,
CreateActivity, DeleteActivity.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

from localcloud.ministack.asl.queries import arn_problem

Answer = tuple[int, dict[str, str], bytes]
Operation = Callable[[dict[str, Any]], Answer]

# Spaces, brackets, wildcards and special characters, and control characters.
_WRONG_IN_NAME = re.compile(r"""[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]""")
_LONGEST_NAME = 80
_UPDATED = ("definition", "roleArn", "loggingConfiguration", "tracingConfiguration", "encryptionConfiguration")


def is_name(text: str) -> bool:
    """Whether a state machine, an execution or an activity may have a name."""
    return 1 <= len(text) <= _LONGEST_NAME and not _WRONG_IN_NAME.search(text)


class Machines:
    """Refuses, or answers, what the emulator would take or answer otherwise."""

    def __init__(self, states: Any) -> None:
        self._states = states

    def install(self) -> None:
        """Replace the operations of `ministack.services.stepfunctions`."""
        states = self._states
        for name in ("_create_state_machine", "_start_execution", "_start_sync_execution", "_create_activity"):
            setattr(states, name, self._with_name(getattr(states, name)))
        for name in ("_start_execution", "_start_sync_execution", "_update_state_machine", "_describe_state_machine"):
            setattr(states, name, self._of_machine(getattr(states, name)))
        states._update_state_machine = self._with_change(states._update_state_machine)
        states._create_state_machine = self._with_logs(self._named(states._create_state_machine))
        states._delete_state_machine = self._once(states._delete_state_machine, "stateMachineArn", "stateMachine")
        states._delete_activity = self._once(states._delete_activity, "activityArn", "activity")
        states._create_activity = self._or_as_it_is(states._create_activity)

    def _with_name(self, work: Operation) -> Operation:
        """`work` for requests whose name, if they have one, is allowed."""

        @functools.wraps(work)
        def named(data: dict[str, Any]) -> Answer:
            name = data.get("name")
            if name is not None and not is_name(str(name)):
                return self._refused("InvalidName", f"Invalid Name: '{str(name)[:200]}'")
            return work(data)

        return named

    def _of_machine(self, work: Operation) -> Operation:
        """`work` for requests with an ARN of a state machine, a version or an alias."""

        @functools.wraps(work)
        def checked(data: dict[str, Any]) -> Answer:
            arn = str(data.get("stateMachineArn"))
            problem = arn_problem(arn, "stateMachine")
            if problem:
                return self._refused("InvalidArn", f"Invalid Arn: '{problem}'")
            if self._states._resolve_state_machine_arn(arn) is None:
                return self._refused("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
            return work(data)

        return checked

    def _named(self, create: Operation) -> Operation:
        """`create`, which creates a state machine; a refusal for one that is there already names its ARN."""

        @functools.wraps(create)
        def created(data: dict[str, Any]) -> Answer:
            answer = create(data)
            if answer[0] != 400 or b"StateMachineAlreadyExists" not in answer[2]:
                return answer
            place = f"{self._states.get_region()}:{self._states.get_account_id()}"
            arn = f"arn:aws:states:{place}:stateMachine:{data['name']}"
            return self._refused("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")

        return created

    def _with_change(self, update: Operation) -> Operation:
        """`update`, which changes a state machine, unless nothing is to be changed."""

        @functools.wraps(update)
        def checked(data: dict[str, Any]) -> Answer:
            if not data.keys() & set(_UPDATED):
                message = (
                    "Either the definition, the role ARN, the LoggingConfiguration, the EncryptionConfiguration, or "
                    "the TracingConfiguration must be specified"
                )
                return self._refused("MissingRequiredParameter", message)
            return update(data)

        return checked

    def _with_logs(self, create: Operation) -> Operation:
        """`create`, which creates a state machine, unless it would log to nowhere."""

        @functools.wraps(create)
        def checked(data: dict[str, Any]) -> Answer:
            logs = data.get("loggingConfiguration") or {}
            if logs.get("level", "OFF") != "OFF" and len(logs.get("destinations") or []) != 1:
                message = "Invalid Logging Configuration: Must specify exactly one Log Destination."
                return self._refused("InvalidLoggingConfiguration", message)
            return create(data)

        return checked

    def _once(self, delete: Operation, member: str, kind: str) -> Operation:
        """`delete`, which deletes what a member names by an ARN; without an error where it is gone already."""

        @functools.wraps(delete)
        def deleted(data: dict[str, Any]) -> Answer:
            problem = arn_problem(str(data.get(member)), kind)
            if problem:
                return self._refused("InvalidArn", f"Invalid Arn: '{problem}'")
            answer = delete(data)
            done: Answer = self._states.json_response({})
            return done if answer[0] == 400 and b"DoesNotExist" in answer[2] else answer

        return deleted

    def _or_as_it_is(self, create: Operation) -> Operation:
        """`create`, which creates an activity; one that is there already is the answer."""

        @functools.wraps(create)
        def created(data: dict[str, Any]) -> Answer:
            answer = create(data)
            if answer[0] != 400 or b"ActivityAlreadyExists" not in answer[2]:
                return answer
            place = f"{self._states.get_region()}:{self._states.get_account_id()}"
            found = self._states._activities[f"arn:aws:states:{place}:activity:{data['name']}"]
            there: Answer = self._states.json_response(
                {"activityArn": found["activityArn"], "creationDate": found["creationDate"]}
            )
            return there

        return created

    def _refused(self, code: str, message: str) -> Answer:
        answer: Answer = self._states.error_response_json(code, message, 400)
        return answer
