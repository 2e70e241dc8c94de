"""The page that lists which SageMaker operations the local cloud has: `python -m localcloud operations`."""

import ast
import inspect
from pathlib import Path

from localcloud import resources
from localcloud.api import OPERATIONS, Handler
from localcloud.api.shapes import service_model

_HEAD = """\
# SageMaker operations of the local cloud

Generated from the code by `python -m localcloud operations`; a test keeps it so.

{count} of the {all} operations of SageMaker in botocore {version}, and `InvokeEndpoint` of its runtime. Requests are
checked against botocore's model (required members, types, lengths, enums, patterns). Any other operation is answered
with `UnknownOperationException` and its name, and a member that AWS acts on and the local cloud does not is refused
with `ValidationException` and the member's name. The other services on the port (S3, Lambda, Step Functions,
EventBridge, CloudFormation, IAM, CloudWatch, Logs, SQS) are MiniStack's.

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
        "| `InvokeEndpoint` (runtime) | Send a request to an endpoint: by weight or to `TargetVariant`; up to 6 MB | "
        f"{', '.join(f'`{member}`' for member in _runtime_refused())} |\n"
    )
    return _HEAD.format(count=len(OPERATIONS), all=len(names), version=botocore.__version__) + "".join(rows)


def _runtime_refused() -> tuple[str, ...]:
    from localcloud.serving.invoke import REFUSED

    return REFUSED


def _summary(handler: Handler) -> str:
    text = inspect.getdoc(handler) or ""
    return text.partition("\n")[0].rstrip(".")


def _refused(handler: Handler) -> list[str]:
    """The members that the operation's own module refuses on the way of this operation, read from its source."""
    tree = ast.parse(Path(inspect.getfile(handler)).read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found: list[str] = []
    seen: set[str] = set()
    waiting = [handler.__name__]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id == "refuse":
                    found += [str(a.value) for a in node.args[1:] if isinstance(a, ast.Constant)]
                waiting.append(node.func.id)
    return sorted(set(found))
