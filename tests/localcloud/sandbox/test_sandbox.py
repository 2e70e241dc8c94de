"""What a contained process sees, reaches and leaves behind, with namespaces and without."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from localcloud.sandbox.homes import MARK, note
from localcloud.sandbox.leftovers import NOTE, Identity
from localcloud.sandbox.ports import free_port
from localcloud.sandbox.process import ContainedProcess, Launchers, SandboxError
from localcloud.sandbox.sandbox import Place, Sandbox, ascii_path, detect, rewrite
from tests.waiting import soon


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/opt/ml", "/job"),
        ("/opt/ml/model", "/job/model"),
        ("--out=/opt/ml/output:/opt/ml/code", "--out=/job/output:/job/code"),
        ('{"dir": "/opt/ml/input"}', '{"dir": "/job/input"}'),
        ("/opt/mlx and s3://b/opt/ml/x and /srv/opt/ml", "/opt/mlx and s3://b/opt/ml/x and /srv/opt/ml"),
    ],
)
def test_paths_are_rewritten_where_there_is_no_namespace(text: str, expected: str) -> None:
    assert rewrite(text, Path("/job")) == expected
    assert rewrite({"/opt/ml": [text, 1, None]}, Path("/job")) == {"/opt/ml": [expected, 1, None]}


LAUNCHERS = Launchers()
FOLDERS = ["plain", "état mütter", 'it\'s "quoted" $HOME', "long" * 50, os.fsdecode(b"not-utf8-\xff")]


@pytest.fixture(params=["namespaces", "rewritten"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    """Both ways for a command to have its own /opt/ml."""
    if request.param == "rewritten":
        return Sandbox()
    found = detect(tmp_path, LAUNCHERS, tmp_path, (Path(sys.prefix),))
    if not found.mounts:
        pytest.skip("this machine allows no namespaces")
    return found


@pytest.fixture
def separate(sandbox: Sandbox) -> Sandbox:
    """A sandbox with namespaces."""
    if not sandbox.mounts:
        pytest.skip("without namespaces a process of the same user is not out of reach")
    return sandbox


def run(
    sandbox: Sandbox, folder: Path, command: list[str], variables: dict[str, str] | None = None, **options: object
) -> tuple[ContainedProcess, list[tuple[str, str]]]:
    """Start a command; the process and the lines that it says."""
    place = Place(folder / "algo-1")
    if not place.ml.exists():
        place.make()
    lines: list[tuple[str, str]] = []
    variables = {"PATH": os.defpath, **sandbox.own_variables(place), **(variables or {})}
    plan = sandbox.plan(command, variables, place, **options)  # type: ignore[arg-type]
    return ContainedProcess(plan, place.directory, lambda *line: lines.append(line), LAUNCHERS), lines


def say(sandbox: Sandbox, folder: Path, script: str, **variables: str) -> list[str]:
    """What a shell script prints."""
    process, lines = run(sandbox, folder, ["sh", "-c", script], variables)
    process.wait(60)
    return [text for _, text in lines]


def until(lines: list[tuple[str, str]]) -> str:
    """The first line, once it is there."""
    return soon(lambda: lines)[0][1]


def alive_with(marker: str) -> list[int]:
    """The processes of this machine whose command line holds a text."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def gone(marker: str) -> bool:
    """Whether no process with the marker in its command is left soon."""
    return soon(lambda: not alive_with(marker))


def memory(process: int) -> bytes:
    """What a process of this user can write to in its own memory."""
    held = b""
    with Path(f"/proc/{process}/mem").open("rb", 0) as file:
        for line in Path(f"/proc/{process}/maps").read_text(encoding="utf-8").splitlines():
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if " rw-p " in line:
                file.seek(begin)
                held += file.read(end - begin)
    return held


def marker() -> str:
    """A number of seconds to sleep that no other process of this machine sleeps for."""
    return f"600.{time.time_ns()}"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_command_sees_its_own_opt_ml(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    script = "import sys; open(sys.argv[1], 'w').write('mine'); print('out'); print('err', file=sys.stderr)"
    process, lines = run(sandbox, folder, [sys.executable, "-c", script, "/opt/ml/result"])
    assert process.wait(60) == 0, lines
    assert (folder / "algo-1" / "opt" / "ml" / "result").read_text() == "mine"
    assert sorted(lines) == [("stderr", "err"), ("stdout", "out")]


def test_a_command_that_ignores_sigterm_is_killed_with_its_children(sandbox: Sandbox, tmp_path: Path) -> None:
    seconds = marker()
    script = f"""
import os, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["setsid", "sh", "-c", "trap '' TERM; sleep {seconds} & exit"], env={{"PATH": os.defpath}}).wait()
print("started", flush=True)
time.sleep(600)
"""
    process, lines = run(sandbox, tmp_path, [sys.executable, "-c", script])
    until(lines)
    assert alive_with(seconds)
    process.terminate(0.2)
    assert process.wait(60) == -9
    assert gone(seconds)


def test_what_a_command_leaves_behind_ends_with_it(sandbox: Sandbox, tmp_path: Path) -> None:
    seconds = marker()
    process, _ = run(sandbox, tmp_path, ["sh", "-c", f"setsid sleep {seconds} & exit 3"])
    assert process.wait(60) == 3
    assert alive_with(seconds) == []


def test_terminate_lets_a_command_end_by_itself(sandbox: Sandbox, tmp_path: Path) -> None:
    script = "trap 'echo ending; exit 5' TERM; echo ready; while true; do sleep 0.05; done"
    process, lines = run(sandbox, tmp_path, ["sh", "-c", script])
    until(lines)
    process.terminate(20)
    assert process.wait(60) == 5
    assert ("stdout", "ending") in lines


def test_terminate_leaves_time_to_what_a_command_without_a_handler_started(sandbox: Sandbox, tmp_path: Path) -> None:
    child = "trap 'sleep 0.2; echo saved; exit 0' TERM; echo ready; while true; do sleep 0.02; done"
    process, lines = run(sandbox, tmp_path, ["sh", "-c", 'sh -c "$0" & wait; exit 7', child])
    until(lines)
    process.terminate(20)
    assert process.wait(60) == -signal.SIGTERM
    assert ("stdout", "saved") in lines


def test_a_command_that_ends_in_order_does_not_wait_for_the_rest(sandbox: Sandbox, tmp_path: Path) -> None:
    seconds = marker()
    script = f"trap 'exit 5' TERM; (trap '' TERM; exec sleep {seconds}) & echo ready; while true; do sleep 0.02; done"
    process, lines = run(sandbox, tmp_path, ["sh", "-c", script])
    until(lines)
    process.terminate(60)
    assert process.wait(60) == 5
    assert gone(seconds)


def test_a_command_without_a_handler_ends_at_terminate(sandbox: Sandbox, tmp_path: Path) -> None:
    process, lines = run(sandbox, tmp_path, ["sh", "-c", f"echo ready; exec sleep {marker()}"])
    until(lines)
    process.terminate(20)
    assert process.wait(60) == -signal.SIGTERM


def test_no_process_outlives_a_launcher_that_is_killed(sandbox: Sandbox, tmp_path: Path) -> None:
    seconds = marker()
    process, lines = run(sandbox, tmp_path, ["sh", "-c", f"setsid sleep {seconds} & echo ready; wait"])
    until(lines)
    identity = Identity.read(tmp_path / "algo-1" / NOTE)
    assert identity is not None
    os.kill(identity.pid, signal.SIGKILL)
    assert process.wait(60) == -9
    assert gone(seconds)


def test_no_process_outlives_the_one_that_started_it(sandbox: Sandbox, tmp_path: Path) -> None:
    seconds = marker()
    script = f"""
import sys, time
from pathlib import Path
from localcloud.sandbox.process import ContainedProcess, Launchers
from localcloud.sandbox.sandbox import Place, Sandbox
place = Place(Path(sys.argv[1]))
place.make()
plan = Sandbox({sandbox.namespaces!r}).plan(["sh", "-c", "setsid sleep {seconds} & echo up; wait"],
    {{"PATH": "/usr/bin:/bin"}}, place)
ContainedProcess(plan, place.directory, lambda source, text: print(text, flush=True), Launchers()).wait()
"""
    command = [sys.executable, "-c", script, str(tmp_path / "algo-1")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        assert alive_with(seconds)
        parent.kill()
    assert gone(seconds)


def test_no_process_outside_is_seen_or_signalled(separate: Sandbox, tmp_path: Path) -> None:
    script = "kill -9 $PPID; kill -9 1; kill -9 -1; cat /proc/[0-9]*/comm"
    names = [text for text in say(separate, tmp_path, script) if ": " not in text]
    assert set(names) <= {"", "python", "python3", "python3.11", "sh", "cat"}, names


def test_the_home_of_the_cloud_is_out_of_reach(separate: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "sagemaker.sqlite").write_text("secret")
    for attempt in (
        f"cat '{tmp_path}'/*",
        f"umount -l '{tmp_path}'; cat '{tmp_path}/sagemaker.sqlite'",
        f"unshare -Urm sh -c \"umount -l '{tmp_path}'; cat '{tmp_path}/sagemaker.sqlite'\"",
        f"cat /proc/1/root/'{tmp_path}'/sagemaker.sqlite",
        f"cat /opt/ml/../../../sagemaker.sqlite '{tmp_path}'/algo-1/../sagemaker.sqlite",
        "cat /proc/*/fd/*/sagemaker.sqlite",
    ):
        assert "secret" not in " ".join(say(separate, tmp_path, attempt)), attempt


def test_the_homes_of_other_clouds_are_out_of_reach(separate: Sandbox, tmp_path: Path) -> None:
    own, other, registry = tmp_path / "own", tmp_path / "other ü", tmp_path / "homes"
    sandbox = Sandbox(separate.namespaces, own, (other / "images",), homes=registry)
    for home in (own, other, other / "inner"):
        home.mkdir()
        (home / MARK).write_text("secret")
    (other / "images").mkdir()
    (other / "images" / "tool").write_text("here")
    # Noted after the sandbox was made: another cloud may start at any time.
    note(registry, other)
    note(registry, other / "inner")
    said = say(sandbox, own, f"ls '{other}'; cat '{other}'/{MARK} '{other}'/inner/{MARK}; cat '{other}'/images/tool")
    assert "here" in said
    assert "secret" not in " ".join(said)


def test_what_a_command_needs_of_the_home_stays_visible(separate: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "images" / "bin").mkdir(parents=True)
    (tmp_path / "images" / "bin" / "tool").write_text("here")
    with_images = Sandbox(separate.namespaces, tmp_path, (tmp_path / "images",))
    assert say(with_images, tmp_path, f"cat {tmp_path}/images/bin/tool") == ["here"]


def test_variables_apply_to_the_command_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    trap = tmp_path / "bin" / "mount"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/trapped\n")
    trap.chmod(0o755)
    preload = {
        "LD_PRELOAD": "/nowhere.so",
        "PYTHONHOME": "/nowhere",
        "IFS": "o",
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
    }
    process, lines = run(sandbox, tmp_path, ["/usr/bin/env"], preload)
    assert process.wait(60) == 0
    said = dict(text.split("=", 1) for source, text in lines if source == "stdout")
    assert {name: said[name] for name in ("LD_PRELOAD", "PYTHONHOME", "IFS")} == {
        name: preload[name] for name in ("LD_PRELOAD", "PYTHONHOME", "IFS")
    }
    assert not (tmp_path / "trapped").exists()


def test_no_variable_is_seen_in_a_command_line(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = f"secret-{time.time_ns()}"
    process, lines = run(sandbox, tmp_path, ["sh", "-c", "echo up; sleep 600"], {"KEY": secret})
    until(lines)
    assert alive_with(secret) == []
    process.kill()


def test_a_command_that_is_not_there_ends_with_127(sandbox: Sandbox, tmp_path: Path) -> None:
    process, lines = run(sandbox, tmp_path, ["no-such-command"])
    assert process.wait(60) == 127
    assert lines == [("stderr", "'no-such-command' cannot be started: No such file or directory")]


def test_what_the_machine_refuses_is_not_the_commands_fault(separate: Sandbox, tmp_path: Path) -> None:
    process, _ = run(separate, tmp_path, ["true"], mounts={tmp_path / "algo-1": "/no/such/place"})
    with pytest.raises(SandboxError, match=r"cannot be mounted on /no/such/place: No such file"):
        process.wait(60)


def test_a_null_byte_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="null byte"):
        run(sandbox, tmp_path, ["true"], {"A": "b\0c"})


REACH = """
import socket, sys
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
    print("reached")
except OSError as error:
    print(error.strerror)
"""


def test_a_command_alone_reaches_nothing_on_the_machine(sandbox: Sandbox, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-c", REACH, str(server.getsockname()[1])]
        process, lines = run(sandbox, tmp_path, command, network="alone")
        assert process.wait(60) == 0
    said = [text for _, text in lines]
    # A machine that cannot keep it apart says so.
    shared = ["gave the process no network of its own" in text for text in said[:1]] == [True]
    assert said[-1] == ("reached" if shared else "Connection refused"), said
    assert shared == (not sandbox.mounts) or os.geteuid() != 0


def test_the_port_of_a_server_that_is_alone_is_passed_on(sandbox: Sandbox, tmp_path: Path) -> None:
    port = free_port()
    Place(tmp_path / "algo-1").make()
    (tmp_path / "algo-1" / "opt" / "ml" / "page").write_bytes(b"x" * 1_000_000)
    serve = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    process, _ = run(sandbox, tmp_path, serve, network=str(port))

    def page() -> bytes:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/page", trust_env=False, timeout=60).content
        except httpx.HTTPError:
            return b""

    assert soon(page) == b"x" * 1_000_000
    process.terminate(20)
    assert process.wait(60) == -signal.SIGTERM


def test_without_namespaces_too_the_path_of_opt_ml_is_ascii(tmp_path: Path) -> None:
    home = tmp_path / "état"
    home.mkdir()
    sandbox = Sandbox("", home, (), ascii_path(home))
    seen = say(sandbox, home, 'echo "$HOME"; ls -d /opt/ml/home; test /opt/ml/home -ef "$HOME" && echo same')
    assert [path.isascii() for path in seen] == [True, True, True]
    assert seen[2] == "same"


def test_the_host_name_is_the_hosts(separate: Sandbox, tmp_path: Path) -> None:
    process, lines = run(separate, tmp_path, ["hostname"], hostname="algo-1")
    assert process.wait(60) == 0
    assert lines == [("stdout", "algo-1")]


def test_a_command_has_no_descriptors_but_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    others = [run(sandbox, tmp_path / name, ["sleep", "600"])[0] for name in "ab"]
    script = "import os; print(sorted(os.readlink(f'/proc/self/fd/{n}')[:5] for n in os.listdir('/proc/self/fd')[:-1]))"
    process, lines = run(sandbox, tmp_path, [sys.executable, "-c", script])
    assert process.wait(60) == 0
    assert lines == [("stdout", "['/dev/', 'pipe:', 'pipe:']")]
    for other in others:
        other.kill()


def test_a_command_begins_with_no_signal_blocked_or_ignored(sandbox: Sandbox, tmp_path: Path) -> None:
    said = dict(line.split(":\t") for line in say(sandbox, tmp_path, "exec cat /proc/self/status") if "Sig" in line)
    ours = sum(1 << number - 1 for number in signal.valid_signals())  # not those that the C library keeps to itself
    assert {name: int(said[name], 16) & ours for name in ("SigBlk", "SigIgn", "SigCgt")} == {
        "SigBlk": 0,
        "SigIgn": 0,
        "SigCgt": 0,
    }


def test_a_launcher_holds_no_variable_of_another_command(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = f"secret-{time.time_ns()}"
    first, first_lines = run(sandbox, tmp_path / "a", ["sh", "-c", "echo up; sleep 600"], {"KEY": secret})
    until(first_lines)
    second, second_lines = run(sandbox, tmp_path / "b", ["sh", "-c", "echo up; sleep 600"])
    until(second_lines)
    identities = [Identity.read(tmp_path / name / "algo-1" / NOTE) for name in "ab"]
    held = [identity is not None and secret.encode() in memory(identity.pid) for identity in identities]
    assert held == [True, False]
    first.kill()
    second.kill()
