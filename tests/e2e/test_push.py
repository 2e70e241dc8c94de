"""A push: what fails changes nothing, what goes well leaves a version pending."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from loadingbay.commands import push as command
from loadingbay.target import choose

ROOT = Path(__file__).resolve().parents[2]
# The phases of the project in small: what is pushed here is a repository of one file, its tests are one command.
SPEC = """\
version: 0.2
env:
  shell: bash
  exported-variables: [EXECUTION_ARN]
phases:
  pre_build:
    on-failure: ABORT
    commands:
      - {tests}
  build:
    commands:
      - cd "$PROJECT"
      - bash workflow/image.sh
      - EXECUTION_ARN=$("$PYTHON" -m pipelines start) && export EXECUTION_ARN
"""


@pytest.fixture
def push(bay: Any, story: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Commits a buildspec whose test command is this one, and pushes it."""
    assert story["model_package_arn"]
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "folder", lambda: bay.folder)
    target = choose(bay.environment, bay.folder)

    def commit_and_push(tests: str) -> Result:
        (tmp_path / "buildspec.yml").write_text(SPEC.format(tests=tests))
        names = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "A change"]):
            subprocess.run(["git", *arguments], cwd=tmp_path, env={**os.environ, **names}, check=True)
        # Where a Docker engine answers, the push would build the whole image: that is minutes, and not what is tested.
        no_engine = tmp_path.parent / "no-engine" / "docker"
        no_engine.parent.mkdir(exist_ok=True)
        no_engine.write_text("#!/bin/sh\nexit 1\n")
        no_engine.chmod(0o755)
        path = f"{no_engine.parent}{os.pathsep}{os.environ['PATH']}"
        chosen = {"PROJECT": ROOT, "PYTHON": sys.executable, "PATH": path}
        variables = [word for name, value in chosen.items() for word in ("--variable", f"{name}={value}")]
        return CliRunner().invoke(command.push, variables, obj=lambda: target)

    return commit_and_push


def _state(bay: Any) -> tuple[set[int], int, str]:
    """What a push may change: versions, the number of executions, and the deployed source's hash."""
    sagemaker = bay.client("sagemaker")
    return (
        set(bay.versions()),
        len(sagemaker.list_pipeline_executions(PipelineName="loadingbay")["PipelineExecutionSummaries"]),
        bay.outputs()["SourceHash"],
    )


def test_a_commit_whose_tests_fail_ends_with_their_exit_code(bay: Any, push: Any) -> None:
    before = _state(bay)
    done = push("echo 3 tests failed; exit 5")
    assert done.exit_code == 5, done.output
    assert "3 tests failed" in done.stdout
    assert "PRE_BUILD" in done.stderr
    assert _state(bay) == before


def test_a_commit_that_builds_and_changes_nothing_registers_nothing(bay: Any, push: Any) -> None:
    before = bay.versions()
    executions = _state(bay)[1]
    done = push("echo all tests passed")
    assert done.exit_code == 0, done.output
    assert "no new version" in done.stdout
    assert set(bay.versions()) == set(before)
    assert _state(bay)[1] == executions + 1
