"""Commands in pages, templates and messages exist, and so do their options: ours, those of `aws`, targets of `make`."""

import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
from awscli.clidriver import create_clidriver

from loadingbay.cli import cli as loadingbay
from localcloud.__main__ import main as localcloud
from pipelines.__main__ import main as pipelines
from tests.docs.tracked import ROOT, tracked

# Records and logs tell what was; tests and benchmarks run what they name.
TEXTS = [
    name
    for name in tracked()
    if re.search(r"\.(md|py|ya?ml|sh|html)$|(^|/)Makefile$", name)
    and not re.match(r"CHANGELOG\.md|docs/(log\.md|decisions/)|tests/|bench/", name)
]
OURS: dict[str, click.Command] = {
    "loadingbay": loadingbay,
    "localcloud": localcloud,
    "python -m localcloud": localcloud,
    "python -m pipelines": pipelines,
}
# Behind a backtick, at the start of a line, behind the folder of an environment's commands, or in a comment.
COMMAND = re.compile(
    rf"(?:`|\.venv/bin/|^[ #]*|or: )({'|'.join([*OURS, 'aws', 'make'])}) ([^`\n|;&<>()#]*)", re.MULTILINE
)
# The tools environment has version 1 of the `aws` command; who signs in by a browser has version 2.
OF_VERSION_2 = {"aws sso login"}


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """(program, words after it) of each command in a text; lines that are continued, and strings, count as one."""
    joined = re.sub(r'\\\n[ #]*|"\s*\n\s*f?"', " ", text)
    for program, rest in COMMAND.findall(joined):
        words = re.sub(r"""\{[^}]*\}|"[^"]*"|'[^']*'""", "X", rest).split()
        if words and words[0] not in {"X", "[OPTIONS]"} and f"{program} {' '.join(words)}" not in OF_VERSION_2:
            yield program, words


def wrong(program: str, words: list[str]) -> str:
    """What of a command does not exist; "" when all of it does."""
    if program == "make":
        return _wrong_target(words)
    if program == "aws":
        return _wrong_for_aws(words)
    return _wrong_option(OURS[program], words)


def _wrong_option(command: click.Command, words: list[str]) -> str:
    """The first word that is neither a command of ours nor an option of the command before it."""
    options: dict[str, Any] = {"-h": None, "--help": None}
    options |= {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
    skip = False
    for place, word in enumerate(words):
        if skip:
            skip = False
        elif word.startswith("-"):
            name = word.split("=")[0].rstrip(".,:")
            if name not in options:
                return word
            skip = "=" not in word and not getattr(options[name], "is_flag", True)
        elif isinstance(command, click.Group):
            name = word.rstrip(".,:")
            return _wrong_option(command.commands[name], words[place + 1 :]) if name in command.commands else word
    return ""


def _wrong_target(words: list[str]) -> str:
    targets = re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    return next((word for word in words if re.fullmatch(r"[a-z0-9-]+", word) and word not in targets), "")


AWS = create_clidriver()


def _wrong_for_aws(words: list[str]) -> str:
    """The first word that the `aws` command of the tools environment does not know: service, operation or option."""
    commands: dict[str, Any] = AWS.create_help_command().command_table
    service, operation, *rest = [*words, "", ""]
    if service not in commands:
        return service
    table: dict[str, Any] = commands[service].create_help_command().command_table
    if operation not in table:
        return operation
    known = {f"--{name}" for name in (*table[operation].arg_table, *AWS.create_help_command().arg_table)}
    return next((word for word in rest if word.startswith("--") and word.split("=")[0] not in known), "")


@pytest.mark.parametrize("name", TEXTS)
def test_a_command_and_its_options_exist(name):
    found = commands((ROOT / name).read_text("utf-8"))
    assert {f"{program} {' '.join(words)}": word for program, words in found if (word := wrong(program, words))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "`loadingbay explain` says why",
        "`.venv/bin/loadingbay run --epoch 3`",
        "`aws sagemaker list-endpoint`",
        "```\naws lambda invoke --function-name f --cli-binary-format raw\n```",
        "`make runs`",
        "loadingbay logs Train   # or: aws logs tail /aws/sagemaker/TrainingJobs",
        '"the table: `python -m pipelines "\n    "parameter`"',
    ],
)
def test_what_does_not_exist_is_found(text):
    assert [wrong(program, words) for program, words in commands(text)] not in ([], [""])


def test_make_clean_removes_all_that_git_ignores() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nclean:")[2]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    words = recipe.split()
    assert [name for name in ignored if name.rstrip("/") not in words] == []
