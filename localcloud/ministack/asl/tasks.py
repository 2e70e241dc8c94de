"""Task states: what they call, for how long at most, and the events of each attempt.

Sources: AWS Step Functions Developer Guide, "Task workflow state" and "Step Functions service quotas"; histories of
executions on AWS that are public.
"""

import json
import time
from typing import Any

from localcloud.ministack.asl import callbacks, histories, integrations, json_paths, limits, runs
from localcloud.ministack.asl.errors import RUNTIME, TIMEOUT, StateError, StoppedError
from localcloud.ministack.asl.payloads import Context
from localcloud.ministack.threads import Threads

_CALLBACK = ".waitForTaskToken"
_LONGEST = 99_999_999


class Tasks:
    """Runs one attempt of a Task state by the emulator's integrations (`states`)."""

    def __init__(
        self,
        states: Any,
        threads: Threads,
        waiting: callbacks.Callbacks,
        services: integrations.Integrations,
        history: histories.Histories,
    ) -> None:
        self._states, self._threads, self._callbacks, self._services = states, threads, waiting, services
        self._history = history

    def attempt(
        self, state: dict[str, Any], raw: Any, given: Any, execution: dict[str, Any], context: dict[str, Any]
    ) -> Any:
        """The result of the task with the parameters `given`. StateError if it fails or takes too long."""
        resource = str(state["Resource"])
        name = context["State"]["Name"]
        timeout = self._seconds(state, "TimeoutSeconds", raw, context)
        heartbeat = self._seconds(state, "HeartbeatSeconds", raw, context)
        text = limits.input_as_json(name, given)
        events = _Events(self._history, execution, resource)
        events.scheduled(text, timeout, heartbeat, self._states.get_region())
        try:
            result = self._call(resource, given, timeout, heartbeat, context, events)
            text = limits.result_as_json(events.shown, result)
        except StoppedError:
            raise
        except StateError as error:
            events.failed(error)
            raise
        events.succeeded(text)
        return result

    def _call(
        self,
        resource: str,
        given: Any,
        timeout: float | None,
        heartbeat: float | None,
        context: dict[str, Any],
        events: "_Events",
    ) -> Any:
        """The result of a task: of an activity's worker, of whoever returns its token, or of the integration itself.

        `timeout` and `heartbeat` are seconds, None for no limit. StateError when one passes, or the task fails.
        """
        until = callbacks.Until(timeout, heartbeat)
        if ":activity:" in resource:
            return self._callbacks.do_activity(resource, given, until, events.started)
        events.started()
        if _CALLBACK in resource:
            with self._callbacks.waiting(context["Task"]["Token"]) as wait:
                events.submitted(self._invoke(resource.replace(_CALLBACK, ""), given, timeout))
                return wait(until)
        return self._invoke(resource, given, timeout)

    def _invoke(self, resource: str, given: Any, timeout: float | None) -> Any:
        """The result of an integration; one that takes too long goes on, but nobody waits for it any more."""
        if timeout is None:
            return self._services.invoke(resource, given)
        if self._services.longest(resource, given) < timeout:
            return self._by_itself(resource, given, timeout)
        with runs.Run(runs.current()) as own:
            return self._in_time(own, resource, given, timeout)

    def _by_itself(self, resource: str, given: Any, timeout: float) -> Any:
        """The result of an integration that ends by itself before its time is over: no other thread is woken for it.

        One that had to wait before it began can end late, and has taken too long all the same.
        """
        until = time.monotonic() + timeout
        try:
            return self._services.invoke(resource, given)
        finally:
            if time.monotonic() > until:
                raise StateError(TIMEOUT, "") from None

    def _in_time(self, own: runs.Run, resource: str, given: Any, timeout: float) -> Any:
        """The result of an integration that is a run of its own; what waits in it is stopped with its time."""
        try:
            return runs.submitted(self._threads, own, timeout, runs.within, own, self._services.invoke, resource, given)
        except TimeoutError:
            own.stop()
            raise StateError(TIMEOUT, "") from None

    def _seconds(self, state: dict[str, Any], field: str, raw: Any, context: Context) -> float | None:
        """The seconds of a limit, written down, by a path or as JSONata; None if there is none."""
        if field in state:
            value = state[field]
            if isinstance(value, str):
                value = self._states._jsonata_state_field(state, field, "number", raw, context)
            return float(value)
        path = state.get(f"{field}Path")
        if path is None:
            return None
        try:
            value = json_paths.find(path, raw, context)
        except json_paths.MissingPathError:
            raise StateError(RUNTIME, f"Invalid path '{path}' : No results for path: {path}") from None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LONGEST:
            cause = f"The {field}Path parameter must reference a positive integer: {path} == {json.dumps(value)}"
            raise StateError(RUNTIME, cause)
        return float(value)


class _Events:
    """The events of an attempt in the history: LambdaFunction* for functions, Activity* and Task* else."""

    def __init__(self, history: histories.Histories, execution: dict[str, Any], resource: str) -> None:
        self._history, self._execution, self._resource = history, execution, resource
        self._place, self._details, self._submits = histories.current(), dict[str, Any](), False
        if ":function:" in resource:
            self._kind = "LambdaFunction"
        elif ":activity:" in resource:
            self._kind = "Activity"
        else:
            self._kind = "Task"
            service, _, action = resource.partition(":::")[2].rpartition(":")
            if action == "2":  # states:startExecution.sync:2
                service, _, operation = service.rpartition(":")
                action = f"{operation}:2"
            self._details = {"resourceType": service, "resource": action}
            # What is waited for is submitted first.
            self._submits = ".sync" in action or _CALLBACK in action
        self._place.submitted = self.submitted if self._submits else None
        self.shown = self._details.get("resourceType") or resource
        """The name that AWS gives the task in causes."""

    def _add(self, what: str, details: dict[str, Any]) -> None:
        member = f"{self._kind[0].lower()}{self._kind[1:]}{what}EventDetails"
        shown = {**self._details, **details}
        self._history.add(self._execution, f"{self._kind}{what}", {member: shown} if shown else None)

    def scheduled(self, given: str, timeout: float | None, heartbeat: float | None, region: str) -> None:
        """The attempt begins with this JSON."""
        details: dict[str, Any] = {}
        if timeout is not None:
            details["timeoutInSeconds"] = int(timeout)
        if heartbeat is not None:
            details["heartbeatInSeconds"] = int(heartbeat)
        if self._kind == "Task":
            details |= {"region": region, "parameters": given}
        else:
            details |= {"resource": self._resource, "input": given}
        self._add("Scheduled", details)

    def started(self, worker: str | None = None) -> None:
        """The attempt is worked on, by an activity's worker of this name; called by any thread."""
        with histories.at(self._place):
            self._add("Started", {"workerName": worker} if worker else {})

    def submitted(self, answer: Any) -> None:
        """What the task waits for was begun, with this answer."""
        self._submits, self._place.submitted = False, None
        self._add("Submitted", {"output": limits.as_json(answer)})

    def succeeded(self, result: str) -> None:
        """The attempt had a result, which is JSON."""
        self._add("Succeeded", {"output": result})

    def failed(self, error: StateError) -> None:
        """The attempt failed, or took too long."""
        cause = {"cause": error.cause} if error.cause else {}
        what = "TimedOut" if error.error == TIMEOUT else "SubmitFailed" if self._submits else "Failed"
        self._add(what, {"error": error.error, **cause})
