"""Errors of Lambda functions that no handler raised: at the import, by a time-out, or because the process ended.

Sources: AWS Lambda Developer Guide, "Troubleshoot execution issues in Lambda", and messages of the Python runtime.
"""

import json
from typing import Any

_INIT = "Worker init failed: "
_DIED = "Worker process died"
_SYNTAX_ERRORS = ("SyntaxError", "IndentationError", "TabError")


def as_on_aws(body: dict[str, Any], request_id: str) -> dict[str, Any]:
    """The error that AWS answers with, given the emulator's; what a handler raised is left as it is."""
    message, kind = str(body.get("errorMessage", "")), body.get("errorType")
    if message.startswith(_INIT):
        kind, message = _of_import(message.removeprefix(_INIT))
    elif message == _DIED:
        kind = "Runtime.ExitError"
        message = f"RequestId: {request_id} Error: Runtime exited without providing a reason"
    elif kind == "Sandbox.Timedout":
        message = f"RequestId: {request_id} Error: {message}"
    else:
        return body
    return {**body, "errorMessage": message, "errorType": kind}


def readable(node: Any) -> Any:
    r"""The node with halves of surrogate pairs in its texts as `\ud800`: no answer can hold them.

    A handler may have raised them, and paths that are not UTF-8 have them in a stack trace.
    """
    if isinstance(node, str):
        return node.encode(errors="backslashreplace").decode()
    if isinstance(node, list):
        return [readable(item) for item in node]
    return {name: readable(value) for name, value in node.items()} if isinstance(node, dict) else node


def _of_import(told: str) -> tuple[str, str]:
    """Type and message of an error while the handler's module was imported, as the worker tells it."""
    try:
        name, message, module, handler, imported = json.loads(told)
    except ValueError:  # a worker of another language
        return "Runtime.ImportModuleError", told
    if imported and name == "AttributeError":
        return "Runtime.HandlerNotFound", f"Handler '{handler}' missing on module '{module}'"
    if name in _SYNTAX_ERRORS:
        return "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {message}"
    if name in ("ImportError", "ModuleNotFoundError"):
        return "Runtime.ImportModuleError", f"Unable to import module '{module}': {message}"
    return name, message
