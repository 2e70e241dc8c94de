"""Definitions kept on disk: the SDK's process runs only when something that goes in has changed."""

import subprocess
import sys
from dataclasses import replace

import pytest

from pipelines import builds
from pipelines.builds import Builder, BuildError
from pipelines.settings import Settings

SETTINGS = Settings("r", "bucket", "role", "image", "s3://b/a.py", "s3://b/b.py", "s3://b/c.tar.gz", "sha")


@pytest.fixture
def processes(monkeypatch):
    """Builds by a quick program instead of the SDK; the list of its starts."""
    started = []
    popen = subprocess.Popen

    def start(_command, **options):
        program = "import sys; sys.stdout.write(sys.stdin.read())"
        started.append(popen([sys.executable, "-c", program], **options))
        return started[-1]

    monkeypatch.setattr("pipelines.builds.subprocess.Popen", start)
    return started


def test_the_same_settings_are_built_once(tmp_path, processes):
    first = Builder(tmp_path).definition(SETTINGS)
    assert Builder(tmp_path).definition(SETTINGS) == first
    assert len(processes) == 1


def test_other_settings_are_built_anew(tmp_path, processes):
    first = Builder(tmp_path).definition(SETTINGS)
    assert Builder(tmp_path).definition(replace(SETTINGS, bucket="other")) != first
    assert len(processes) == 2


@pytest.mark.parametrize("damage", [b"", b'{"Version": ', b"\xff\xfe", b"null"])
def test_a_damaged_definition_is_built_anew(tmp_path, processes, damage):
    first = Builder(tmp_path).definition(SETTINGS)
    (remembered,) = tmp_path.rglob("*.json")
    remembered.write_bytes(damage)
    assert [Builder(tmp_path).definition(SETTINGS), Builder(tmp_path).definition(SETTINGS)] == [first, first]
    assert len(processes) == 2


def test_another_sdk_builds_anew(tmp_path, processes, monkeypatch):
    Builder(tmp_path).definition(SETTINGS)
    monkeypatch.setattr(builds, "version", lambda _: "99.0")
    Builder(tmp_path).definition(SETTINGS)
    assert len(processes) == 2


def test_a_process_started_ahead_is_the_one_that_builds(tmp_path, processes):
    builder = Builder(tmp_path)
    builder.prepare()
    builder.definition(SETTINGS)
    assert len(processes) == 1


def test_nothing_is_started_ahead_when_something_is_remembered(tmp_path, processes):
    Builder(tmp_path).definition(SETTINGS)
    Builder(tmp_path).prepare()
    assert len(processes) == 1


def test_closing_ends_a_process_that_was_not_needed(tmp_path, processes):
    builder = Builder(tmp_path)
    builder.prepare()
    builder.close()
    assert processes[0].poll() is not None


def test_a_build_that_fails_is_not_remembered_and_says_its_last_line(tmp_path, monkeypatch):
    popen = subprocess.Popen
    program = "import sys; sys.exit('Traceback\\nValueError: no such step')"
    monkeypatch.setattr(
        "pipelines.builds.subprocess.Popen",
        lambda _command, **options: popen([sys.executable, "-c", program], **options),
    )
    with pytest.raises(BuildError, match="could not be built: ValueError: no such step"):
        Builder(tmp_path).definition(SETTINGS)
    assert not list(tmp_path.rglob("*.json"))
