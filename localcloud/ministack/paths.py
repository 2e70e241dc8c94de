"""Paths in state machines that lead to nothing: the execution fails and names the path, as on AWS.

Unpatched, MiniStack takes null for what is missing, so a machine goes on with it, or fails with a sentence of Python's.
Source: AWS Step Functions Developer Guide, "Error names", `States.Runtime`. Paths into the context object (`$$.`) are
left alone: MiniStack resolves some before all of it is there.
"""

import functools
import json
from types import ModuleType
from typing import Any

from localcloud.ministack.private_names import find_names

# A cause on AWS has at most 32,768 characters; the start of a big input tells enough.
_MOST_INPUT = 10_000


def install(states: ModuleType) -> None:
    """Patch `ministack.services.stepfunctions`: Parameters, ItemReader, ItemSelector, ResultSelector and both paths."""
    find_names(
        states,
        "_resolve_params_obj",
        "_apply_input_path",
        "_apply_output_path",
        "_parse_jsonpath_tokens",
        "_ExecutionError",
    )
    machines: Any = states
    resolve = machines._resolve_params_obj

    def check(path: Any, field: str, data: Any) -> None:
        if isinstance(path, str) and is_missing(machines._parse_jsonpath_tokens, path, data):
            shown = json.dumps(data, default=str)[:_MOST_INPUT]
            raise machines._ExecutionError(
                "States.Runtime",
                f"The JSONPath '{path}' specified for the field '{field}' could not be found in the input '{shown}'",
            )

    @functools.wraps(resolve)
    def resolve_present(template: Any, data: Any, ctx: Any = None) -> Any:
        if isinstance(template, dict):
            for key, value in template.items():
                if key.endswith(".$"):
                    check(value, key, data)
        return resolve(template, data, ctx)

    machines._resolve_params_obj = resolve_present
    for name, field in (("_apply_input_path", "InputPath"), ("_apply_output_path", "OutputPath")):
        setattr(machines, name, _checked(getattr(machines, name), field, check))


def _checked(apply: Any, field: str, check: Any) -> Any:
    """The function that applies a path of a state, which first checks that the path leads somewhere."""

    @functools.wraps(apply)
    def checked(state: dict[str, Any], data: Any, ctx: Any = None) -> Any:
        check(state.get(field), field, data)
        return apply(state, data, ctx)

    return checked


def is_missing(tokens_of: Any, path: str, data: Any) -> bool:
    """Whether a path of fields and indexes (`$.a.b[0]`) leads to nothing in the data; null is something.

    `tokens_of` parses a path to (kind, value) pairs, None if it cannot. Wildcards find a list, which may be empty.
    """
    if not path.startswith("$") or path.startswith("$$"):
        return False
    tokens = tokens_of(path) or []
    if any(kind not in ("field", "index") for kind, _ in tokens):
        return False
    for kind, value in tokens:
        found = (kind == "field" and isinstance(data, dict) and value in data) or (
            kind == "index" and isinstance(data, list) and value < len(data)
        )
        if not found:
            return True
        data = data[value]
    return False
