"""Definitions of state machines, checked when a machine is created or changed, as Step Functions does.

Unpatched, MiniStack takes any text, and what is wrong shows when an execution comes to it, or never.
Sources: https://states-language.net/spec.html, and the codes of the API reference's
ValidateStateMachineDefinitionDiagnostic. JSONPath and JSONata are checked where they are evaluated.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

from localcloud.ministack import definition_rules
from localcloud.ministack.asl import intrinsics, json_paths
from localcloud.ministack.execution_logs import with_small_letters
from localcloud.ministack.private_names import find_names

MOST_CHARACTERS = 1024 * 1024
_MOST_NAME = 80
_MOST_NUMBER = 99_999_999
_COMMON = "Type Comment QueryLanguage InputPath OutputPath Output Assign"
_GOES_ON = f"{_COMMON} Next End"
_RETRIED = f"{_GOES_ON} Parameters Arguments ResultPath ResultSelector Retry Catch"
_FIELDS = {
    kind: frozenset(fields.split())
    for kind, fields in {
        "Pass": f"{_GOES_ON} Result ResultPath Parameters",
        "Task": f"{_RETRIED} Resource TimeoutSeconds TimeoutSecondsPath HeartbeatSeconds HeartbeatSecondsPath "
        "Credentials",
        "Choice": f"{_COMMON} Choices Default",
        "Wait": f"{_GOES_ON} Seconds SecondsPath Timestamp TimestampPath",
        "Succeed": _COMMON,
        "Fail": "Type Comment QueryLanguage Error ErrorPath Cause CausePath",
        "Parallel": f"{_RETRIED} Branches",
        "Map": f"{_RETRIED} Iterator ItemProcessor ItemsPath Items ItemSelector ItemReader ItemBatcher ResultWriter "
        "MaxConcurrency MaxConcurrencyPath ToleratedFailurePercentage ToleratedFailurePercentagePath "
        "ToleratedFailureCount ToleratedFailureCountPath Label",
    }.items()
}
_MACHINE = frozenset(["Comment", "QueryLanguage", "StartAt", "States", "Version", "TimeoutSeconds", "ProcessorConfig"])
_PATHS = frozenset(
    ["InputPath", "OutputPath", "ResultPath", "TimeoutSecondsPath", "HeartbeatSecondsPath", "SecondsPath",
     "TimestampPath", "ItemsPath", "MaxConcurrencyPath", "ToleratedFailurePercentagePath",
     "ToleratedFailureCountPath"]
)  # fmt: skip
_NULLABLE = frozenset(("InputPath", "OutputPath", "ResultPath"))
_TEMPLATES = frozenset(["Parameters", "ResultSelector", "ItemSelector", "Assign"])
_OPERATOR = re.compile(
    "(String|Numeric|Timestamp)(Equals|LessThan|GreaterThan|LessThanEquals|GreaterThanEquals)(Path)?"
    "|BooleanEquals(Path)?|StringMatches|Is(Null|Present|Numeric|String|Boolean|Timestamp)"
)
_OPERANDS: dict[str, Any] = {"Boolean": bool, "Is": bool, "Numeric": (int, float), "String": str, "Timestamp": str}
# Each at least so much; MaxAttempts may be none.
_RETRY_NUMBERS = {"IntervalSeconds": 1, "MaxAttempts": 0, "BackoffRate": 1, "MaxDelaySeconds": 1}


@dataclass(frozen=True)
class Problem:
    """What is wrong with a definition: a code of Step Functions', a sentence, and where (a JSON pointer)."""

    code: str
    message: str
    location: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" at {self.location}" if self.location else "")


def problems(definition: str, kind: str = "STANDARD") -> list[Problem]:
    """All that Step Functions would refuse a definition for in a machine of a type; empty if it may be created."""
    if len(definition) > MOST_CHARACTERS:
        return [Problem("SCHEMA_VALIDATION_FAILED", f"The definition is longer than {MOST_CHARACTERS} characters")]
    if not definition.strip():
        return [Problem("MISSING_DESCRIPTION", "The definition is empty")]
    check = _Check(kind)
    try:
        machine = json.loads(definition, parse_constant=_no_constant, object_pairs_hook=check.unique)
        json.dumps(machine, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:
        return [Problem("INVALID_JSON_DESCRIPTION", f"The definition is not JSON: {error}")]
    except RecursionError:
        return [Problem("INVALID_JSON_DESCRIPTION", "The definition is nested too deep")]
    try:
        check.machine(machine, "")
    except RecursionError:
        check.add("The definition is nested too deep", "")
    return check.found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


class _Check:
    """Walks a definition and gathers what is wrong."""

    def __init__(self, kind: str) -> None:
        self.found: list[Problem] = []
        self._kind, self._language = kind, "JSONPath"
        self._names: set[str] = set()

    def add(self, message: str, location: str, code: str = "SCHEMA_VALIDATION_FAILED") -> None:
        """Note a problem."""
        self.found.append(Problem(code, message, location))

    def unique(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """An object of JSON; that it names a member twice is a problem."""
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = next(name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1)
            self.add(f"The field {twice!r} is there twice", "", "INVALID_JSON_DESCRIPTION")
        return made

    def machine(self, machine: Any, at: str) -> None:
        """Check a machine, a branch of a Parallel or the processor of a Map."""
        if not isinstance(machine, dict):
            self.add("Expected an object", at or "/")
            return
        self._fields(machine, _MACHINE, at)
        self._numbers(machine, at)
        if not at and machine.get("QueryLanguage") == "JSONata":
            self._language = "JSONata"
        states, start = machine.get("States"), machine.get("StartAt")
        if not isinstance(states, dict) or not states:
            self.add("The field 'States' must be an object with at least one state", f"{at}/States")
            return
        if not isinstance(start, str):
            self.add("The field 'StartAt' must be the name of a state", f"{at}/StartAt")
        for name, state in states.items():
            self._state(name, state, f"{at}/States/{name}")
        self._transitions(start, states, at)

    def _transitions(self, start: Any, states: dict[str, Any], at: str) -> None:
        """Check that all states that are gone to are there, and that all that are there are gone to."""
        reached: set[str] = set()
        for name, state in states.items():
            for target, where in _targets(state, f"{at}/States/{name}"):
                if target not in states:
                    self.add(f"Missing 'Next' target: {target}", where, "MISSING_TRANSITION_TARGET")
        if isinstance(start, str) and start not in states:
            self.add(f"Missing 'StartAt' target: {start}", f"{at}/StartAt", "MISSING_TRANSITION_TARGET")
            return
        if not any(isinstance(state, dict) and _ends(state) for state in states.values()):
            self.add("Workflow has no terminal state", "", "MISSING_END_STATE")
            return
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name in states and name not in reached:
                reached.add(name)
                waiting += [target for target, _ in _targets(states[name], "")]
        for name in states:
            if name not in reached:
                message = f'State "{name}" is not reachable.'
                self.add(message, f"{at}/States/{name}", "MISSING_TRANSITION_TARGET")

    def _state(self, name: str, state: Any, at: str) -> None:
        """Check one state."""
        if not 1 <= len(name) <= _MOST_NAME:
            self.add(f"The name of a state has 1 to {_MOST_NAME} characters", at, "INVALID_STATE_NAME")
        if name in self._names:
            self.add(f"Duplicate State name: {name}", at, "DUPLICATE_STATE_NAME")
        self._names.add(name)
        kind = state.get("Type") if isinstance(state, dict) else None
        if not isinstance(kind, str) or kind not in _FIELDS:
            self.add(f"The field 'Type' must be one of {', '.join(_FIELDS)}", f"{at}/Type")
            return
        self._fields(state, _FIELDS[kind], at)
        self._numbers(state, at)
        for field in _PATHS & state.keys():
            if not (state[field] is None and field in _NULLABLE) and not json_paths.is_path(state[field]):
                self.add(f"The value for the field '{field}' must be a valid JSONPath", f"{at}/{field}")
        for field in _TEMPLATES & state.keys():
            self._template(state[field], f"{at}/{field}")
        if "Next" in _FIELDS[kind] and ("Next" in state) == (state.get("End") is True):
            self.add("A state must have either Next or End: true", at)
        if "Next" in state and not isinstance(state["Next"], str):
            self.add("The field 'Next' must be the name of a state", f"{at}/Next")
        for field in ("Retry", "Catch"):
            for number, one in enumerate(self._list(state, field, at)):
                self._handler(one, field, f"{at}/{field}[{number}]")
        self._of_kind(kind, state, at)
        for message, field in definition_rules.of_state(kind, state, self._language):
            self.add(message, f"{at}/{field}")
        for message, field in definition_rules.of_express(state) if self._kind == "EXPRESS" else ():
            self.add(message, f"{at}/{field}")

    def _of_kind(self, kind: str, state: dict[str, Any], at: str) -> None:
        """Check what states of one type only have."""
        if kind == "Task" and not (isinstance(state.get("Resource"), str) and state["Resource"]):
            self.add("The field 'Resource' must be the ARN of a task", f"{at}/Resource")
        elif kind == "Wait":
            given = [field for field in ("Seconds", "SecondsPath", "Timestamp", "TimestampPath") if field in state]
            if len(given) != 1:
                self.add("A Wait state must have exactly one of Seconds, SecondsPath, Timestamp, TimestampPath", at)
        elif kind == "Choice":
            if not self._list(state, "Choices", at):
                self.add("The field 'Choices' must be a list with at least one rule", f"{at}/Choices")
            for number, rule in enumerate(self._list(state, "Choices", at)):
                where = f"{at}/Choices[{number}]"
                if not isinstance(rule, dict) or not isinstance(rule.get("Next"), str):
                    self.add("A rule must have the field 'Next'", where)
                self._rule(rule, where)
        elif kind == "Parallel":
            if not self._list(state, "Branches", at):
                self.add("The field 'Branches' must be a list with at least one branch", f"{at}/Branches")
            for number, branch in enumerate(self._list(state, "Branches", at)):
                self.machine(branch, f"{at}/Branches[{number}]")
        elif kind == "Map":
            processors = [field for field in ("ItemProcessor", "Iterator") if field in state]
            if len(processors) != 1:
                self.add("A Map state must have the field 'ItemProcessor'", at)
            for field in processors:
                self.machine(state[field], f"{at}/{field}")

    def _rule(self, rule: Any, at: str) -> None:
        """Check a rule of a Choice, or what is inside of one."""
        if not isinstance(rule, dict):
            self.add("A rule must be an object", at)
            return
        combined = [field for field in ("And", "Or", "Not", "Condition") if field in rule]
        operators = [field for field in rule if _OPERATOR.fullmatch(field)]
        if len(combined) + len(operators) != 1:
            self.add("A rule must have exactly one comparison operator", at)
        for field in combined:
            if field in ("And", "Or"):
                for number, one in enumerate(self._list(rule, field, at)):
                    self._rule(one, f"{at}/{field}[{number}]")
            elif field == "Not":
                self._rule(rule[field], f"{at}/Not")
        for field in operators:
            if not json_paths.is_path(rule.get("Variable")):
                self.add("The value for the field 'Variable' must be a valid JSONPath", f"{at}/Variable")
            wanted = next(kinds for kind, kinds in _OPERANDS.items() if field.startswith(kind))
            value = rule[field]
            fits = isinstance(value, wanted) and isinstance(value, bool) == (wanted is bool)
            if not (json_paths.is_path(value) if field.endswith("Path") else fits):
                self.add(f"The value for the field '{field}' is of another type", f"{at}/{field}")

    def _handler(self, one: Any, field: str, at: str) -> None:
        """Check an element of Retry or Catch."""
        errors = one.get("ErrorEquals") if isinstance(one, dict) else None
        if not isinstance(errors, list) or not errors or not all(isinstance(error, str) for error in errors):
            self.add("The field 'ErrorEquals' must be a list of names of errors", f"{at}/ErrorEquals")
            return
        if field == "Catch" and not isinstance(one.get("Next"), str):
            self.add("The field 'Next' must be the name of a state", f"{at}/Next")
        for name, least in _RETRY_NUMBERS.items() if field == "Retry" else ():
            self._number(one, name, least, at, whole=name != "BackoffRate")

    def _numbers(self, state: dict[str, Any], at: str) -> None:
        """Check seconds and counts of a state or machine."""
        for name, least in (("TimeoutSeconds", 1), ("HeartbeatSeconds", 1), ("Seconds", 0), ("MaxConcurrency", 0)):
            self._number(state, name, least, at)

    def _number(self, state: dict[str, Any], name: str, least: int, at: str, whole: bool = True) -> None:
        value = state.get(name, least)
        if isinstance(value, str) and value.startswith("{%"):  # JSONata, evaluated at run time
            return
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not fits or not least <= value <= _MOST_NUMBER:
            self.add(f"The value for the field '{name}' must be a number of at least {least}", f"{at}/{name}")

    def _template(self, value: Any, at: str) -> None:
        """Check the fields of a payload template that are paths or calls of intrinsic functions."""
        if isinstance(value, list):
            for number, item in enumerate(value):
                self._template(item, f"{at}[{number}]")
        elif isinstance(value, dict):
            for name, inner in value.items():
                if not name.endswith(".$"):
                    self._template(inner, f"{at}/{name}")
                elif not (json_paths.is_path(inner) or intrinsics.is_call(inner)):
                    message = (
                        f"The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"
                    )
                    self.add(message, f"{at}/{name}")

    def _list(self, state: Any, field: str, at: str) -> list[Any]:
        value = state.get(field, [])
        if isinstance(value, list):
            return value
        self.add(f"The field '{field}' must be a list", f"{at}/{field}")
        return []

    def _fields(self, given: dict[str, Any], allowed: frozenset[str], at: str) -> None:
        for field in given.keys() - allowed:
            self.add("Field is not supported", f"{at}/{field}")


def _ends(state: dict[str, Any]) -> bool:
    return state.get("End") is True or state.get("Type") in ("Succeed", "Fail")


def _targets(state: Any, at: str) -> Iterator[tuple[str, str]]:
    """The names of the states that a state goes to, each with where it says so."""
    if not isinstance(state, dict):
        return
    for field in ("Next", "Default"):
        if isinstance(state.get(field), str):
            yield state[field], f"{at}/{field}"
    for field in ("Choices", "Catch"):
        listed = state.get(field)
        for number, one in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(one, dict) and isinstance(one.get("Next"), str):
                yield one["Next"], f"{at}/{field}[{number}]/Next"


def refusal(definition: Any, kind: str = "STANDARD") -> str | None:
    """The message of InvalidDefinition for a definition; None if it may be created in a machine of this type."""
    found = problems(definition, kind) if isinstance(definition, str) else []
    return f"Invalid State Machine Definition: '{', '.join(map(str, found))}'" if found else None


def install(states: ModuleType) -> None:
    """Patch `ministack.services.stepfunctions`: creation, change, and the operation that only validates."""
    used = ("_create_state_machine", "_update_state_machine", "_state_machines", "json_response", "error_response_json")
    find_names(states, *used, "_validate_state_machine_definition")
    machines: Any = states

    def validate(data: dict[str, Any]) -> Any:
        """Answer ValidateStateMachineDefinition with what is wrong, as many as are asked for."""
        found = problems(data["definition"], data.get("type") or "STANDARD")
        most = data.get("maxResults") or 100
        diagnostics = [
            {"severity": "ERROR", "code": one.code, "message": one.message}
            | ({"location": one.location} if one.location else {})
            for one in found
        ]
        answer = {
            "result": "FAIL" if found else "OK",
            "diagnostics": diagnostics[:most],
            "truncated": len(found) > most,
        }
        return machines.json_response(answer)

    create, update = machines._create_state_machine, machines._update_state_machine

    def checked(work: Callable[[dict[str, Any]], Any], data: dict[str, Any], kind: str) -> Any:
        refused = refusal(data.get("definition"), kind)
        return machines.error_response_json("InvalidDefinition", refused, 400) if refused else work(data)

    def checked_update(data: dict[str, Any]) -> Any:
        machine = machines._state_machines.get(data.get("stateMachineArn")) or {}
        return checked(update, data, machine.get("type", "STANDARD"))

    machines._create_state_machine = lambda data: checked(create, data, data.get("type") or "STANDARD")
    machines._update_state_machine = checked_update
    machines._validate_state_machine_definition = validate


def install_in_stacks(machine: dict[str, Any], states: ModuleType) -> None:
    """Fail a stack's state machine for its definition; `machine` has the functions of the resource type."""
    find_names(states, "_state_machines")
    create, update, delete = machine["create"], machine["update"], machine["delete"]

    def with_logs(work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, with the logging configuration in the names of Step Functions in the properties that it is given."""

        def named(*given: Any, **more: Any) -> Any:
            return work(*map(_as_of_states, given), **more)

        return named

    def checked(logical_id: str, properties: dict[str, Any], *rest: Any) -> Any:
        made = with_logs(create)(logical_id, properties, *rest)
        found = states._state_machines[made[0]]
        refused = refusal(found["definition"], found["type"])
        if refused:
            delete(made[0], properties)
            raise ValueError(f'Resource handler returned message: "{refused}" (HandlerErrorCode: InvalidRequest)')
        return made

    machine["create"], machine["update"] = checked, with_logs(update)


def _as_of_states(given: Any) -> Any:
    """Properties of a state machine in a template, with a logging configuration as CreateStateMachine has it."""
    if not isinstance(given, dict) or "LoggingConfiguration" not in given:
        return given
    return {**given, "LoggingConfiguration": with_small_letters(given["LoggingConfiguration"])}
