"""A push builds a clean clone of the commit; the remote declines what does not build."""

import os
import subprocess

import pytest

from loadingbay.errors import UsageError, WorkError
from loadingbay.push import source


def git(folder, *arguments, check=True):
    names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **names}
    return subprocess.run(["git", *arguments], cwd=folder, env=environment, check=check, capture_output=True, text=True)


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "file").write_text("committed\n")
    (folder / ".gitignore").write_text(".loadingbay/\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "The subject\n\nThe body")
    return folder


def test_a_name_becomes_the_full_hash_and_the_subject(repository):
    commit = source.resolve(repository, "main")
    assert len(commit.sha) == 40
    assert commit.subject == "The subject"


@pytest.mark.parametrize("name", ["nowhere", "main:file", "--all"])
def test_what_is_no_commit_is_refused_by_name(repository, name):
    with pytest.raises(UsageError, match=name):
        source.resolve(repository, name)


def test_a_folder_that_is_no_repository_is_named(tmp_path):
    with pytest.raises(UsageError, match="is no git repository"):
        source.resolve(tmp_path, "HEAD")


def test_what_is_not_committed_is_counted_and_not_in_the_clone(repository, tmp_path):
    commit = source.resolve(repository, "HEAD")
    (repository / "file").write_text("changed\n")
    (repository / "new").touch()
    assert source.uncommitted(repository) == 2
    source.clone(repository, commit, tmp_path / "clone")
    assert (tmp_path / "clone" / "file").read_text() == "committed\n"
    assert not (tmp_path / "clone" / "new").exists()


def test_a_commit_that_no_branch_names_can_be_built(repository, tmp_path):
    git(repository, "checkout", "--quiet", "--detach")
    git(repository, "commit", "--quiet", "--allow-empty", "-m", "Loose")
    commit = source.resolve(repository, "HEAD")
    git(repository, "checkout", "--quiet", "main")
    source.clone(repository, commit, tmp_path / "clone")
    assert source.resolve(tmp_path / "clone", "HEAD") == commit


@pytest.mark.parametrize(("builds", "taken"), [("true", True), ("exit 3", False)])
def test_the_remote_takes_what_builds_and_declines_what_does_not(repository, tmp_path, builds, taken):
    asked = tmp_path / "asked"
    source.install_remote(
        repository, ["sh", "-c", f'git status > "{tmp_path}/status" && echo "$0" > "{asked}"; {builds}']
    )
    pushed = git(repository, "push", source.REMOTE, "HEAD:main", check=False)
    sha = source.resolve(repository, "HEAD").sha
    assert asked.read_text().strip() == sha
    assert (pushed.returncode == 0) == taken
    there = git(repository, "ls-remote", source.REMOTE, "main").stdout
    assert there.startswith(sha) == taken


def test_options_of_a_push_are_variables_of_the_build(repository, tmp_path):
    source.install_remote(repository, ["sh", "-c", f'printf "%s\\n" "$@" > "{tmp_path}/asked"', "push"])
    git(repository, "push", "-o", "TESTS=lint unit", "-o", "X=$(touch harm)", source.REMOTE, "HEAD:main")
    sha = source.resolve(repository, "HEAD").sha
    assert (tmp_path / "asked").read_text().splitlines() == [
        "--variable", "TESTS=lint unit", "--variable", "X=$(touch harm)", sha
    ]  # fmt: skip
    assert not (repository / "harm").exists()


def test_deleting_a_branch_of_the_remote_builds_nothing(repository, tmp_path):
    source.install_remote(repository, ["sh", "-c", f'echo "$0" >> "{tmp_path}/asked"'])
    git(repository, "push", source.REMOTE, "HEAD:main", "HEAD:other")
    before = (tmp_path / "asked").read_text()
    git(repository, "push", source.REMOTE, ":other")
    assert (tmp_path / "asked").read_text() == before


def test_installing_the_remote_twice_is_once(repository):
    first = source.install_remote(repository, ["true"])
    assert source.install_remote(repository, ["true"]) == first
    assert git(repository, "remote").stdout.split() == [source.REMOTE]


def test_a_remote_of_that_name_that_is_another_is_kept(repository):
    git(repository, "remote", "add", source.REMOTE, "https://example.com/x.git")
    with pytest.raises(WorkError, match=r"the remote local is https://example\.com/x\.git already"):
        source.install_remote(repository, ["true"])
