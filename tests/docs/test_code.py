"""Rules of the house for code that no linter holds: short modules and test names, and a word on each long function."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.docs.tracked import ROOT, tracked

MODULES = tracked("*.py")
# The programs of images stand for other people's packages; the tests' folders mirror those of the product.
PACKAGES = [name for name in MODULES if re.fullmatch(r"(?!tests/|.*/programs/).*/__init__.py", name)]
MOST_LINES = 400
MOST_CHARACTERS = 70
LONG = 10  # lines of a function that is not understood at a glance


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


def test_the_map_of_a_package_names_its_modules():
    missing = {}
    for package in (Path(name) for name in PACKAGES):
        beside = [Path(name) for name in MODULES if Path(name).parent == package.parent and name != str(package)]
        below = [Path(name).parent for name in MODULES if Path(name).parent.parent == package.parent]
        names = {path.stem for path in beside} | {path.name for path in below}
        text = (ROOT / package).read_text("utf-8")
        missing[str(package)] = sorted(name for name in names if not re.search(rf"\b{name}\b", text))
    maps = {package: names for package, names in missing.items() if names}
    assert set(maps) <= {"loadingbay/commands/__init__.py"}  # a command's module has its name: docs/cli.md lists them


def test_every_room_of_the_command_line_has_its_layer():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = {
        name
        for contract in contracts
        if contract["type"] == "layers"
        for layer in contract["layers"]
        for name in re.split(r" [:|] ", layer)
    }
    modules = [name.removesuffix(".py").replace("/", ".") for name in MODULES if name.startswith("loadingbay/")]
    rooms = [name for name in modules if not name.endswith("__init__")]
    assert [name for name in rooms if not any(f"{name}.".startswith(f"{layer}.") for layer in named)] == []
