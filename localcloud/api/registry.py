"""The table of SageMaker operations: `@operation(name)` makes a function answer the requests of that name."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

Document = dict[str, Any]
Handler = Callable[["Cloud", Document], Document | None]

OPERATIONS: dict[str, Handler] = {}


def operation(name: str) -> Callable[[Handler], Handler]:
    """Register the decorated function as SageMaker's operation `name`."""

    def register(handler: Handler) -> Handler:
        if name in OPERATIONS:
            raise RuntimeError(f"operation {name} is registered twice: {OPERATIONS[name]} and {handler}")
        OPERATIONS[name] = handler
        return handler

    return register
