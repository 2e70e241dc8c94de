"""Directories of jobs that have ended: small ones disappear at once and are removed later, large ones at once."""

import shutil
import threading
from pathlib import Path

import pytest

from localcloud.jobs import removal
from localcloud.jobs.removal import Remover, larger


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Removals that wait for this event."""
    go_on, real = threading.Event(), shutil.rmtree

    def rmtree(*args, **options):
        go_on.wait(120)
        real(*args, **options)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    return go_on


def job(folder: Path, size: int = 10) -> Path:
    directory = folder / "processing" / "job"
    (directory / "algo-1" / "opt" / "ml").mkdir(parents=True)
    (directory / "algo-1" / "opt" / "ml" / "output").write_bytes(b"x" * size)
    return directory


def test_a_small_directory_is_gone_before_it_is_removed(tmp_path: Path, slow: threading.Event) -> None:
    remover = Remover(tmp_path / "removed")
    directory = job(tmp_path)
    remover.remove(directory)
    assert not directory.exists()
    assert len(list((tmp_path / "removed").iterdir())) == 1
    slow.set()
    remover._pool.shutdown()
    assert list((tmp_path / "removed").iterdir()) == []


def test_a_large_directory_is_removed_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "AT_ONCE_BYTES", 100_000)
    directory = job(tmp_path, 300_000)
    Remover(tmp_path / "removed").remove(directory)
    assert not directory.exists()
    assert list((tmp_path / "removed").iterdir()) == []


def test_what_is_not_there_or_comes_after_the_end_is_no_fault(tmp_path: Path) -> None:
    remover = Remover(tmp_path / "removed")
    remover.remove(tmp_path / "never made")
    remover.close()
    directory = job(tmp_path)
    remover.remove(directory)
    assert not directory.exists()
    assert list((tmp_path / "removed").iterdir()) == []


def test_what_a_directory_occupies_counts_all_below_it(tmp_path: Path) -> None:
    directory = job(tmp_path, 300_000)
    (directory / "link").symlink_to("/")
    assert larger(directory, 200_000)
    assert not larger(directory, 600_000)
