"""Intrinsic functions of the Amazon States Language: `States.Format('photo {}', $.key)`.

Source: AWS Step Functions Developer Guide, "Intrinsic functions for JSONPath states in Step Functions", and
https://states-language.net/spec.html#appendix-b. Wrong arguments fail the state with States.IntrinsicFailure.
"""

import base64
import hashlib
import json
import math
import random
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.api import strict_json
from localcloud.ministack.asl import json_paths
from localcloud.ministack.asl.errors import INTRINSIC_FAILURE, RUNTIME, StateError

_MOST_CHARACTERS = 10_000
_MOST_ITEMS = 1000
_MOST_DEPTH = 10
_LEAST_INTEGER, _MOST_INTEGER = -(2**31), 2**31 - 1
_NAME = re.compile(r"\s*(States\.[A-Za-z0-9]+)\s*\(")
_TEXT = re.compile(r"'((?:\\.|[^'\\])*)'", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_PATH = re.compile(r"""\$(?:\[(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\]'"])*\]|[^,()\[\]\s])*""")
_WORDS = {"true": True, "false": False, "null": None}
_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


@dataclass(frozen=True)
class _Call:
    name: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class _Path:
    path: str


@dataclass(frozen=True)
class _Text:
    raw: str


class _WrongError(ValueError):
    """An argument does not fit its function; the message says which."""


def is_call(text: Any) -> bool:
    """Whether a value of a definition is a call of functions that exist, with as many arguments as they take."""
    try:
        return isinstance(text, str) and text.startswith("States.") and isinstance(_parsed(text), _Call)
    except ValueError:
        return False


def evaluate(text: str, data: Any, context: Mapping[str, Any] | None = None) -> Any:
    """The result of a call. StateError States.IntrinsicFailure for arguments that do not fit, States.Runtime else."""
    try:
        call = _parsed(text)
    except ValueError as error:
        raise StateError(RUNTIME, f"'{text}' is not a valid intrinsic function call: {error}") from None
    try:
        return _value(call, data, context)
    except (_WrongError, RecursionError) as error:
        raise StateError(INTRINSIC_FAILURE, f"The function '{text}' had the following error: {error}") from None
    except json_paths.MissingPathError as missing:
        shown = json.dumps(data, default=str)[:_MOST_CHARACTERS]
        cause = f"The JsonPath argument for the field '{missing}' could not be found in the input '{shown}'"
        raise StateError(RUNTIME, cause) from None


# Parsing


def _parsed(text: str) -> _Call:
    call, end = _call(text, 0, 1)
    if text[end:].strip():
        raise ValueError(f"unexpected {text[end:]!r}")
    return call


def _call(text: str, at: int, depth: int) -> tuple[_Call, int]:
    """Parse the function call that begins at a place; the call, and the place after it. ValueError for another text."""
    name = _NAME.match(text, at)
    if name is None or depth > _MOST_DEPTH:
        raise ValueError(f"expected a function at character {at}")
    known = _FUNCTIONS.get(name[1])
    if known is None:
        raise ValueError(f"there is no function {name[1]}")
    arguments: list[Any] = []
    at = _after_space(text, name.end())
    while not text.startswith(")", at):
        if arguments:
            if not text.startswith(",", at):
                raise ValueError(f"expected ',' or ')' at character {at}")
            at += 1
        argument, at = _argument(text, _after_space(text, at), depth)
        arguments.append(argument)
        at = _after_space(text, at)
    least, most, _ = known
    if not least <= len(arguments) <= most:
        raise ValueError(f"{name[1]} does not take {len(arguments)} arguments")
    return _Call(name[1], tuple(arguments)), at + 1


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _argument(text: str, at: int, depth: int) -> tuple[Any, int]:
    """Parse the argument that begins at a place: a call, text, path, number or word; it, and the place after it."""
    if text.startswith("States.", at):
        return _call(text, at, depth + 1)
    if found := _TEXT.match(text, at):
        return _Text(found[1]), found.end()
    if text.startswith("$", at) and (found := _PATH.match(text, at)):
        return _Path(found[0]), found.end()
    if found := _NUMBER.match(text, at):
        return json.loads(found[0]), found.end()
    for word, value in _WORDS.items():
        if text.startswith(word, at):
            return value, at + len(word)
    raise ValueError(f"expected an argument at character {at}")


# Evaluation


def _value(node: Any, data: Any, context: Mapping[str, Any] | None) -> Any:
    """The value of a parsed argument: paths are read from the input or the context object, functions are called."""
    if isinstance(node, _Path):
        return json_paths.find(node.path, data, context)
    if isinstance(node, _Text):
        return re.sub(r"\\(.)", r"\1", node.raw, flags=re.DOTALL)
    if not isinstance(node, _Call):
        return node
    values = [_value(argument, data, context) for argument in node.arguments]
    if node.name == "States.Format":
        template = node.arguments[0].raw if isinstance(node.arguments[0], _Text) else values[0]
        return _format(template, *values[1:])
    return _FUNCTIONS[node.name][2](*values)


def _must(fits: bool, message: str) -> None:
    if not fits:
        raise _WrongError(message)


def _list(value: Any) -> list[Any]:
    _must(isinstance(value, list), "an argument must be an array")
    return list(value)


def _text(value: Any) -> str:
    _must(isinstance(value, str), "an argument must be a string")
    return str(value)


def _short(value: Any) -> str:
    _must(len(_text(value)) <= _MOST_CHARACTERS, f"a string has more than {_MOST_CHARACTERS} characters")
    return str(value)


def _integer(value: Any) -> int:
    """A number as an integer, rounded as Java does."""
    _must(isinstance(value, int | float) and not isinstance(value, bool), "an argument must be a number")
    _must(_LEAST_INTEGER <= value <= _MOST_INTEGER, "a number is outside of what 32 bits can hold")
    rounded: int = math.floor(value + 0.5)
    return rounded


def _format(template: Any, *values: Any) -> str:
    """The template with each {} replaced; a backslash takes the meaning of the character behind it away."""
    left, made = list(values), []
    for piece in re.findall(r"\\.|\{\}|.", _text(template), re.DOTALL):
        if piece == "{}":
            _must(bool(left), "there are fewer arguments than {}")
            made.append(_shown(left.pop(0)))
        else:
            made.append(piece[-1] if len(piece) > 1 else piece)
    _must(not left, "there are more arguments than {}")
    return "".join(made)


def _shown(value: Any) -> str:
    """A value within a formatted text; objects and arrays as Java shows them."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}={_shown(inner)}' for name, inner in value.items())}}}"
    return json.dumps(value)


def _string_to_json(value: Any) -> Any:
    try:
        return strict_json.loads(value) if _text(value).strip() else None
    except ValueError as error:
        raise _WrongError(f"the string is no JSON: {error}") from None


def _merge(first: Any, second: Any, deep: Any) -> dict[str, Any]:
    _must(isinstance(first, dict) and isinstance(second, dict), "the first two arguments must be objects")
    _must(deep is False, "only shallow merging is supported: the third argument must be false")
    return {**first, **second}


def _decode(value: Any) -> str:
    try:
        return base64.b64decode(_short(value) + "=" * (-len(value) % 4), validate=True).decode()
    except ValueError:
        raise _WrongError("the string is no base64 of UTF-8 text") from None


def _hash(value: Any, algorithm: Any) -> str:
    _must(algorithm in _ALGORITHMS, f"the algorithm must be one of {', '.join(_ALGORITHMS)}")
    return hashlib.new(_ALGORITHMS[algorithm], _short(value).encode(errors="replace")).hexdigest()


def _split(value: Any, delimiters: Any) -> list[str]:
    _must(bool(_text(delimiters)), "the delimiters must not be empty")
    return [part for part in re.split(f"[{re.escape(delimiters)}]", _text(value)) if part]


def _item(values: Any, index: Any) -> Any:
    _must(0 <= _integer(index) < len(_list(values)), f"the index {index} is outside of the array")
    return values[_integer(index)]


def _contains(values: Any, wanted: Any) -> bool:
    return any(_same(value, wanted) for value in _list(values))


def _unique(values: Any) -> list[Any]:
    made: list[Any] = []
    for value in _list(values):
        if not _contains(made, value):
            made.append(value)
    return made


def _same(one: Any, other: Any) -> bool:
    """Whether values are equal in JSON, where true is not 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _partition(values: Any, size: Any) -> list[Any]:
    _must(_integer(size) > 0, "the size must be positive")
    return [_list(values)[at : at + _integer(size)] for at in range(0, len(_list(values)), _integer(size))]


def _range(first: Any, last: Any, step: Any) -> list[int]:
    by = _integer(step)
    _must(by != 0, "the step must not be zero")
    made = range(_integer(first), _integer(last) + (1 if by > 0 else -1), by)
    _must(len(made) <= _MOST_ITEMS, f"the array would have more than {_MOST_ITEMS} items")
    return list(made)


def _random(start: Any, end: Any, seed: Any = None) -> int:
    _must(_integer(start) < _integer(end), "the first number must be smaller than the second")
    return random.Random(None if seed is None else _integer(seed)).randrange(_integer(start), _integer(end))  # noqa: S311


_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "States.Format": (1, _MOST_ITEMS, _format),
    "States.StringToJson": (1, 1, _string_to_json),
    "States.JsonToString": (1, 1, lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False)),
    "States.Array": (0, _MOST_ITEMS, lambda *values: list(values)),
    "States.ArrayPartition": (2, 2, _partition),
    "States.ArrayContains": (2, 2, _contains),
    "States.ArrayRange": (3, 3, _range),
    "States.ArrayGetItem": (2, 2, _item),
    "States.ArrayLength": (1, 1, lambda values: len(_list(values))),
    "States.ArrayUnique": (1, 1, _unique),
    "States.Base64Encode": (1, 1, lambda value: base64.b64encode(_short(value).encode(errors="replace")).decode()),
    "States.Base64Decode": (1, 1, _decode),
    "States.Hash": (2, 2, _hash),
    "States.JsonMerge": (3, 3, _merge),
    "States.MathRandom": (2, 3, _random),
    "States.MathAdd": (2, 2, lambda one, other: _integer(_integer(one) + _integer(other))),
    "States.StringSplit": (2, 2, _split),
    "States.UUID": (0, 0, lambda: str(uuid.uuid4())),
}
"""Name to least and most arguments, and the function of their values."""
