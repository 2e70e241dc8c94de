"""The local cloud as a distribution of its own: nothing is left out of it, it knows no product, and has a command."""

import re
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from localcloud.__main__ import main

FOLDER = Path(__file__).parents[2] / "localcloud"
PROJECT = tomllib.loads((FOLDER / "pyproject.toml").read_text())


def test_every_folder_of_code_is_packaged() -> None:
    tools = PROJECT["tool"]["setuptools"]
    packaged = {FOLDER.joinpath(*name.split(".")[1:]) for name in tools["packages"]}
    # What runs in the environments of images is data here: it is no part of the package.
    data = {
        path.parent
        for package, patterns in tools["package-data"].items()
        for pattern in patterns
        for path in FOLDER.joinpath(*package.split(".")[1:]).glob(pattern)
    }

    assert {path.parent for path in FOLDER.rglob("*.py")} - data == packaged - data


@pytest.mark.parametrize("line", requires("localcloud") or [])
def test_the_locked_environment_meets_each_requirement(line: str) -> None:
    wanted = Requirement(line)

    assert version(wanted.name) in wanted.specifier


def test_no_word_of_a_product_is_in_the_code() -> None:
    product = re.compile(r"loading ?bay|vehicle|bicycle|motorcycle|driver", re.IGNORECASE)

    assert [str(path) for path in FOLDER.rglob("*.py") if product.search(path.read_text())] == []


@pytest.mark.parametrize("value", ["1_0", "\u0661", "-1", "70000", "x", ""])
def test_a_number_that_is_none_is_told_with_what_is_allowed(value: str) -> None:
    answer = CliRunner().invoke(main, ["serve", "--port", value])
    assert answer.exit_code == 2
    assert f"{value}: must be a whole number from 0 to 65535" in answer.output
