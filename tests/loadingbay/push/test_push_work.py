"""A push: what the build sees of the machine and of the cloud, and what is left of it."""

import os
import subprocess

import pytest
from click.testing import CliRunner

from loadingbay.commands import push as command
from loadingbay.errors import UsageError, WorkError
from loadingbay.push import source, work
from loadingbay.target import Target, choose
from tests.loadingbay.push.test_push_source import git


@pytest.fixture
def repository(tmp_path):
    """A repository, and a function that commits a buildspec to it."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")

    def commit(buildspec):
        (folder / work.FILE).write_text(buildspec)
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", "A change")
        return source.resolve(folder, "HEAD")

    folder.joinpath("README").touch()
    return folder, commit


def _build(folder, commit, tmp_path, **options):
    """Build the commit with a machine's and a person's variables."""
    return work.build(
        choose({"LOADINGBAY_PORT": "5001"}, tmp_path), folder, commit,
        machine={"PATH": os.environ["PATH"], "AWS_PROFILE": "production", "CIFAR100_ARCHIVE": "/x", "LANG": "C.UTF-8"},
        overrides={"GIVEN": "by hand"}, logs=tmp_path / "logs", log=lambda _: None, **options,
    )  # fmt: skip


def test_a_build_sees_its_cloud_and_commit_and_no_other_choice(repository, tmp_path):
    folder, commit = repository
    chosen = commit("version: 0.2\nphases: {build: {commands: [env]}}\n")
    built = _build(folder, chosen, tmp_path)
    seen = dict(line.split("=", 1) for line in built.log.read_text().splitlines() if "=" in line)
    assert built.exit_code == 0
    assert seen["AWS_ENDPOINT_URL"] == "http://127.0.0.1:5001"
    assert seen["AWS_ACCESS_KEY_ID"] == "000000000000"
    assert seen["CODEBUILD_RESOLVED_SOURCE_VERSION"] == chosen.sha
    assert seen["CODEBUILD_LOCAL_BUILD"] == "true"
    assert seen["CODEBUILD_SRC_DIR"] == seen["PWD"]
    assert seen["GIVEN"] == "by hand"
    assert not {"AWS_PROFILE", "CIFAR100_ARCHIVE"} & set(seen)


def test_the_log_stays_and_the_clone_goes(repository, tmp_path):
    folder, commit = repository
    built = _build(folder, commit("version: 0.2\nphases: {install: {commands: [pwd, exit 6]}}\n"), tmp_path)
    log = built.log.read_text()
    assert (built.exit_code, built.failed) == (6, "INSTALL: exit 6")
    assert "Entering phase INSTALL" in log
    (place,) = [line for line in log.splitlines() if line.startswith("/")]
    assert not os.path.exists(place)  # noqa: PTH110


def test_a_commit_without_a_buildspec_builds_nothing(repository, tmp_path):
    folder, _ = repository
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "none")
    with pytest.raises(WorkError, match=r"no buildspec\.yml"):
        _build(folder, source.resolve(folder, "HEAD"), tmp_path)


@pytest.fixture
def untrained(monkeypatch, repository):
    """The command in a repository of its own, with a local cloud that answers."""
    folder, commit = repository
    monkeypatch.setattr(command, "ROOT", folder)
    monkeypatch.setattr(command, "require_running", lambda _: None)
    monkeypatch.setattr(command, "folder", lambda: folder)
    return commit


def _push(target, *arguments):
    return CliRunner().invoke(command.push, arguments, obj=lambda: target)


def test_a_push_ends_with_the_exit_code_of_the_failed_phase_named(untrained, tmp_path):
    untrained("version: 0.2\nphases: {pre_build: {commands: [echo testing, exit 42]}}\n")
    done = _push(choose({}, tmp_path), "--variable", "INPUT_DATA=s3://data/")
    assert done.exit_code == 42
    assert "testing\n" in done.stdout
    assert "the build ended in PRE_BUILD: exit 42 with exit code 42; no version was registered" in done.stderr


def test_a_push_that_starts_no_execution_says_so(untrained, tmp_path):
    untrained("version: 0.2\nphases: {build: {commands: ['true']}}\n")
    done = _push(choose({}, tmp_path), "--variable", "INPUT_DATA=s3://data/")
    assert done.exit_code == 0
    assert "no new version" in done.stdout


def test_on_aws_a_push_is_a_git_push(untrained):
    done = _push(Target("aws", None, "eu-central-1"))
    assert isinstance(done.exception, UsageError)
    assert "workflow/cicd.yaml" in str(done.exception)


@pytest.mark.parametrize("text", ["TESTS", "A-B=c"])
def test_a_variable_that_is_none_is_refused(untrained, tmp_path, text):
    untrained("version: 0.2\nphases: {}\n")
    done = _push(choose({}, tmp_path), "--variable", text)
    assert done.exit_code == 2
    assert text in done.output


def test_the_remote_runs_this_program(untrained, tmp_path, repository):
    done = _push(choose({}, tmp_path), "--install-remote")
    hook = repository[0] / ".loadingbay" / "push.git" / "hooks" / "pre-receive"
    assert done.exit_code == 0
    assert ' push "$@" "$after"' in hook.read_text()
    subprocess.run(["sh", "-n", hook], check=True)
