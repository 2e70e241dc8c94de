"""Rules of the house for code that no linter holds: short modules and names of tests."""

import re
import subprocess
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


def test_a_module_has_at_most_400_lines():
    lines = {name: (ROOT / name).read_bytes().count(b"\n") for name in MODULES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_the_name_of_a_test_has_at_most_70_characters():
    tests = "\n".join((ROOT / name).read_text("utf-8") for name in MODULES if name.startswith("tests/"))
    assert [name for name in re.findall(r"def (test_\w+)", tests) if len(name) > MOST_CHARACTERS] == []
