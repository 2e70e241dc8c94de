"""A buildspec is read as CodeBuild reads it, and what a push cannot carry out is refused by name."""

from pathlib import Path

import pytest

from loadingbay.errors import WorkError
from loadingbay.push import buildspec

ROOT = Path(__file__).resolve().parents[3]


def test_the_projects_own_buildspec_can_be_carried_out():
    read = buildspec.read(ROOT / "buildspec.yml")
    assert [phase.name for phase in read.phases] == ["install", "pre_build", "build"]
    assert read.phases[1].commands == ("make test",)
    assert read.shell == "bash"
    assert "EXECUTION_ARN" in read.exported


def test_phases_come_in_codebuilds_order_whatever_that_of_the_file():
    read = buildspec.parse({"version": 0.2, "phases": {"build": {"commands": "b"}, "install": {"finally": ["i"]}}})
    assert [(phase.name, phase.commands, phase.finally_) for phase in read.phases] == [
        ("install", (), ("i",)),
        ("build", ("b",), ()),
    ]


def test_artifacts_are_named_as_left_out():
    assert buildspec.parse({"version": 0.2, "phases": {}, "artifacts": {"files": ["x"]}}).left_out == ("artifacts",)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "must be a mapping"),
        ({"version": 0.1, "phases": {}}, "version is 0.1, only 0.2"),
        ({"version": 0.2}, "phases: is NoneType"),
        ({"version": 0.2, "phases": {}, "batch": {}}, "batch cannot be carried out"),
        ({"version": 0.2, "phases": {}, "env": {"secrets-manager": {"A": "b"}}}, "secrets-manager cannot be carried"),
        ({"version": 0.2, "phases": {}, "env": {"shell": "powershell.exe"}}, "shell is powershell.exe"),
        ({"version": 0.2, "phases": {}, "env": {"variables": {"A-B": "c"}}}, "'A-B' is no name of a variable"),
        ({"version": 0.2, "phases": {"deploy": {}}}, "deploy cannot be carried out"),
        ({"version": 0.2, "phases": {"build": {"run-as": "me"}}}, "run-as cannot be carried out"),
        ({"version": 0.2, "phases": {"build": {"on-failure": "RETRY"}}}, "on-failure is RETRY"),
        ({"version": 0.2, "phases": {"build": {"commands": [{"echo a": "b"}]}}}, "is not text: put it in quotes"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_its_place(document, says):
    with pytest.raises(WorkError, match=r"buildspec\.yml") as error:
        buildspec.parse(document)
    assert says in str(error.value)


def test_a_commit_without_a_buildspec_is_refused(tmp_path):
    with pytest.raises(WorkError, match=r"the commit has no buildspec\.yml"):
        buildspec.read(tmp_path / "buildspec.yml")


def test_a_file_that_is_no_yaml_is_refused_in_one_line(tmp_path):
    (tmp_path / "buildspec.yml").write_text("phases: [")
    with pytest.raises(WorkError, match="cannot be read") as error:
        buildspec.read(tmp_path / "buildspec.yml")
    assert "\n" not in str(error.value)
