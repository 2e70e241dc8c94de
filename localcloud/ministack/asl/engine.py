"""Runs the states of a machine: what each type does, in JSONPath and JSONata, and what its errors lead to.

Integrations of tasks, JSONata and the bookkeeping of Map Runs are the emulator's (`states`). All that the emulator
calls by a name that others replace, too, is looked up when it is called.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

from localcloud.ministack.asl import choices, histories, limits, maps, payloads, retries, runs, waits
from localcloud.ministack.asl.branches import Branches
from localcloud.ministack.asl.errors import (
    DELETING,
    INTRINSIC_FAILURE,
    QUERY_FAILURE,
    RUNTIME,
    DeletedError,
    StateError,
    StoppedError,
)
from localcloud.ministack.asl.histories import Histories
from localcloud.ministack.asl.tasks import Tasks
from localcloud.ministack.threads import Threads

_NO_CHOICE = "States.NoChoiceMatched"
_PLACED = frozenset([RUNTIME, _NO_CHOICE, QUERY_FAILURE, INTRINSIC_FAILURE])
"""Errors of the language, whose causes say in which state they occurred."""
_WHERE = "An error occurred while executing the state"

Context = dict[str, Any]
Moved = tuple[Any, str | None]
"""What a state hands on, and the name of the next one."""


class Engine:
    """The states of machines, over the emulator's module of Step Functions."""

    def __init__(self, states: Any, threads: Threads, tasks: Tasks, history: Histories) -> None:
        self._states, self._tasks, self._history = states, tasks, history
        self._branches = Branches(threads, history)

    # A machine

    def walk(self, machine: dict[str, Any], value: Any, execution: dict[str, Any], context: Context) -> Any:
        """The output of a machine, a branch or an iteration, given its input.

        Where a redriven execution goes on, the input is that of the state in which it ended.
        """
        run, place = runs.current(), histories.current()
        name, states, entered = machine["StartAt"], machine["States"], None
        if place.resumed and (point := place.resumed.pop(place.scope, None)):
            value = json.loads(point.value)
            if point.name is None:
                return value
            name, context["variables"] = point.name, {**(context.get("variables") or {}), **point.variables}
            if point.entered is not None and point.kind != "Fail":
                entered, place.map_run = {"id": point.entered}, point.map_run
        # Children of a Map Run have no history of their own here, as Express executions on AWS.
        recorded = "mapRunArn" not in execution
        text = limits.as_json(value) if recorded else ""
        while name:
            run.check()
            if DELETING in execution:
                raise DeletedError
            run.entered += 1
            limits.check_history(len(execution["events"]) if recorded else 2 * run.entered)
            state = states[name]
            kind = state["Type"]
            context["State"] = {"Name": name, "EnteredTime": self._states.now_iso(), "RetryCount": 0}
            if entered is None:
                details = {"stateEnteredEventDetails": {"name": name, "input": text}}
                entered = self._history.add(execution, f"{kind}StateEntered", details)
            variables = dict(context.get("variables") or ())
            try:
                value, following = self._step(kind, state, value, execution, context)
                text = limits.result_as_json(name, value)
            except StateError as error:
                raise _placed(error, name, entered) from None
            if recorded:
                left: dict[str, Any] = {"name": name, "output": text}
                if assigned := _assigned(variables, context):
                    left["assignedVariables"] = assigned
                self._history.add(execution, f"{kind}StateExited", {"stateExitedEventDetails": left, "next": following})
            name, entered = following, None
        return value

    def _step(self, kind: str, state: dict[str, Any], value: Any, execution: dict[str, Any], context: Context) -> Moved:
        if kind == "Succeed":
            return self.succeed(state, value, context), None
        if kind == "Fail":
            raise StateError(*self.failure(state, value, context))
        handler = getattr(self._states, f"_execute_{kind.lower()}")
        given = (execution, context) if kind in ("Task", "Parallel", "Map") else (context,)
        moved: Moved = handler(state, value, *given)
        return moved

    # States that do not work

    def succeed(self, state: dict[str, Any], raw: Any, context: Context) -> Any:
        """The output of a Succeed state."""
        if self._is_jsonata(state, context):
            return self._states._apply_jsonata_output(state, raw, context, default=raw)
        return payloads.output_path(state, payloads.input_path(state, raw, context), context)

    def failure(self, state: dict[str, Any], raw: Any, context: Context | None = None) -> tuple[str, str]:
        """The error and cause of a Fail state, each empty if it has none."""
        return self._said("Error", state, raw, context or {}), self._said("Cause", state, raw, context or {})

    def _said(self, field: str, state: dict[str, Any], raw: Any, context: Context) -> str:
        if field in state and self._is_jsonata(state, context):
            return str(self._states._jsonata_state_field(state, field, "string", raw, context))
        if f"{field}Path" not in state:
            return str(state.get(field, ""))
        value = payloads.fill({"it.$": state[f"{field}Path"]}, raw, context)["it"]
        if not isinstance(value, str):
            cause = f"The value referenced by {field}Path must be a string, but the value was: {limits.as_json(value)}"
            raise StateError(RUNTIME, cause)
        return value

    def pass_on(self, state: dict[str, Any], raw: Any, context: Context | None = None) -> Moved:
        """A Pass state."""
        context = {} if context is None else context
        if self._is_jsonata(state, context):
            output = self._states._apply_jsonata_output(state, raw, context, default=raw)
            self._states._apply_state_assign(state, raw, context, result=output)
            return output, _next(state)
        given = payloads.parameters(state, payloads.input_path(state, raw, context), context)
        result = copy.deepcopy(state["Result"]) if "Result" in state else given
        output = payloads.after_result(state, raw, result, context)
        payloads.assign(state, result, context)
        return output, _next(state)

    def choose(self, state: dict[str, Any], raw: Any, context: Context | None = None) -> Moved:
        """A Choice state."""
        context = {} if context is None else context
        jsonata = self._is_jsonata(state, context)
        given = raw if jsonata else payloads.input_path(state, raw, context)
        for rule in state["Choices"]:
            if jsonata:
                if self._states._jsonata_state_field(rule, "Condition", "boolean", raw, context):
                    return self._chosen(rule, raw, context), rule["Next"]
            elif choices.holds(rule, given, context):
                payloads.assign(rule, given, context)
                return payloads.output_path(state, given, context), rule["Next"]
        if "Default" not in state:
            cause = "Failed to transition out of the state. The state does not point to a next state."
            raise StateError(_NO_CHOICE, cause)
        if jsonata:
            return self._chosen(state, raw, context), state["Default"]
        payloads.assign(state, given, context)
        return payloads.output_path(state, given, context), state["Default"]

    def _chosen(self, said: dict[str, Any], raw: Any, context: Context) -> Any:
        """What a rule of JSONata, or the state for its Default, hands on."""
        output = self._states._apply_jsonata_output(said, raw, context, default=raw)
        self._states._apply_state_assign({**said, "QueryLanguage": "JSONata"}, raw, context)
        return output

    def wait(self, state: dict[str, Any], raw: Any, context: Context | None = None) -> Moved:
        """A Wait state; it ends early only with its execution."""
        context = {} if context is None else context
        if self._is_jsonata(state, context):
            if "Seconds" in state:
                seconds = self._states._jsonata_wait_seconds(state, raw, context)
            else:
                until = self._states._jsonata_wait_timestamp(state, raw, context)
                seconds = waits.seconds_to_wait({"Timestamp": until}, raw)
            runs.current().wait(seconds)
            output = self._states._apply_jsonata_output(state, raw, context, default=raw)
            self._states._apply_state_assign(state, raw, context)
            return output, _next(state)
        given = payloads.input_path(state, raw, context)
        runs.current().wait(waits.seconds_to_wait(state, given, context))
        payloads.assign(state, given, context)
        return payloads.output_path(state, given, context), _next(state)

    # States that work

    def task(self, state: dict[str, Any], raw: Any, execution: dict[str, Any], context: Context) -> Moved:
        """A Task state, tried again and caught as it says."""

        def attempt() -> Any:
            if ".waitForTaskToken" in state["Resource"]:
                context["Task"] = {"Token": self._states.new_uuid()}
            given = self._given(state, raw, context)
            return self._result(state, raw, self._tasks.attempt(state, raw, given, execution, context), context)

        return self._attempted(state, raw, execution, context, attempt)

    def parallel(self, state: dict[str, Any], raw: Any, execution: dict[str, Any], context: Context) -> Moved:
        """A Parallel state: all branches at once, each with a context and variables of its own."""

        def attempt() -> Any:
            given = self._given(state, raw, context)

            def branch(machine: dict[str, Any]) -> Callable[[], Any]:
                own = _own(context)
                return lambda: self._sub_machine(machine, copy.deepcopy(given), execution, own)

            works = [branch(machine) for machine in state["Branches"]]
            results = self._branches.run(execution, context["State"]["Name"], works, len(works), "Parallel")
            return self._result(state, raw, results, context)

        return self._attempted(state, raw, execution, context, attempt)

    def map(self, state: dict[str, Any], raw: Any, execution: dict[str, Any], context: Context) -> Moved:
        """A Map state, inline or distributed."""
        processor = state.get("ItemProcessor") or state["Iterator"]
        if (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED":
            return self._attempted(
                state, raw, execution, context, lambda: self._distributed(state, raw, processor, execution, context)
            )

        def inline() -> Any:
            """Run the iterations inside this execution, at most MOST_INLINE at a time; the state's result."""
            given, settings = self._items(state, raw, context)

            def iteration(number: int, item: Any) -> Callable[[], Any]:
                own = _own(context, number, item)
                return lambda: self._sub_machine(processor, self._selected(state, raw, item, own), execution, own)

            most = settings.get("MaxConcurrency") or maps.MOST_INLINE
            works = [iteration(number, item) for number, item in enumerate(given)]
            most = min(most, maps.MOST_INLINE)
            results = self._branches.run(execution, context["State"]["Name"], works, most, "Map")
            return self._result(state, raw, results, context)

        return self._attempted(state, raw, execution, context, inline)

    def _distributed(
        self, state: dict[str, Any], raw: Any, processor: dict[str, Any], execution: dict[str, Any], context: Context
    ) -> Any:
        """The result of a distributed Map; one that a redriven execution has begun goes on with its Map Run."""
        place = histories.current()
        redriven, place.map_run = place.map_run, None
        # Without its items where they are read first.
        length = 0 if "ItemReader" in state else len(self._items(state, raw, context)[0])
        if not redriven:
            self._history.add(execution, "MapStateStarted", {"mapStateStartedEventDetails": {"length": length}})
        try:
            given, bare = self._children(state, raw, context)
            result, _ = self._states._run_distributed_map(
                {**bare, "MapRunArn": redriven}, raw, given, processor, execution, context
            )
        except StateError as error:
            error.of_branch = True
            raise
        self._history.add(execution, "MapStateSucceeded", followed=False)
        return self._result(state, raw, result, context)

    def _sub_machine(self, machine: dict[str, Any], value: Any, execution: dict[str, Any], context: Context) -> Any:
        return self._states._run_sub_machine(machine["States"], machine["StartAt"], value, execution, context)

    def _items(self, state: dict[str, Any], raw: Any, context: Context) -> tuple[list[Any], dict[str, Any]]:
        """The items of a Map state without ItemReader, and its numbers."""
        if self._is_jsonata(state, context):
            named: dict[str, Any] = {
                name: self._states._jsonata_state_field(state, name, "number", raw, context)
                for name in ("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage")
                if name in state
            }
            if "Items" in state:
                return self._states._jsonata_state_field(state, "Items", "array", raw, context), named
            if isinstance(raw, list) or "ItemReader" in state:
                return raw, named
            raise StateError(QUERY_FAILURE, f"Map state input must be an array but was: {self._states._json_type(raw)}")
        data = payloads.input_path(state, raw, context)
        settings = maps.numbers(state, data, context)
        return ([] if "ItemReader" in state else maps.items(state, data, context)), settings

    def _selected(self, state: dict[str, Any], raw: Any, item: Any, context: Context) -> Any:
        """The input of one iteration; `context` has the item."""
        selector = state.get("ItemSelector") or state.get("Parameters")
        return item if selector is None else self._filled(selector, state, raw, context)

    def _children(self, state: dict[str, Any], raw: Any, context: Context) -> tuple[list[Any], dict[str, Any]]:
        """The inputs of a distributed Map's children, and what the emulator needs of the state to run them."""
        listed, settings = self._items(state, raw, context)
        if "ItemReader" in state:
            listed = self._read(state, raw, context)
        inputs = [self._selected(state, raw, item, _own(context, number, item)) for number, item in enumerate(listed)]
        if batcher := state.get("ItemBatcher"):
            inputs = maps.batches(batcher, inputs, self._filled(batcher.get("BatchInput"), state, raw, context))
        bare = {name: state[name] for name in ("Type", "Label", "End", "Next") if name in state} | settings
        if writer := state.get("ResultWriter"):
            place = self._filled(writer.get("Parameters") or writer.get("Arguments") or {}, state, raw, context)
            bare["ResultWriter"] = {**writer, "Parameters": place}
        return inputs, bare

    def _read(self, state: dict[str, Any], raw: Any, context: Context) -> list[Any]:
        """The items that a Map's ItemReader reads."""
        said = state["ItemReader"]
        place = self._filled(said.get("Parameters") or said.get("Arguments") or {}, state, raw, context)
        config = dict(said.get("ReaderConfig") or {})
        if path := config.pop("MaxItemsPath", None):
            config["MaxItems"] = maps.most_items(path, payloads.input_path(state, raw, context), context)
        reader = {"Resource": said.get("Resource", ""), "Parameters": place, "ReaderConfig": config}
        try:
            listed = self._states._read_map_items(reader, raw, context)
        except (ValueError, LookupError, TypeError) as error:
            raise StateError(maps.READER_FAILED, f"The items could not be read: {error}") from error
        if not isinstance(listed, list):
            raise StateError(maps.READER_FAILED, "Attempting to map over non-iterable node.")
        return listed

    def _filled(self, template: Any, state: dict[str, Any], raw: Any, context: Context) -> Any:
        if self._is_jsonata(state, context):
            return self._states._apply_jsonata_template(template, raw, context)
        return payloads.fill(template, payloads.input_path(state, raw, context), context)

    # What all that work share

    def _is_jsonata(self, state: dict[str, Any], context: Context) -> bool:
        return bool(self._states._state_query_language(state, context) == "JSONata")

    def _given(self, state: dict[str, Any], raw: Any, context: Context) -> Any:
        if self._is_jsonata(state, context):
            return self._states._apply_jsonata_arguments(state, raw, context)
        return payloads.parameters(state, payloads.input_path(state, raw, context), context)

    def _result(self, state: dict[str, Any], raw: Any, result: Any, context: Context) -> Any:
        """What a state hands on after its work; its variables are set."""
        if self._is_jsonata(state, context):
            output = self._states._apply_jsonata_output(state, raw, context, result=result, default=result)
            self._states._apply_state_assign(state, raw, context, result=result)
            return output
        output = payloads.after_result(state, raw, result, context)
        payloads.assign(state, result, context)
        return output

    def _attempted(
        self, state: dict[str, Any], raw: Any, execution: dict[str, Any], context: Context, attempt: Callable[[], Any]
    ) -> Moved:
        """Try until it works or no retrier takes the error; then what a catcher says."""
        entered, tried = context["State"], dict[int, int]()
        while True:
            context["State"] = {**entered, "RetryCount": sum(tried.values())}
            try:
                return attempt(), _next(state)
            except StoppedError:
                raise
            except StateError as error:
                seconds = retries.next_delay(state.get("Retry") or [], error, tried)
                catcher = retries.catcher(state.get("Catch") or [], error)
                if seconds is None and error.of_branch:
                    error.of_branch = False
                    self._history.add(execution, f"{state['Type']}StateFailed")
                if seconds is None and catcher is None:
                    raise
                caught = error
            if seconds is None and catcher is not None:
                return self._caught(catcher, caught, state, raw, context), catcher["Next"]
            runs.current().wait(seconds or 0)

    def _caught(self, catcher: dict[str, Any], error: StateError, state: dict[str, Any], raw: Any, ctx: Context) -> Any:
        told = {"Error": error.error, "Cause": error.cause}
        if self._is_jsonata(state, ctx):
            output = self._states._apply_jsonata_output(catcher, raw, ctx, error_output=told, default=told)
            self._states._apply_state_assign({**catcher, "QueryLanguage": "JSONata"}, raw, ctx, error_output=told)
            return output
        output = payloads.result_path(catcher.get("ResultPath", "$"), raw, told)
        payloads.assign(catcher, told, ctx)
        return output


def _next(state: dict[str, Any]) -> str | None:
    return None if state.get("End") else state["Next"]


def _assigned(before: dict[str, Any], context: Context) -> dict[str, str]:
    """The variables that a state set, as JSON."""
    now = context.get("variables") or {}
    return {name: limits.as_json(value) for name, value in now.items() if before.get(name, before) is not value}


def _own(context: Context, number: int | None = None, item: Any = None) -> Context:
    """The context of a branch, or of an iteration over an item: what it sets is its own."""
    own = {**context, "variables": dict(context.get("variables") or {})}
    if number is not None:
        own["Map"] = {"Item": {"Index": number, "Value": copy.deepcopy(item)}}
    return own


def _placed(error: StateError, name: str, entered: dict[str, Any] | None) -> StateError:
    """The error, with a cause that says in which state it occurred if it is one of the language."""
    of_language = error.error in _PLACED and not isinstance(error, StoppedError)
    if of_language and entered and not error.cause.startswith(_WHERE):
        error.cause = f"{_WHERE} '{name}' (entered at the event id #{entered['id']}). {error.cause}"
    return error
