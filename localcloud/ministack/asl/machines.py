"""Operations on state machines, versions, aliases and activities: names, and what is not there, as AWS has it.

Source: AWS Step Functions API reference.
"""

import functools
import json
import re
from collections.abc import Callable
from typing import Any

from localcloud.ministack.asl.lifecycle import REVISIONS, Lifecycle
from localcloud.ministack.asl.requests import Answer, Operation, Refused

# Spaces, brackets, wildcards and special characters, and control characters.
_WRONG_IN_NAME = re.compile(r"""[\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]""")
_LONGEST_NAME = 80
_UNTESTED = re.compile(rb"Unsupported state type: (\w+)")
_MOST_REVISIONS = 50
_UPDATED = ("definition", "roleArn", "loggingConfiguration", "tracingConfiguration", "encryptionConfiguration")
_NAMING = {
    "execution": (
        "_stop_execution", "_list_map_runs", "_describe_state_machine_for_execution", "_redrive_execution",
    ),
    "stateMachine": (
        "_start_execution", "_start_sync_execution", "_update_state_machine", "_describe_state_machine",
        "_publish_state_machine_version", "_list_state_machine_versions", "_list_state_machine_aliases",
    ),
    "mapRun": ("_describe_map_run", "_update_map_run"),
    "activity": ("_describe_activity",),
}  # fmt: skip
_NOT_WHILE_DELETING = (
    "_start_execution", "_start_sync_execution", "_update_state_machine", "_publish_state_machine_version",
)  # fmt: skip
_PAGED = {
    "_list_state_machine_versions": "stateMachineVersions", "_list_state_machine_aliases": "stateMachineAliases",
    "_list_map_runs": "mapRuns",
}  # fmt: skip


def is_name(text: str) -> bool:
    """Whether a state machine, an execution or an activity may have a name."""
    return 1 <= len(text) <= _LONGEST_NAME and not _WRONG_IN_NAME.search(text)


class Machines:
    """Refuses, or answers, what the emulator would take or answer otherwise."""

    def __init__(self, states: Any, life: Lifecycle) -> None:
        self._states, self._life, self._refused = states, life, Refused(states)

    def install(self) -> None:
        """Replace the operations of `ministack.services.stepfunctions`."""
        states = self._states
        # What an answer of MiniStack's leaves out of a machine's record.
        states._SM_INTERNAL_KEYS = states._SM_INTERNAL_KEYS | {REVISIONS}
        states._redrive_execution = self._life.redrive
        states._drop_state_machine = self._with_versions(states._delete_state_machine)
        states._delete_state_machine = self._delete
        states._delete_activity = self._once(states._delete_activity, "activity")
        self._wrap(
            self._with_name, "_create_state_machine", "_start_execution", "_start_sync_execution", "_create_activity"
        )
        self._wrap(self._keeping_revision, "_update_state_machine")
        self._wrap(self._with_change, "_update_state_machine")
        self._wrap(self._with_logs, "_create_state_machine", "_update_state_machine")
        self._wrap(self._named, "_create_state_machine")
        self._wrap(self._or_as_it_is, "_create_activity")
        self._wrap(self._once_a_revision, "_publish_state_machine_version")
        self._wrap(self._once_an_alias, "_create_state_machine_alias")
        self._wrap(self._of_revision, "_describe_state_machine_for_execution")
        self._wrap(self._still_tolerating, "_update_map_run")
        self._wrap(self._of_single_states, "_test_state")
        for name, member in _PAGED.items():
            setattr(states, name, self._paged(getattr(states, name), member))
        self._wrap(self._unless_deleting, *_NOT_WHILE_DELETING)
        for kind, names in _NAMING.items():
            for name in names:
                setattr(states, name, self._refused.unless_there(getattr(states, name), kind))

    def _wrap(self, change: Callable[[Operation], Operation], *names: str) -> None:
        for name in names:
            work = getattr(self._states, name)
            setattr(self._states, name, functools.wraps(work)(change(work)))

    # Deleting

    def _delete(self, data: dict[str, Any]) -> Answer:
        """DeleteStateMachine: without an error where it is gone already."""
        machine = self._states._state_machines.get(data.get("stateMachineArn"))
        if machine is not None:
            self._life.delete(machine)
        return self._refused.arn(data, "stateMachine") or self._done()

    def _with_versions(self, delete: Operation) -> Operation:
        """`delete`, which deletes a state machine, together with its versions and aliases."""

        def deleted(data: dict[str, Any]) -> Answer:
            for kept in (self._states._state_machine_versions, self._states._state_machine_aliases):
                for arn in [arn for arn in kept if arn.rpartition(":")[0] == data["stateMachineArn"]]:
                    del kept[arn]
            return delete(data)

        return deleted

    def _unless_deleting(self, work: Operation) -> Operation:
        def checked(data: dict[str, Any]) -> Answer:
            arn = data.get("stateMachineArn")
            machine = self._states._state_machines.get(self._states._resolve_state_machine_arn(arn))
            if machine and machine.get("status") == "DELETING":
                return self._refused.with_code("StateMachineDeleting", f"State Machine is being deleted: '{arn}'")
            return work(data)

        return checked

    def _once(self, delete: Operation, kind: str) -> Operation:
        """`delete`, which deletes what an ARN names; without an error where it is gone already."""

        def deleted(data: dict[str, Any]) -> Answer:
            answer = self._refused.arn(data, kind) or delete(data)
            return self._done() if b"DoesNotExist" in answer[2] else answer

        return functools.wraps(delete)(deleted)

    # Creating and changing

    def _with_name(self, work: Operation) -> Operation:
        """`work` for requests whose name, if they have one, is allowed."""

        def named(data: dict[str, Any]) -> Answer:
            name = data.get("name")
            if name is not None and not is_name(str(name)):
                return self._refused.with_code("InvalidName", f"Invalid Name: '{str(name)[:200]}'")
            return work(data)

        return named

    def _named(self, create: Operation) -> Operation:
        """`create`, which creates a state machine; a refusal for one that is there already names its ARN."""

        def created(data: dict[str, Any]) -> Answer:
            arn = f"arn:aws:states:{self._place()}:stateMachine:{data.get('name')}"
            if (self._states._state_machines.get(arn) or {}).get("status") == "DELETING":
                return self._refused.with_code("StateMachineDeleting", f"State Machine is being deleted: '{arn}'")
            answer = create(data)
            if answer[0] == 200 or b"StateMachineAlreadyExists" not in answer[2]:
                return answer
            return self._refused.with_code("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")

        return created

    def _with_change(self, update: Operation) -> Operation:
        """`update`, which changes a state machine, unless nothing is to be changed."""

        def checked(data: dict[str, Any]) -> Answer:
            if data.keys() & set(_UPDATED):
                return update(data)
            message = (
                "Either the definition, the role ARN, the LoggingConfiguration, the EncryptionConfiguration, or "
                "the TracingConfiguration must be specified"
            )
            return self._refused.with_code("MissingRequiredParameter", message)

        return checked

    def _with_logs(self, work: Operation) -> Operation:
        """`work`, which creates or changes a state machine, unless it would log to nowhere."""

        def checked(data: dict[str, Any]) -> Answer:
            logs = data.get("loggingConfiguration") or {}
            if logs.get("level", "OFF") != "OFF" and len(logs.get("destinations") or []) != 1:
                message = "Invalid Logging Configuration: Must specify exactly one Log Destination."
                return self._refused.with_code("InvalidLoggingConfiguration", message)
            return work(data)

        return checked

    def _or_as_it_is(self, create: Operation) -> Operation:
        """`create`, which creates an activity; one that is there already is the answer."""

        def created(data: dict[str, Any]) -> Answer:
            answer = create(data)
            if answer[0] == 200 or b"ActivityAlreadyExists" not in answer[2]:
                return answer
            found = self._states._activities[f"arn:aws:states:{self._place()}:activity:{data['name']}"]
            return self._answer({name: found[name] for name in ("activityArn", "creationDate")})

        return created

    # Revisions, versions and aliases

    def _keeping_revision(self, update: Operation) -> Operation:
        """`update`, which changes a state machine; executions that began before are redriven with what it was."""

        def updated(data: dict[str, Any]) -> Answer:
            machine = self._states._state_machines.get(data.get("stateMachineArn")) or {}
            before = machine.get("revisionId"), machine.get("definition")
            answer = update(data)
            if answer[0] == 200:
                kept = {**machine.get(REVISIONS, {}), before[0]: before[1]}
                machine[REVISIONS] = dict(list(kept.items())[-_MOST_REVISIONS:])
            return answer

        return updated

    def _of_revision(self, describe: Operation) -> Operation:
        """`describe`, which is DescribeStateMachineForExecution, with the definition that the execution runs."""

        def described(data: dict[str, Any]) -> Answer:
            """Answer as `describe`, with the definition of the revision."""
            answer = describe(data)
            if answer[0] != 200:
                return answer
            execution = self._states._executions[data["executionArn"]]
            machine = self._states._state_machines[execution["stateMachineArn"]]
            told = {**json.loads(answer[2]), "definition": self._life.definition(execution, machine)}
            if execution.get("revisionId"):
                told["revisionId"] = execution["revisionId"]
            if "mapRunArn" in execution:
                told["mapRunArn"] = execution["mapRunArn"]
            return self._answer(told)

        return described

    def _once_a_revision(self, publish: Operation) -> Operation:
        """`publish`, which publishes a version; one that is there for the same revision is the answer."""

        def published(data: dict[str, Any]) -> Answer:
            machine = self._states._state_machines.get(data["stateMachineArn"]) or {}
            if data.get("revisionId") in (None, machine.get("revisionId")):
                for version in list(self._states._state_machine_versions.values()):
                    same = version["stateMachineRevisionId"] == machine.get("revisionId")
                    if same and version["stateMachineArn"] == data["stateMachineArn"]:
                        return self._answer(
                            {name: version[name] for name in ("stateMachineVersionArn", "creationDate")}
                        )
            return publish(data)

        return published

    def _once_an_alias(self, create: Operation) -> Operation:
        """`create`, which creates an alias; one that is there and the same is the answer."""

        def created(data: dict[str, Any]) -> Answer:
            answer = create(data)
            if answer[0] == 200 or b"already exists" not in answer[2]:
                return answer
            machine = data["routingConfiguration"][0]["stateMachineVersionArn"].rpartition(":")[0]
            found = self._states._state_machine_aliases[f"{machine}:{data['name']}"]
            wanted = {"routingConfiguration": data["routingConfiguration"], "description": data.get("description", "")}
            if {name: found[name] for name in wanted} != wanted:
                return answer
            return self._answer({name: found[name] for name in ("stateMachineAliasArn", "creationDate")})

        return created

    # States by themselves, Map Runs and lists

    def _of_single_states(self, test: Operation) -> Operation:
        """`test`, which is TestState, for the types of states that it runs here."""

        def tested(data: dict[str, Any]) -> Answer:
            answer = test(data)
            found = _UNTESTED.search(answer[2]) if answer[0] != 200 else None
            if found is None:
                return answer
            return self._refused.with_code(
                "ValidationException", f"TestState of a {found[1].decode()} state is not served by this local cloud."
            )

        return tested

    def _still_tolerating(self, update: Operation) -> Operation:
        """`update`, which is UpdateMapRun, for the failures that a Map Run tolerates."""

        def updated(data: dict[str, Any]) -> Answer:
            run = self._states._map_runs[data["mapRunArn"]]
            if data.get("maxConcurrency") not in (None, run["maxConcurrency"]):
                message = "This local cloud does not change the maxConcurrency of a Map Run that has begun."
                return self._refused.with_code("ValidationException", message)
            for name in ("toleratedFailureCount", "toleratedFailurePercentage"):
                if name in data:
                    run["_limits"] = sorted({*run["_limits"], f"T{name[1:]}"})
            return update(data)

        return updated

    def _paged(self, ask: Operation, member: str) -> Operation:
        """`ask`, which lists all of a kind as `member`, cut into pages."""

        @functools.wraps(ask)
        def listed(data: dict[str, Any]) -> Answer:
            token = data.get("nextToken") or "0"
            if not (token.isascii() and token.isdigit() and len(token) < 10):
                return self._refused.with_code("InvalidToken", "Invalid Token: 'Invalid token'")
            answer = ask({name: value for name, value in data.items() if name not in ("maxResults", "nextToken")})
            if answer[0] != 200:
                return answer
            found, begin = json.loads(answer[2])[member], int(token)
            end = begin + (int(data.get("maxResults") or 0) or 1000)
            return self._answer({member: found[begin:end], **({"nextToken": str(end)} if found[end:] else {})})

        return listed

    def _place(self) -> str:
        return f"{self._states.get_region()}:{self._states.get_account_id()}"

    def _answer(self, told: dict[str, Any]) -> Answer:
        answer: Answer = self._states.json_response(told)
        return answer

    def _done(self) -> Answer:
        return self._answer({})
