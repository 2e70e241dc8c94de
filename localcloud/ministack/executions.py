"""Step Functions with its executions in an ExecutionStore: what StartExecution acknowledged exists after a kill.

An execution that ran when the process ended has failed after the restart, with a reason: its states may have had
effects, and a standard workflow runs each state once. Inputs are refused as AWS refuses them.
"""

import copy
import functools
import json
import logging
import math
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn

from localcloud.ministack.asl.queries import Queries
from localcloud.ministack.asl.requests import Answer, Refused
from localcloud.ministack.execution_store import Execution, ExecutionStore, Key
from localcloud.ministack.private_names import find_names
from localcloud.settings import DiskError

logger = logging.getLogger("localcloud")

LONGEST_INPUT = 262_144
"""Bytes of an execution's input. Source: Step Functions Developer Guide, "Quotas"."""
_ERROR, _CAUSE = "States.ServiceRestart", "The local cloud was stopped while this execution ran. Start it again."
_STATE = (
    "state_machines", "tags", "activities", "state_machine_versions", "state_machine_aliases", "map_runs",
)  # fmt: skip
_NAMES = (
    "_executions", "_start_execution", "_start_sync_execution", "_describe_execution", "_get_execution_history",
    "_list_executions", "_drop_state_machine", "_redrive_execution", "_run_execution", "_emit_execution_status_event",
    "_encode_execution_token", "_decode_execution_token", "_map_runs", "get_state", "get_account_id", "get_region",
    "json_response", "error_response_json", *(f"_{name}" for name in _STATE),
)  # fmt: skip


IN_EXECUTION: ContextVar[bool] = ContextVar("in_execution", default=False)
"""Whether an execution runs here: what its functions wrote is committed before its end is known."""


class Executions:
    """Patches ministack.services.stepfunctions to keep executions in an ExecutionStore."""

    def __init__(self, states: Any, store: ExecutionStore, settled: Callable[[], None]) -> None:
        """`settled()` commits what an execution did elsewhere, e.g. messages; it is called before its end is known."""
        find_names(states, *_NAMES)
        self._states, self._store, self._settled = states, store, settled
        self._interrupted = store.interrupt(_ERROR, _CAUSE)
        store.prune()
        states._executions._data = store
        states.get_state = lambda: {name: copy.deepcopy(getattr(states, f"_{name}")) for name in _STATE}
        for name in ("_start_execution", "_start_sync_execution"):
            setattr(states, name, self._checking_input(getattr(states, name)))
        states._start_execution = self._starting_once(states._start_execution)
        queries = Queries(states, lambda arn: store.without_history(self._key(arn)))
        refused = Refused(states)
        states._describe_execution = self._finishing(refused.unless_there(queries.describe, "execution"))
        states._redrive_execution = self._finishing(states._redrive_execution)
        states._get_execution_history = self._finishing(states._get_execution_history)
        states._list_executions = queries.of_machine(self.page)
        states._drop_state_machine = self._deleting(states._drop_state_machine)
        states._emit_execution_status_event = self._emitting(states._emit_execution_status_event)
        states._run_execution = self._running(states._run_execution)

    def _key(self, arn: str) -> Key:
        return self._states.get_account_id(), self._states.get_region(), arn

    def _checking_input(self, start: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
        """`start`, which starts an execution, preceded by the check of its input."""

        @functools.wraps(start)
        def checked(data: dict[str, Any]) -> Answer:
            reason = invalid_input(data.get("input", "{}"))
            if reason is None:
                return start(data)
            message = f"Invalid State Machine Execution Input: '{reason}'"
            return Refused(self._states).with_code("InvalidExecutionInput", message)

        return checked

    def _starting_once(self, start: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
        """`start`, which answers a request that is sent again as it did the first time, while the execution runs.

        Source: Step Functions API reference, StartExecution: the same name and the same input.
        """

        @functools.wraps(start)
        def started_once(data: dict[str, Any]) -> Answer:
            answer = start(data)
            if answer[0] != 400 or b"ExecutionAlreadyExists" not in answer[2]:
                return answer
            arn = json.loads(answer[2])["message"].split("'")[1]
            found = self._states._executions.get(arn)
            if found is None or found["status"] != "RUNNING" or found["input"] != data.get("input", "{}"):
                return answer
            again: Answer = self._states.json_response({"executionArn": arn, "startDate": found["startDate"]})
            return again

        return started_once

    def _finishing(self, read: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
        """`read`, a function that describes an execution, with the execution's end committed to disk before."""

        @functools.wraps(read)
        def finished(data: dict[str, Any]) -> Answer:
            try:
                self._store.finish(self._key(str(data.get("executionArn"))))
            except DiskError:
                logger.exception("an execution's end could not be stored; it is tried again")
            return read(data)

        return finished

    def _emitting(self, emit: Callable[[Execution], None]) -> Callable[[Execution], None]:
        """`emit`, which sends the event of a status, with the end of the execution committed to disk before."""

        @functools.wraps(emit)
        def committed(execution: Execution) -> None:
            if execution["status"] != "RUNNING":
                try:
                    self._settled()
                    self._store.write(self._key(execution["executionArn"]), execution)
                except DiskError:
                    if execution["status"] == "ABORTED":
                        raise
                    logger.exception("the end of %s could not be stored; it is tried again", execution["executionArn"])
            emit(execution)

        return committed

    def _running(self, run: Callable[[str], None]) -> Callable[[str], None]:
        """`run`, which runs an execution, with its end committed to disk afterwards."""

        @functools.wraps(run)
        def run_and_finish(arn: str) -> None:
            in_execution = IN_EXECUTION.set(True)
            try:
                run(arn)
            finally:
                IN_EXECUTION.reset(in_execution)
            try:
                self._store.finish(self._key(arn))
            except DiskError:
                logger.exception("the end of %s could not be stored; it is tried again", arn)

        return run_and_finish

    def _deleting(self, delete: Callable[[dict[str, Any]], Answer]) -> Callable[[dict[str, Any]], Answer]:
        """`delete`, which deletes a state machine, together with its stored executions."""

        @functools.wraps(delete)
        def delete_with_executions(data: dict[str, Any]) -> Answer:
            answer = delete(data)
            if answer[0] == 200:
                scope = self._states.get_account_id(), self._states.get_region()
                self._store.delete_machine(scope, str(data.get("stateMachineArn")))
            return answer

        return delete_with_executions

    def page(self, data: dict[str, Any]) -> Answer:
        """ListExecutions: a page of summaries, the newest first."""
        before, run, most = None, data.get("mapRunArn"), int(data.get("maxResults") or 0) or 1000
        if data.get("nextToken"):
            before = self._states._decode_execution_token(data["nextToken"])
            if before is None:
                return Refused(self._states).with_code("InvalidToken", "Invalid Token: 'Invalid token'")
        try:
            self._store.sweep()
        except DiskError:
            logger.exception("executions could not be stored as they are now; it is tried again")
        scope = self._states.get_account_id(), self._states.get_region()
        found = self._store.page(scope, data.get("stateMachineArn"), run, data.get("statusFilter"), before, most + 1)
        answer: dict[str, Any] = {"executions": found[:most]}
        if len(found) > most:
            answer["nextToken"] = self._states._encode_execution_token(found[most - 1])
        listed: Answer = self._states.json_response(answer)
        return listed

    def interrupted(self) -> list[tuple[Key, Execution]]:
        """Executions that the last stop interrupted; each is given once, to tell whoever waits for its end."""
        found, self._interrupted = self._interrupted, []
        return found


def invalid_input(text: Any) -> str | None:
    """Why a text is not an execution's input; None if it is: JSON of at most 262,144 bytes."""
    if not isinstance(text, str):
        return "the input is not a string"
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        return f"the input is not Unicode text: character {error.start} is half of a surrogate pair"
    if size > LONGEST_INPUT:
        return f"the input has {size} bytes, more than {LONGEST_INPUT}"
    try:
        _JSON.decode(text)
    except RecursionError:
        return "the input is nested too deeply"
    except ValueError as error:
        return str(error)
    return None


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"the number {text[:40]} is outside of what 64 bits can hold")
    return value


def _number(text: str) -> float:
    # As a float: an integer of thousands of digits is one that no state can compute with.
    return _finite(text)


_JSON = json.JSONDecoder(parse_constant=_not_json, parse_float=_finite, parse_int=_number)
