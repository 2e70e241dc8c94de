"""Rules on the fields of a state together: what excludes what, which language has it, what Express machines lack.

Source: AWS Step Functions Developer Guide, and messages of AWS's own validation that are public.
"""

import re
from collections.abc import Iterator
from typing import Any

from localcloud.ministack.asl import intrinsics, json_paths
from localcloud.ministack.asl.choices import timestamp

_ONE_OF = [
    ("TimeoutSeconds", "TimeoutSecondsPath"), ("HeartbeatSeconds", "HeartbeatSecondsPath"),
    ("MaxConcurrency", "MaxConcurrencyPath"), ("ToleratedFailureCount", "ToleratedFailureCountPath"),
    ("ToleratedFailurePercentage", "ToleratedFailurePercentagePath"), ("Error", "ErrorPath"), ("Cause", "CausePath"),
    ("ItemSelector", "Parameters"),
]  # fmt: skip
_DISTRIBUTED_ONLY = ("ItemReader", "ItemBatcher", "ResultWriter", "Label")
_JSONATA_ONLY = frozenset(["Arguments", "Output", "Items", "Condition"])
_JSONPATH_ONLY = frozenset(
    ["InputPath", "OutputPath", "ResultPath", "ResultSelector", "TimeoutSecondsPath", "HeartbeatSecondsPath",
     "SecondsPath", "TimestampPath", "ItemsPath", "MaxConcurrencyPath", "ToleratedFailureCountPath",
     "ToleratedFailurePercentagePath", "ErrorPath", "CausePath", "Variable"]
)  # fmt: skip
_LANGUAGES = ("JSONPath", "JSONata")
_HANDLER_FIELDS = {
    "Retry": {
        "Comment", "ErrorEquals", "IntervalSeconds", "MaxAttempts", "BackoffRate", "MaxDelaySeconds", "JitterStrategy",
    },
    "Catch": {"Comment", "ErrorEquals", "Next", "ResultPath", "Assign", "Output"},
}  # fmt: skip
_RESOURCE = re.compile(
    r"arn:[^:]*:(lambda:[^:]*:[^:]*:function:.+|states:[^:]*:[^:]*:(activity:.+|[^:]+:.+))", re.DOTALL
)

Found = Iterator[tuple[str, str]]
"""Messages, each with the field that it is about."""


def of_state(kind: str, state: dict[str, Any], language: str) -> Found:
    """What is wrong with the fields of a state together; `language` is that of the machine."""
    given = state.get("QueryLanguage", language)
    if given not in _LANGUAGES:
        yield f"The field 'QueryLanguage' must be one of {', '.join(_LANGUAGES)}", "QueryLanguage"
    elif language == "JSONata" and given == "JSONPath":
        yield "'QueryLanguage' can not be 'JSONPath' if set to 'JSONata' for the whole state machine", "QueryLanguage"
    else:
        yield from _of_language(state, given)
        for number, rule in enumerate(_objects(state.get("Choices"))):
            yield from ((message, f"Choices[{number}]/{field}") for message, field in _of_language(rule, given))
    for pair in _ONE_OF:
        if state.keys() >= set(pair):
            yield f"There should only be one of the following fields: [{', '.join(pair)}]", pair[0]
    for field in ("ErrorPath", "CausePath"):
        value = state.get(field, "$")
        if not json_paths.is_path(value) and not intrinsics.is_call(value):
            yield (
                f"The value for the field '{field}' must be a valid JSONPath or a valid intrinsic function call",
                field,
            )
    for field in ("Retry", "Catch"):
        yield from _of_handlers(field, state.get(field))
    if kind == "Task":
        yield from _of_task(state)
    elif kind == "Wait":
        value = state.get("Timestamp", "{%")
        if not (isinstance(value, str) and value.startswith("{%")) and timestamp(value) is None:
            yield "The value for the field 'Timestamp' must be an ISO-8601 date and time with an offset", "Timestamp"
    elif kind == "Map":
        yield from _of_map(state)


def of_express(state: dict[str, Any]) -> Found:
    """What a state has that Express machines do not support."""
    resource = str(state.get("Resource"))
    if ":activity:" in resource:
        yield "Express state machine does not support Activity ARN", "Resource"
    for pattern in (".waitForTaskToken", ".sync"):
        if pattern in resource:
            yield f"Express state machine does not support '{pattern}' service integration", "Resource"
    if _mode(state) == "DISTRIBUTED":
        yield "Express state machine does not support Map state in Distributed mode", "ItemProcessor"


def _of_language(given: dict[str, Any], language: str) -> Found:
    other = "JSONata" if language == "JSONPath" else "JSONPath"
    for field in given.keys() & (_JSONATA_ONLY if language == "JSONPath" else _JSONPATH_ONLY):
        message = (
            f"The QueryLanguage is set to '{language}', but field '{field}' is only supported for the '{other}' "
            "QueryLanguage"
        )
        yield message, field


def _of_handlers(field: str, handlers: Any) -> Found:
    """What is wrong with the elements of `Retry` or `Catch`."""
    listed = _objects(handlers)
    for number, one in enumerate(listed):
        at = f"{field}[{number}]"
        for name in one.keys() - _HANDLER_FIELDS[field]:
            yield "Field is not supported", f"{at}/{name}"
        errors = one.get("ErrorEquals")
        if isinstance(errors, list) and "States.ALL" in errors and (len(errors) > 1 or number < len(listed) - 1):
            yield f"'States.ALL' must be alone in ErrorEquals, and in the last element of {field}", f"{at}/ErrorEquals"
        if one.get("JitterStrategy", "NONE") not in ("FULL", "NONE"):
            yield "The field 'JitterStrategy' must be one of FULL, NONE", f"{at}/JitterStrategy"


def _of_task(state: dict[str, Any]) -> Found:
    resource = state.get("Resource")
    if isinstance(resource, str) and resource and not _RESOURCE.fullmatch(resource):
        yield "Value is not a valid resource ARN", "Resource"
    timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
    if isinstance(timeout, int) and isinstance(heartbeat, int) and heartbeat >= timeout:
        yield "'HeartbeatSeconds' must be smaller than 'TimeoutSeconds'", "HeartbeatSeconds"


def _of_map(state: dict[str, Any]) -> Found:
    """What is wrong with a Map state: its mode, fields of the other mode, two sources of items, its tolerance."""
    mode = _mode(state)
    if mode not in ("INLINE", "DISTRIBUTED"):
        yield "The field 'Mode' must be one of INLINE, DISTRIBUTED", "ItemProcessor/ProcessorConfig/Mode"
    for field in _DISTRIBUTED_ONLY if mode == "INLINE" else ():
        if field in state:
            yield f"The field '{field}' is only supported in Distributed mode", field
    if "ItemReader" in state and state.keys() & {"ItemsPath", "Items"}:
        yield "There should only be one of the following fields: [ItemsPath, ItemReader]", "ItemReader"
    percentage = state.get("ToleratedFailurePercentage", 0)
    if isinstance(percentage, int | float) and not 0 <= percentage <= 100:
        yield (
            "The value for the field 'ToleratedFailurePercentage' must be between 0 and 100",
            "ToleratedFailurePercentage",
        )


def _mode(state: dict[str, Any]) -> Any:
    processor = state.get("ItemProcessor") or state.get("Iterator")
    config = processor.get("ProcessorConfig") if isinstance(processor, dict) else None
    return config.get("Mode", "INLINE") if isinstance(config, dict) else "INLINE"


def _objects(listed: Any) -> list[dict[str, Any]]:
    return [one if isinstance(one, dict) else {} for one in listed] if isinstance(listed, list) else []
