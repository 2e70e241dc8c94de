"""How a contained command's end is noticed, also when its spawner or launcher is killed."""

import os
import socket
import threading
from pathlib import Path

import psutil
import pytest

from localcloud.sandbox import process
from localcloud.sandbox.leftovers import NOTE, Identity
from localcloud.sandbox.process import ContainedProcess, Launcher, Launchers, SandboxError
from localcloud.sandbox.sandbox import Place, Sandbox, detect
from tests.localcloud.conftest import gone


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where a job finds its folders, made."""
    made = Place(tmp_path)
    made.make()
    return made


def test_a_spawner_that_is_killed_is_replaced(tmp_path: Path, place: Place) -> None:
    launchers = Launchers()
    plan = Sandbox().plan(["sleep", "2"], {"PATH": os.defpath}, place)
    first = ContainedProcess(plan, tmp_path, lambda *_: None, launchers)
    [spawner] = psutil.Process(Identity.read(tmp_path / NOTE).pid).parents()[:1]
    spawner.kill()
    assert [ContainedProcess(plan, tmp_path, lambda *_: None, launchers).wait(60) for _ in range(2)] == [0, 0]
    assert first.wait(60) == 0
    launchers.close()


def test_a_suspended_spawner_is_replaced(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    launchers = Launchers()
    plan = Sandbox().plan(["true"], {"PATH": os.defpath}, place)
    psutil.Process(launchers._popen.pid).suspend()
    replaced = launchers._replaced

    def patiently(used: socket.socket) -> socket.socket:
        monkeypatch.setattr(process, "_PATIENCE_SECONDS", 60)
        return replaced(used)

    monkeypatch.setattr(process, "_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(launchers, "_replaced", patiently)
    assert ContainedProcess(plan, tmp_path, lambda *_: None, launchers).wait(60) == 0
    monkeypatch.setattr(process, "_PATIENCE_SECONDS", 0.3)
    psutil.Process(launchers._popen.pid).suspend()
    launchers.close()


def test_a_command_whose_launcher_is_suspended_is_killed(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    launchers = Launchers()
    begun = threading.Event()
    plan = detect(tmp_path, launchers).plan(["sh", "-c", "echo; sleep 60"], {"PATH": os.defpath}, place)
    running = ContainedProcess(plan, tmp_path, lambda *_: begun.set(), launchers)
    assert begun.wait(60)
    launcher = psutil.Process(Identity.read(tmp_path / NOTE).pid)
    started = launcher.children(recursive=True)
    for one in (launcher, *started):
        one.suspend()
    monkeypatch.setattr(process, "_PATIENCE_SECONDS", 0.3)

    running.kill()

    assert running.wait(0) == -9
    assert psutil.wait_procs(started, timeout=60)[1] == []
    launchers.close()


def test_a_command_that_nothing_would_watch_is_ended(
    tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    launchers = Launchers()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="no thread can be started"):
            ContainedProcess(Sandbox().plan(["sleep", "60"], {"PATH": os.defpath}, place), tmp_path, print, launchers)

    identity = Identity.read(tmp_path / NOTE)
    assert identity is not None
    assert gone(identity.pid)
    launchers.close()


def test_a_line_that_cannot_be_passed_on_does_not_hide_the_end(tmp_path: Path, place: Place) -> None:
    launchers = Launchers()

    def fail(source: str, text: str) -> None:
        raise ValueError(text)

    plan = Sandbox().plan(["sh", "-c", "echo a; exit 3"], {"PATH": os.defpath}, place)
    assert ContainedProcess(plan, tmp_path, fail, launchers).wait(60) == 3
    launchers.close()


@pytest.mark.parametrize("reaped", [False, True])
def test_a_launcher_that_ends_before_its_plan_is_a_sentence(tmp_path, place, monkeypatch, reaped: bool) -> None:
    launchers = Launchers()
    start = launchers.start

    def killed() -> Launcher:
        launcher = start()
        process = psutil.Process(launcher.pid)
        process.kill()
        launcher.control.recv(1)  # returns when the kernel has closed the other end
        if reaped:
            process.wait(60)
        return launcher

    monkeypatch.setattr(launchers, "start", killed)
    plan = Sandbox().plan(["true"], {"PATH": os.defpath}, place)
    with pytest.raises(SandboxError, match="its launcher ended before it was told what to run"):
        ContainedProcess(plan, tmp_path, lambda *_: None, launchers)
    launchers.close()
