"""Rules of the house for code that no linter holds: short modules and test names, and a word on each long function."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = [
    name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    if (ROOT / name).exists()
]
MOST_LINES = 400
MOST_CHARACTERS = 70
LONG = 15  # lines of a function that is not understood at a glance


def _undocumented(source: str) -> Iterator[str]:
    """The names of the functions of more than LONG lines without a docstring; a class speaks for its `__init__`."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name == "__init__":
            continue
        if (node.end_lineno or 0) - node.lineno >= LONG and not ast.get_docstring(node):
            yield node.name


def test_a_module_has_at_most_400_lines():
    lines = {name: (ROOT / name).read_bytes().count(b"\n") for name in MODULES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_the_name_of_a_test_has_at_most_70_characters():
    tests = "\n".join((ROOT / name).read_text("utf-8") for name in MODULES if name.startswith("tests/"))
    assert [name for name in re.findall(r"def (test_\w+)", tests) if len(name) > MOST_CHARACTERS] == []


def test_a_long_function_says_what_it_does():
    product = [name for name in MODULES if not name.startswith("tests/")]
    found = {name: list(_undocumented((ROOT / name).read_text("utf-8"))) for name in product}
    assert {name: functions for name, functions in found.items() if functions} == {}
