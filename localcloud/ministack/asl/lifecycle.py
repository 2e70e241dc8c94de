"""Executions from their start to their end: by their states, by StopExecution, or because they took too long.

Sources: AWS Step Functions API reference, StartExecution, StartSyncExecution, StopExecution; Developer Guide, "Choosing
workflow type in Step Functions" and "Start new workflows from a running execution".
"""

import copy
import functools
import json
import logging
import random
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.ministack.asl import histories, limits, redrives, runs
from localcloud.ministack.asl.engine import Engine
from localcloud.ministack.asl.errors import DELETING, RUNTIME, TIMEOUT, DeletedError, StateError, StoppedError
from localcloud.ministack.asl.requests import Answer, Refused
from localcloud.ministack.threads import Threads

logger = logging.getLogger("localcloud")

LONGEST_EXPRESS_SECONDS = 300
_TOLD = (
    "executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "input", "inputDetails", "output",
    "outputDetails", "error", "cause", "stateMachineVersionArn", "stateMachineAliasArn",
)  # fmt: skip
REVISIONS = "_revisions"
"""The member of a machine with definitions that executions began with, by revision."""
_TYPE_REFUSED = "This operation is not supported by this type of state machine"

Execution = dict[str, Any]


class Lifecycle:
    """Starts executions, runs each in a thread, and ends them once, whoever does it."""

    def __init__(self, states: Any, threads: Threads, engine: Engine, history: histories.Histories) -> None:
        self._states, self._threads, self._engine, self.history = states, threads, engine, history
        self._starting, self._ending = threading.Lock(), threading.Lock()
        self._refused = Refused(states)
        self._runs: dict[str, tuple[runs.Run, Execution]] = {}
        """What runs now, by the execution's ARN."""

    # Starting

    def start(self, data: dict[str, Any]) -> Answer:
        """StartExecution."""
        machine = self._machine(data)
        execution = self._opened(data, machine)
        if isinstance(execution, tuple):
            return execution
        self._states._emit_execution_status_event(execution)
        self._begin(execution)
        started: Answer = self._states.json_response(
            {"executionArn": execution["executionArn"], "startDate": execution["startDate"]}
        )
        return started

    def start_sync(self, data: dict[str, Any]) -> Answer:
        """StartSyncExecution: answered at the end of the execution."""
        machine = self._machine(data)
        if machine["type"] != "EXPRESS":
            return self._refused.with_code("StateMachineTypeNotSupported", _TYPE_REFUSED)
        execution = self._opened(data, machine)
        if isinstance(execution, tuple):
            return execution
        began = time.monotonic()
        self.wait_for(self._begin(execution), execution)
        answer = {name: execution[name] for name in _TOLD[:12] if execution.get(name) not in (None, "")}
        billed = -(-int((time.monotonic() - began) * 1000) // 100) * 100
        answer["billingDetails"] = {"billedMemoryUsedInMB": 64, "billedDurationInMilliseconds": max(100, billed)}
        ended: Answer = self._states.json_response(answer)
        return ended

    def _machine(self, data: dict[str, Any]) -> dict[str, Any]:
        """The state machine that a request names, which exists, as of the version that it names."""
        arn = str(data.get("stateMachineArn"))
        base = self._states._state_machines[self._states._resolve_state_machine_arn(arn)]
        version, alias = self._states._execution_version_arn(arn), {}
        if arn in self._states._state_machine_aliases:
            routes = self._states._state_machine_aliases[arn]["routingConfiguration"]
            alias = {"stateMachineAliasArn": arn}
            weights = [route["weight"] for route in routes]
            version = random.choices(routes, weights)[0]["stateMachineVersionArn"]  # noqa: S311
        found: dict[str, Any] = self._states._state_machine_versions.get(version) or base if version else base
        return {**base, **found, **({"stateMachineVersionArn": version} if version else {}), **alias}

    def _opened(self, data: dict[str, Any], machine: dict[str, Any]) -> Execution | Answer:
        """The record of a new execution, which is stored; a refusal where the name is taken."""
        express = machine["type"] == "EXPRESS"
        name = data.get("name") or self._states.new_uuid()
        kind, end = ("express", f":{self._states.new_uuid()}") if express else ("execution", "")
        place = f"{self._states.get_region()}:{self._states.get_account_id()}"
        arn = f"arn:aws:states:{place}:{kind}:{machine['name']}:{name}{end}"
        now, given = self._states.now_iso(), data.get("input", "{}")
        seconds = time_limit(machine)
        started = {"input": given, "roleArn": machine["roleArn"]}
        execution: Execution = {
            "executionArn": arn,
            "stateMachineArn": machine["stateMachineArn"],
            "name": name,
            "status": "RUNNING",
            "startDate": now,
            "stopDate": None,
            "input": given,
            "inputDetails": {"included": True},
            "output": None,
            "outputDetails": {"included": True},
            "encryptionConfiguration": copy.deepcopy(
                machine.get("encryptionConfiguration") or self._states._default_encryption()
            ),
            # Express executions say nothing to EventBridge.
            "sync": express,
            "expires": None if seconds is None else later(now, seconds),
            "revisionId": machine.get("revisionId"),
            "events": [],
        }
        for member in ("stateMachineVersionArn", "stateMachineAliasArn"):
            if member in machine:
                execution[member] = started[member] = machine[member]
        if (machine.get("loggingConfiguration") or {}).get("level", "OFF") != "OFF":
            execution["logs"] = machine["loggingConfiguration"]
        self.history.end(execution, "ExecutionStarted", {"executionStartedEventDetails": started}, after=0)
        with self._starting:
            if arn in self._states._executions:
                return self._refused.with_code("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
            self._states._executions[arn] = execution
        return execution

    def _begin(self, execution: Execution) -> runs.Run:
        """Run an execution in a thread."""
        expires = None
        if execution["expires"]:
            left = _moment(execution["expires"]) - datetime.now(UTC)
            expires = time.monotonic() + left.total_seconds()
        # An execution that another one started is not a part of it.
        run = runs.Run(expires=expires)
        self._runs[execution["executionArn"]] = run, execution
        runs.begin(self._threads, run, functools.partial(self._states._run_execution, execution["executionArn"]))
        return run

    # Running

    def run(self, arn: str) -> None:
        """Run an execution to its end; called in its thread."""
        execution = self._states._executions.get(arn)
        if execution is None or execution["status"] != "RUNNING":
            return
        own, place = runs.current(), histories.Place()
        try:
            machine = self._states._state_machines[execution["stateMachineArn"]]
            definition = json.loads(self.definition(execution, machine))
            given = json.loads(execution["input"])
            context = {
                "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
                "Execution": {
                    "Id": arn,
                    "Input": given,
                    "Name": execution["name"],
                    "RoleArn": machine["roleArn"],
                    "StartTime": execution["startDate"],
                    "RedriveCount": execution.get("redriveCount", 0),
                },
                "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine["name"]},
                "variables": {},
            }
            if "redriveDate" in execution:
                context["Execution"]["RedriveTime"] = execution["redriveDate"]
                place = histories.Place(last=len(execution["events"]), resumed=redrives.to_go_on(execution, definition))
            with histories.at(place):
                output = self._engine.walk(definition, given, execution, context)
        except DeletedError:
            self._end(execution, "ABORTED", {}, {}, by=own)
        except StoppedError:
            return
        except StateError as error:
            self.fail(execution, error.error, error.cause, own, place.last)
        except Exception as error:
            logger.exception("the execution %s failed unexpectedly", arn)
            self.fail(execution, RUNTIME, str(error), own)
        else:
            text = limits.as_json(output)
            self._end(execution, "SUCCEEDED", {"output": text}, {"output": text}, by=own, after=place.last)

    def definition(self, execution: Execution, machine: dict[str, Any]) -> str:
        """The definition that an execution runs: its version's, or the machine's when the execution began."""
        version = self._states._state_machine_versions.get(execution.get("stateMachineVersionArn") or "")
        if version:
            return str(version["definition"])
        kept = machine.get(REVISIONS) or {}
        return str(kept.get(execution.get("revisionId"), machine["definition"]))

    # Ending

    def _end(
        self,
        execution: Execution,
        status: str,
        result: dict[str, Any],
        details: dict[str, Any],
        at: str = "",
        by: runs.Run | None = None,
        after: int | None = None,
    ) -> bool:
        """End an execution unless something else has; whether it did. `details` are those of the last event.

        A run that was stopped before the execution was redriven ends it no more: `by` is the one that does.
        """
        arn = execution["executionArn"]
        with self._ending:
            if execution["status"] != "RUNNING" or (by and self._runs.get(arn, (by,))[0] is not by):
                return False
            # First what others read once they see the status.
            execution.update(result, stopDate=at or self._states.now_iso())
            kind = {"TIMED_OUT": "TimedOut"}.get(status, status.capitalize())
            member = f"execution{kind}EventDetails"
            self.history.end(execution, f"Execution{kind}", {member: details}, after)
            execution["status"] = status
        run, _ = self._runs.pop(arn, (None, None))
        if run is not None:
            run.stop()
        self._states._emit_execution_status_event(execution)
        self._finish_deletion(execution["stateMachineArn"])
        return True

    def fail(
        self, execution: Execution, error: str, cause: str, by: runs.Run | None = None, after: int | None = None
    ) -> None:
        """End an execution as failed."""
        said = {name: value for name, value in (("error", error), ("cause", cause)) if value}
        self._end(execution, "FAILED", said, said, by=by, after=after)

    def stop(self, data: dict[str, Any]) -> Answer:
        """StopExecution; one that has ended stays as it is."""
        execution = self._states._executions[data["executionArn"]]
        said = {name: data[name] for name in ("error", "cause") if data.get(name)}
        self._end(execution, "ABORTED", said, said)
        stopped: Answer = self._states.json_response({"stopDate": execution["stopDate"]})
        return stopped

    def expire(self) -> None:
        """End the executions that took longer than their machine's TimeoutSeconds, or than Express ones may."""
        now = time.monotonic()
        for run, execution in list(self._runs.values()):
            if run.expires is not None and run.expires <= now:
                self._end(execution, "TIMED_OUT", {}, {"error": TIMEOUT}, execution["expires"])

    # Running again, and no more

    def redrive(self, data: dict[str, Any]) -> Answer:
        """RedriveExecution: goes on where the execution ended; asked again with the same token it does nothing."""
        arn, token = data["executionArn"], data.get("clientToken")
        with self._starting:
            execution = self._states._executions[arn]
            date = redrives.again(execution, token)
            if date is None:
                machine = self._states._state_machines.get(execution["stateMachineArn"])
                told = redrives.described(execution, machine)
                if told["redriveStatus"] != "REDRIVABLE":
                    reason = told.get("redriveStatusReason", "It is redriven with the execution of its Map Run")
                    return self._refused.with_code(
                        "ExecutionNotRedrivable", f"Execution Not Redrivable: '{arn}': {reason}"
                    )
                date = self._states.now_iso()
                seconds = time_limit({**machine, "definition": self.definition(execution, machine)})
                execution["expires"] = None if seconds is None else later(date, seconds)
                redrives.reopen(execution, date, token)
                details = {"executionRedrivenEventDetails": {"redriveCount": execution["redriveCount"]}}
                self.history.end(execution, "ExecutionRedriven", details)
                self._states._executions[arn] = execution
                self._states._emit_execution_status_event(execution)
                self._begin(execution)
        redriven: Answer = self._states.json_response({"redriveDate": date})
        return redriven

    def delete(self, machine: dict[str, Any]) -> None:
        """Delete a state machine: at once, or when its executions have ended, which they do at their next state."""
        arn = machine["stateMachineArn"]
        machine["status"] = "DELETING"
        for _, execution in list(self._runs.values()):
            if execution["stateMachineArn"] == arn:
                execution[DELETING] = True
        self._finish_deletion(arn)

    def _finish_deletion(self, arn: str) -> None:
        """Delete a state machine that is to be deleted once nothing of it runs any more."""
        machine = self._states._state_machines.get(arn)
        deleting = machine and machine.get("status") == "DELETING"
        if deleting and not any(one["stateMachineArn"] == arn for _, one in list(self._runs.values())):
            self._states._drop_state_machine({"stateMachineArn": arn})

    # Executions within executions

    def wait_for(self, run: runs.Run, execution: Execution) -> None:
        """Wait until an execution has ended; stop it when the one that waits is stopped."""
        outer = runs.current()
        with outer.told_by(run):
            try:
                outer.wait_for(lambda: run.stopped or execution["status"] != "RUNNING")
            except StoppedError:
                self._end(execution, "ABORTED", {}, {})
                raise

    def nested(self, resource: str, given: dict[str, Any]) -> dict[str, Any]:
        """`states:startExecution` as a task."""
        return self._nested(given)[0]

    def nested_sync(self, resource: str, given: dict[str, Any]) -> dict[str, Any]:
        """`states:startExecution.sync` as a task, and `.sync:2`, which gives JSON where the first gives text."""
        started, execution = self._nested(given)
        histories.submitted(started)
        found = self._runs.get(started["ExecutionArn"])
        if found is not None:
            self.wait_for(*found)
        shown = {name: execution[name] for name in _TOLD if execution.get(name) is not None}
        described = {f"{name[0].upper()}{name[1:]}": value for name, value in shown.items()}
        if execution["status"] != "SUCCEEDED":
            raise StateError("States.TaskFailed", limits.as_json(described))
        if resource.endswith(":2"):
            for member in ("Input", "Output"):
                with suppress(ValueError):
                    described[member] = json.loads(described[member])
        return described

    def _nested(self, given: dict[str, Any]) -> tuple[dict[str, Any], Execution]:
        request = self._states._nested_start_execution_request(given)
        status, _, body = self._states._start_execution(request)
        answer = json.loads(body)
        if status != 200:
            code = answer.get("__type", "").rpartition("#")[2].removesuffix("Exception")
            raise StateError(f"StepFunctions.{code}Exception", answer.get("message", ""))
        execution = self._states._executions[answer["executionArn"]]
        return {"ExecutionArn": answer["executionArn"], "StartDate": answer["startDate"]}, execution


def time_limit(machine: dict[str, Any]) -> float | None:
    """The seconds that an execution of a machine may take; None if there is no limit but the year that AWS gives."""
    try:
        seconds = json.loads(machine["definition"]).get("TimeoutSeconds")
    except (ValueError, AttributeError):
        seconds = None
    if machine["type"] == "EXPRESS":
        return float(min(seconds or LONGEST_EXPRESS_SECONDS, LONGEST_EXPRESS_SECONDS))
    return None if seconds is None else float(seconds)


def later(moment: str, seconds: float) -> str:
    """A time of the emulator's, so many seconds later."""
    return f"{_moment(moment) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
