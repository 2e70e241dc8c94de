"""The documentation page of the SageMaker operations that are served: `localcloud operations` prints it."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

from localcloud import resources
from localcloud.api import OPERATIONS, Handler, refuse
from localcloud.api.shapes import service_model

_HEAD = """\
# SageMaker operations of the local cloud

Generated from the code by `python -m localcloud operations`; a test keeps it so.

{count} of the {all} operations of SageMaker in botocore {version}, and three of its runtime and metrics. Requests are
checked against botocore's model (required members, types, lengths, enums, patterns). Any other operation is answered
with `UnknownOperationException` and its name, and a member that AWS acts on and the local cloud does not is refused
with `ValidationException` and the member's name. The other services on the port (S3, Lambda, Step Functions,
EventBridge, CloudFormation, IAM, CloudWatch, Logs, SQS) are MiniStack's.

`ListTrainingJobs`, `ListProcessingJobs`, `ListTransformJobs`, `ListModels` and `ListEndpoints` cut a page before they
filter it, so a page may be empty and have a `NextToken`: AWS documents it for `ListTrainingJobs` with `StatusEquals`,
and its support said it of models and endpoints in public reports. The other lists are filtered first; on the order
AWS's documentation is silent. It is silent too on the refusal of tags on a version of a model package, on the end of a
callback that nobody answers (7 days here), on capitals in ARNs (kept here), and on what `DescribeModelPackage` names a
version (`group/version` here); what public clients and tests expect was followed. Of `ListModelPackages` it says that
the oldest come first by default, while AWS's own samples take the first for the newest: here the newest come first;
give `SortOrder`, and both agree.

| Operation | What it does | Members it refuses |
|---|---|---|
"""


def page() -> str:
    """The whole page as Markdown."""
    import botocore

    resources.load()
    names = service_model("sagemaker").operation_names
    rows = []
    for name, handler in sorted(OPERATIONS.items()):
        rows.append(f"| `{name}` | {_summary(handler)} | {', '.join(f'`{m}`' for m in _refused(handler))} |\n")
    rows.append(
        "| `InvokeEndpoint` (runtime) | Send a request to an endpoint: by weight or to `TargetVariant`, through all "
        "containers or to `TargetContainerHostname`, to `TargetModel` of many; up to 6 MB | "
        f"{', '.join(f'`{member}`' for member in _runtime_refused())} |\n"
        "| `BatchPutMetrics` (metrics) | Add values to the metrics of a trial component |  |\n"
        "| `InvokeEndpointAsync` (runtime) | Keep a request; its answer goes to S3, and a topic is notified |  |\n"
    )
    return _HEAD.format(count=len(OPERATIONS), all=len(names), version=botocore.__version__) + "".join(rows)


def _runtime_refused() -> tuple[str, ...]:
    from localcloud.serving.invoke import REFUSED

    return REFUSED


def _summary(handler: Handler) -> str:
    text = inspect.getdoc(handler) or ""
    return text.partition("\n")[0].rstrip(".")


def _refused(handler: Handler) -> list[str]:
    """The members that `refuse` names on the way of this operation, read from the source of what it calls."""
    found: set[str] = set()
    seen: set[Callable[..., Any]] = set()
    waiting: list[Callable[..., Any]] = [handler]
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called = function.__globals__.get(node.func.id)
                if called is refuse:
                    found |= {str(a.value) for a in node.args[1:] if isinstance(a, ast.Constant)}
                elif inspect.isfunction(called) and called.__module__.startswith("localcloud."):
                    waiting.append(called)
    return sorted(found)
