"""Environments are made once, whole or not at all."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localcloud.images.catalog import Rule, UnknownImageError
from localcloud.images.environments import Images, InstallError, Runtime, installer_variables

RULE = Rule("tiny", "tiny:.*")


def images(folder: Path, *rules: Rule, fallback: Runtime | None = None) -> Images:
    return Images(folder / "environments", rules, fallback, installer_variables(os.environ))


def test_two_jobs_that_need_it_at_once_make_it_once(tmp_path: Path) -> None:
    known, said = images(tmp_path, RULE), list[str]()

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: known.prepare("tiny:1", said.append, threading.Event()), range(2)))

    assert made[0] == made[1]
    assert len([line for line in said if line.startswith("Making the environment tiny")]) == 1
    assert (made[0].environment / "bin" / "python").exists()
    assert [there for _, _, there in known.listed()] == [True]


def test_what_cannot_be_installed_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    known = images(tmp_path, Rule("broken", ".*", (f"broken @ file://{tmp_path}/broken",)))

    with pytest.raises(InstallError, match=r"The environment broken could not be made: .*broken") as failure:
        known.prepare("any", lambda line: None, threading.Event())

    assert "\n" not in str(failure.value)
    assert [path.suffix for path in (tmp_path / "environments").iterdir()] == [".lock"]


def test_a_half_made_environment_is_made_anew(tmp_path: Path) -> None:
    known = images(tmp_path, RULE)
    _, place, _ = next(known.listed())
    (place / "lib").mkdir(parents=True)
    (place / "lib" / "half").touch()

    known.prepare("tiny:1", lambda line: None, threading.Event())

    assert not (place / "lib" / "half").exists()


def test_a_stopped_job_stops_the_installer(tmp_path: Path) -> None:
    stopped = threading.Event()
    stopped.set()

    with pytest.raises(InstallError, match="was stopped"):
        images(tmp_path, RULE).prepare("tiny:1", lambda line: None, stopped)

    assert [path.suffix for path in (tmp_path / "environments").iterdir()] == [".lock"]


def test_without_a_rule_the_fallback_stands_for_an_image(tmp_path: Path) -> None:
    own = Runtime(tmp_path, tmp_path)

    images(tmp_path, fallback=own).check("unknown")
    assert images(tmp_path, fallback=own).prepare("unknown", print, threading.Event()) is own
    with pytest.raises(UnknownImageError):
        images(tmp_path).check("unknown")


def test_the_installer_gets_no_credentials() -> None:
    shell = {"PATH": "/bin", "UV_INDEX_URL": "https://index", "AWS_SECRET_ACCESS_KEY": "x", "https_proxy": "p"}

    assert installer_variables(shell) == {"PATH": "/bin", "UV_INDEX_URL": "https://index", "https_proxy": "p"}
