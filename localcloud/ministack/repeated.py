"""What MiniStack works out again and again with the same result: the parts of ARNs, and the second that it is.

An execution of three functions takes ARNs apart 36 times, and is told the time 25 times.
"""

import time
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import Any

from localcloud.ministack.private_names import find_names

_OF_ARNS = {
    "services.stepfunctions": ("parse_arn",),
    "services.lambda_svc": (
        "parse_arn", "_lambda_function_name_and_qualifier_from_arn", "_lambda_function_account_region_from_arn",
    ),
    "core.lambda_runtime": ("_lambda_function_account_region_from_arn",),
}  # fmt: skip
"""Functions by module that depend on nothing but one text, and give what cannot be changed."""


def install(modules: Mapping[str, Any]) -> None:
    """Patch MiniStack's Step Functions and Lambda."""
    for name, functions in _OF_ARNS.items():
        find_names(modules[name], *functions)
        for function in functions:
            setattr(modules[name], function, remembering(getattr(modules[name], function)))
    states = modules["services.stepfunctions"]
    find_names(states, "now_iso")
    states.now_iso = now


def remembering(work: Callable[[str], Any]) -> Callable[[Any], Any]:
    """`work`, with its last 1,024 results for a text; for anything else it is called."""
    remembered = lru_cache(1024)(work)

    @wraps(work)
    def known(value: Any) -> Any:
        return remembered(value) if type(value) is str else work(value)

    return known


def now() -> str:
    """The time as 2026-11-27T12:00:00.000Z."""
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1_000_000:03d}Z"


@lru_cache(8)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
