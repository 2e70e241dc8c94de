"""Errors of functions that no handler raised have the names that Lambda gives them."""

import json
import re
import zipfile
from io import BytesIO
from typing import Any

import pytest

from localcloud.ministack.function_errors import as_on_aws
from tests.localcloud.conftest import RunningCloud


def told(*parts: Any) -> dict[str, Any]:
    """The emulator's error of a worker that could not import the module c."""
    return {"errorMessage": f"Worker init failed: {json.dumps(parts)}", "errorType": "RuntimeError"}


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (
            told("AttributeError", "no h", "c", "h", True),
            "Runtime.HandlerNotFound",
            "Handler 'h' missing on module 'c'",
        ),
        (told("AttributeError", "no x", "c", "h", False), "AttributeError", "no x"),
        (told("SyntaxError", "bad", "c", "h", False), "Runtime.UserCodeSyntaxError", "Syntax error in module 'c': bad"),
        (
            told("ModuleNotFoundError", "No module named 'x'", "c", "h", False),
            "Runtime.ImportModuleError",
            "Unable to import module 'c': No module named 'x'",
        ),
        ({"errorMessage": "Worker process died"}, "Runtime.ExitError", "RequestId: id Error: Runtime exited without"),
        (
            {"errorMessage": "Task timed out after 2.00 seconds", "errorType": "Sandbox.Timedout"},
            "Sandbox.Timedout",
            "RequestId: id Error: Task timed out after 2.00 seconds",
        ),
        ({"errorMessage": "mine", "errorType": "MineError"}, "MineError", "mine"),
    ],
)
def test_an_error_has_lambdas_name(body: dict[str, Any], kind: str, message: str) -> None:
    found = as_on_aws(body, "id")

    assert found["errorType"] == kind
    assert found["errorMessage"].startswith(message)


@pytest.mark.parametrize(
    ("name", "code", "kind"),
    [
        ("syntax", "def handler(event, context:\n", "Runtime.UserCodeSyntaxError"),
        ("nothing", "x = 1", "Runtime.HandlerNotFound"),
        ("imports", "import not_there", "Runtime.ImportModuleError"),
        ("exits", "import os\ndef handler(event, context): os._exit(3)", "Runtime.ExitError"),
        ("object", "def handler(event, context): return object()", "Runtime.MarshalError"),
        ("half", "def handler(event, context): return '\\ud800'", "Runtime.MarshalError"),
        ("raises-half", "def handler(event, context): raise ValueError('\\ud800')", "ValueError"),
        ("imports-half", "raise ValueError('\\ud800')", "ValueError"),
    ],
)
def test_a_function_that_cannot_answer_says_why(cloud: RunningCloud, name: str, code: str, kind: str) -> None:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code.py", code)
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName=f"error-{name}", Runtime="python3.11", Handler="code.handler", Timeout=5,
        Role="arn:aws:iam::000000000000:role/errors", Code={"ZipFile": archive.getvalue()},
    )  # fmt: skip

    answer = functions.invoke(FunctionName=f"error-{name}")
    told = answer["Payload"].read().decode()

    assert json.loads(told)["errorType"] == kind
    assert not re.search(r"(?<!\\)\\ud[89a-f]", told)
