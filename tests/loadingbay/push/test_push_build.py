"""Phases run as in CodeBuild: one state for all commands, the first failure ends them with its exit code."""

import os
import signal
import sys
import threading

import psutil
import pytest

from loadingbay.push import buildspec
from loadingbay.push.build import Build
from tests.waiting import soon


class Run:
    """What a build of these phases printed, said and left."""

    def __init__(self, folder, phases, *, shell="bash", env=None, environment=None):
        (folder / "source").mkdir()
        self.printed, self.said = b"", []
        plan = buildspec.parse({"version": 0.2, "env": {"shell": shell, **(env or {})}, "phases": phases})
        self.build = Build(
            plan, folder / "source", folder / "state", {"PATH": os.environ["PATH"], **(environment or {})},
            log=self._print, say=self.said.append,
        )  # fmt: skip

    def _print(self, printed):
        self.printed += printed

    def go(self):
        self.code = self.build.run()
        return self

    @property
    def lines(self):
        return self.printed.decode().splitlines()


@pytest.fixture
def run(tmp_path):
    return lambda phases, **options: Run(tmp_path, phases, **options).go()


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_folder_and_exported_variables_go_from_phase_to_phase(run, shell):
    done = run(
        {
            "install": {"commands": ["mkdir inner", "cd inner", "export WORD='two words \"quoted\"'", "PRIVATE=1"]},
            "build": {"commands": ['echo "$(basename "$PWD") $WORD ${PRIVATE:-unset}"']},
        },
        shell=shell,
    )
    assert done.code == 0
    assert done.lines == ['inner two words "quoted" unset']


def test_the_exit_code_is_that_of_the_first_command_that_failed(run):
    done = run({"pre_build": {"commands": ["exit 7", "echo never"]}, "build": {"commands": ["echo never"]}})
    assert done.code == 7
    assert done.lines == []
    assert done.build.failed == "PRE_BUILD: exit 7"
    assert any(text.startswith("Phase complete: PRE_BUILD State: FAILED") for text in done.said)


def test_set_e_in_one_command_ends_that_command_and_not_the_next(run):
    done = run({"build": {"commands": ["set -e\ntrue", "false || echo after", "set -e\nfalse\necho never"]}})
    assert (done.code, done.lines) == (1, ["after"])


def test_finally_runs_after_a_failure_and_the_failure_stays(run):
    done = run({"install": {"commands": ["exit 3"], "finally": ["echo tidied; exit 9"]}})
    assert (done.code, done.lines) == (3, ["tidied"])


def test_a_finally_that_fails_fails_its_phase(run):
    done = run({"install": {"commands": ["true"], "finally": ["exit 9"]}, "build": {"commands": ["echo never"]}})
    assert (done.code, done.lines) == (9, [])


def test_post_build_runs_after_a_build_that_failed_and_knows_it(run):
    phases = {
        "build": {"commands": ["exit 4"]},
        "post_build": {"commands": ["echo $CODEBUILD_BUILD_SUCCEEDING $CODEBUILD_LAST_EXIT"]},
    }
    done = run(phases)
    assert (done.code, done.lines) == (4, ["0 4"])


def test_post_build_does_not_run_after_a_build_that_aborts(run):
    phases = {"build": {"commands": ["exit 4"], "on-failure": "ABORT"}, "post_build": {"commands": ["echo never"]}}
    assert run(phases).lines == []


def test_after_a_phase_that_may_fail_the_rest_runs_and_the_build_fails(run):
    phases = {"install": {"commands": ["exit 5"], "on-failure": "CONTINUE"}, "build": {"commands": ["echo on"]}}
    done = run(phases)
    assert (done.code, done.lines) == (5, ["on"])


def test_a_build_that_goes_well_knows_it(run):
    assert run({"build": {"commands": ["echo $CODEBUILD_BUILD_SUCCEEDING"]}}).lines == ["1"]


def test_the_projects_variables_win_over_those_of_the_file(run):
    done = run({"build": {"commands": ["echo $A $B"]}}, env={"variables": {"A": "file", "B": "file"}},
               environment={"A": "project"})  # fmt: skip
    assert done.lines == ["project file"]


def test_exported_values_are_those_at_the_end(run):
    done = run(
        {"build": {"commands": ["export ARN='arn:1'", "export ARN='a=b\nc'"]}},
        env={"exported-variables": ["ARN", "NEVER"]},
    )
    assert done.build.exported() == {"ARN": "a=b\nc"}


def test_what_is_printed_comes_while_the_command_runs(tmp_path):
    first, waited = threading.Event(), tmp_path / "go on"
    phases = {"build": {"commands": [f"echo first >&2; while [ ! -e '{waited}' ]; do sleep 0.01; done; echo last"]}}
    run = Run(tmp_path, phases)

    def log(printed):
        run._print(printed)
        first.set()

    run.build.log = log
    thread = threading.Thread(target=run.go)
    thread.start()
    assert first.wait(60)
    assert run.lines == ["first"]
    waited.touch()
    thread.join(60)
    assert run.lines == ["first", "last"]


def test_a_process_that_a_command_leaves_behind_is_not_awaited(run, tmp_path):
    done = run({"build": {"commands": [f"sleep 60 & echo $! > '{tmp_path}/pid'; echo done"]}})
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert done.lines == ["done"]


def test_an_interrupted_build_leaves_no_process(tmp_path):
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    run = Run(tmp_path, {"build": {"commands": [f"'{sys.executable}' -c '{program}'"]}})
    printed = []

    def interrupt(line):
        printed.append(line)
        raise KeyboardInterrupt

    run.build.log = interrupt
    with pytest.raises(KeyboardInterrupt):
        run.go()
    assert soon(lambda: not psutil.pid_exists(int(printed[0])))


def test_a_second_interrupt_leaves_no_process_that_ignores_the_first(tmp_path, monkeypatch):
    program = (
        "import os, signal, time; signal.signal(2, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(60)"
    )
    run = Run(tmp_path, {"build": {"commands": [f"'{sys.executable}' -c '{program}'"]}})
    printed = []

    def interrupt(line=b"", *_):
        printed.append(line)
        raise KeyboardInterrupt

    run.build.log = interrupt
    monkeypatch.setattr("loadingbay.push.build.select.select", interrupt)  # while the command may end by itself
    with pytest.raises(KeyboardInterrupt):
        run.go()
    assert len(printed) == 2
    assert soon(lambda: not psutil.pid_exists(int(printed[0])))


def test_an_interrupt_after_a_command_ended_signals_only_what_it_left(tmp_path, monkeypatch):
    run = Run(tmp_path, {"build": {"commands": [f"sleep 60 & echo $! > '{tmp_path}/pid'"]}})
    signalled = []

    def kill(group, number):
        # Its number is the ended command's as long as nobody collects it: no other process can have been given it.
        assert os.waitid(os.P_PID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        signalled.append(number)
        real(group, number)

    def interrupt(process):
        process.stdout.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        raise KeyboardInterrupt

    real = os.killpg
    monkeypatch.setattr(os, "killpg", kill)
    monkeypatch.setattr(run.build, "_stream", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.go()
    assert signalled == [signal.SIGINT, signal.SIGKILL]
    left = psutil.Process(int((tmp_path / "pid").read_text()))
    assert soon(lambda: not left.is_running() or left.status() == psutil.STATUS_ZOMBIE)
