"""JSONPath of states: what a path finds in a state's data, in the context object (`$$.`) or in variables (`$name`).

Paths of fields and indexes, which lead to one value, and those with `[*]` are followed here; slices, filters, unions
and `..` by python-jsonpath. As on AWS, a path that may lead to several values finds a list, which may be empty.
"""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from localcloud.ministack.asl.errors import RUNTIME, StateError

_ROOT = re.compile(r"\$\$|\$[^\W\d]\w*|\$")
_STEP = re.compile(
    r"""\.(?P<all>\*)|\[\*\](?P<every>)|\.(?P<field>[^.\[\]()*?,:'"]+)|\[(?P<index>-?[0-9]{1,9})\]"""
    r"""|\[(?P<quote>['"])(?P<name>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\]"""
)
_EVERY = object()

Find = Callable[[Any], Any]


class MissingPathError(LookupError):
    """A path of fields and indexes leads to nothing."""


class _WrongPathError(Exception):
    """A path cannot be followed; the message says why."""


def is_path(text: Any) -> bool:
    """Whether a value of a definition has the form of a path."""
    return isinstance(text, str) and text.startswith("$")


def find(path: str, data: Any, context: Mapping[str, Any] | None = None) -> Any:
    """What a path finds. MissingPathError if it leads to nothing; StateError if it is none that can be followed."""
    root = _ROOT.match(path)
    if root is None:
        raise StateError(RUNTIME, f"Invalid path '{path}'")
    steps = path[root.end() :]
    if root[0] == "$$":
        data = {name: value for name, value in (context or {}).items() if name[:1].isupper()}
        data.pop("QueryLanguage", None)
    elif root[0] != "$":
        variables = (context or {}).get("variables") or {}
        if root[0][1:] not in variables:
            raise MissingPathError(path)
        data = variables[root[0][1:]]
    try:
        return _finder(steps)(data) if steps else data
    except LookupError:
        raise MissingPathError(path) from None
    except _WrongPathError as error:
        raise StateError(RUNTIME, f"Invalid path '{path}': {error}") from None


@functools.lru_cache(maxsize=4096)
def _finder(steps: str) -> Find:
    """The function that follows what stands behind the root of a path; LookupError when it leads to nothing."""
    simple: list[Any] = []
    at = 0
    while at < len(steps) and (step := _STEP.match(steps, at)):
        at = step.end()
        if step["index"]:
            simple.append(int(step["index"]))
        elif step["all"] or step["every"] is not None:
            simple.append(_EVERY)
        else:
            simple.append(step["field"] or re.sub(r"\\(.)", r"\1", step["name"]))
    if at < len(steps):
        return _by_library(steps)
    if _EVERY in simple:
        return functools.partial(_several, simple)
    return functools.partial(_one, simple)


def _by_library(steps: str) -> Find:
    """As `_finder`, by python-jsonpath. _WrongPathError, also of the function, if it cannot follow the path."""
    import jsonpath  # at the first such path: it takes a tenth of a start

    @contextlib.contextmanager
    def told() -> Iterator[None]:
        try:
            yield
        except jsonpath.JSONPathError as error:
            raise _WrongPathError(str(error).splitlines()[0]) from None

    def found(data: Any) -> list[Any]:
        with told():
            return [match.obj for match in compiled.finditer(data)]

    with told():
        compiled = jsonpath.compile(f"${steps}")
    return found


def _one(steps: list[Any], data: Any) -> Any:
    for step in steps:
        fits = isinstance(data, dict) if isinstance(step, str) else isinstance(data, list)
        if not fits:
            raise LookupError(step)
        data = data[step]
    return data


def _several(steps: list[Any], data: Any) -> list[Any]:
    """All values that the steps of a path lead to; a value without the next step is left out."""
    found = [data]
    for step in steps:
        reached: list[Any] = []
        for value in found:
            if step is _EVERY:
                reached += value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
            else:
                try:
                    reached.append(_one([step], value))
                except LookupError:
                    continue
        found = reached
    return found
