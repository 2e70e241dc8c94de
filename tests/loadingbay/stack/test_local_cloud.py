"""Starting, finding and stopping the daemon; a small program stands for the local cloud."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from loadingbay.errors import WorkError
from loadingbay.stack import local_cloud
from loadingbay.target import Target
from localcloud.clients import daemon
from localcloud.sandbox.leftovers import Identity
from tests.free_ports import free_port

HEALTHY = """
import http.server, json, os, sys
home, port = sys.argv[1], int(sys.argv[2])
started = open("/proc/self/stat").read().rpartition(")")[2].split()[19]
with open(f"{home}/localcloud.pid", "w") as note:
    note.write(f"{os.getpid()} {started} {open('/proc/sys/kernel/random/boot_id').read()}")
with open(f"{home}/endpoint", "w") as note:
    note.write(f"http://127.0.0.1:{port}")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"status": "ok", "pid": os.getpid(), "home": home, "port": port}).encode()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def target(tmp_path):
    port = free_port()
    return Target("local", f"http://127.0.0.1:{port}", "us-east-1", tmp_path / ".loadingbay" / "cloud", port)


@pytest.fixture
def program(monkeypatch, target, request):
    """What is started instead of the local cloud, with home and port as its arguments."""
    popen = subprocess.Popen
    started = []

    def use(text):
        def start(command, **options):
            arguments = [command[command.index("--home") + 1], command[command.index("--port") + 1]]
            options["cwd"] = None
            started.append(popen([sys.executable, "-c", text, *arguments], **options))
            return started[-1]

        monkeypatch.setattr("localcloud.clients.daemon.subprocess.Popen", start)

    yield use
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """What is healthy may take its time to say so."""
    monkeypatch.setattr(local_cloud, "_TIMEOUT", 60.0)


@pytest.fixture(autouse=True)
def image_env(tmp_path, monkeypatch):
    python = tmp_path / ".venv-image" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(local_cloud, "ROOT", tmp_path)


def test_it_is_started_once_and_found_then(target, program):
    program(HEALTHY)
    assert local_cloud.start(target) is True
    assert local_cloud.start(target) is False
    assert Path(local_cloud.running(target)["home"]) == target.home


def test_it_is_a_session_of_its_own_so_that_ctrl_c_is_not_for_it(target, program):
    program(HEALTHY)
    local_cloud.start(target)
    assert os.getsid(local_cloud.running(target)["pid"]) != os.getsid(0)


def test_a_cloud_that_enforces_iam_is_started_with_that_option(target, program, monkeypatch):
    program("import sys; sys.exit('started')")
    commands = []
    popen = subprocess.Popen
    monkeypatch.setattr(
        "localcloud.clients.daemon.subprocess.Popen",
        lambda command, **o: commands.append(command) or popen(command, **o),
    )
    for enforce_iam in (True, False):
        with pytest.raises(WorkError, match="started"):
            local_cloud.start(replace(target, enforce_iam=enforce_iam))
    assert ["--enforce-iam" in command for command in commands] == [True, False]


def test_a_running_cloud_without_iam_enforced_is_not_used_for_enforcing(target, program):
    program(HEALTHY)
    local_cloud.start(target)
    with pytest.raises(WorkError, match="does not enforce IAM: stop it with `loadingbay down`"):
        local_cloud.start(replace(target, enforce_iam=True))


def test_a_running_cloud_of_another_version_is_not_used(target, program, monkeypatch):
    program(HEALTHY.replace('"pid"', '"version": "0.1.0", "pid"'))
    with monkeypatch.context() as earlier:
        earlier.setattr(local_cloud, "version", lambda _: "0.1.0")
        local_cloud.start(target)
    said = f"is of version 0.1.0, and this program of {version('localcloud')}: stop it with"
    with pytest.raises(WorkError, match=said):
        local_cloud.start(target)


def test_no_credentials_of_the_shell_reach_it(target, program, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    program("import os, sys; sys.exit('AWS_PROFILE is ' + os.environ.get('AWS_PROFILE', 'unset'))")
    with pytest.raises(WorkError, match="AWS_PROFILE is unset"):
        local_cloud.start(target)


def test_when_it_ends_early_its_own_sentence_is_the_reason(target, program):
    program("import sys; print('some noise'); sys.exit('Port 4747 is in use: choose another.')")
    with pytest.raises(WorkError, match=r"^Port 4747 is in use: choose another\.$"):
        local_cloud.start(target)


def test_a_package_that_is_missing_names_the_command_that_installs_it(target, program):
    program("raise ModuleNotFoundError(\"No module named 'jsonpath'\")")
    with pytest.raises(WorkError, match=r"'jsonpath'\): `make setup` brings it up to date"):
        local_cloud.start(target)


def test_the_reason_is_of_this_start_and_not_of_an_earlier_one(target, program):
    program("import sys; sys.exit('first reason')")
    with pytest.raises(WorkError, match="first reason"):
        local_cloud.start(target)
    program("import sys; sys.exit(3)")
    with pytest.raises(WorkError, match="ended with exit code 3"):
        local_cloud.start(target)


def test_the_port_of_another_folders_cloud_is_not_taken_for_ours(target, program, tmp_path):
    program(HEALTHY)
    local_cloud.start(target)
    other = Target("local", target.endpoint_url, "us-east-1", tmp_path / "other" / "cloud", target.port)
    with pytest.raises(WorkError, match=f"port {target.port} belongs to the local cloud of .*LOADINGBAY_PORT="):
        local_cloud.start(other)
    with pytest.raises(WorkError, match="belongs to"):
        local_cloud.stop(other)
    assert local_cloud.running(target)


def test_stopping_ends_the_process(target, program):
    program(HEALTHY)
    local_cloud.start(target)
    pid = local_cloud.running(target)["pid"]
    assert local_cloud.stop(target) is True
    assert local_cloud.health(target) is None
    assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert local_cloud.stop(target) is False


def test_the_cloud_of_the_folder_is_stopped_whichever_port_it_has(target, program):
    program(HEALTHY)
    local_cloud.start(target)
    elsewhere = replace(target, endpoint_url="http://127.0.0.1:1", port=1)
    assert local_cloud.stop(elsewhere) is True
    assert local_cloud.health(target) is None
    assert local_cloud.stop(elsewhere) is False


def test_a_process_that_took_the_clouds_number_is_not_signalled(target, program):
    program(HEALTHY)
    local_cloud.start(target)
    pid = local_cloud.running(target)["pid"]
    note = target.home / "localcloud.pid"
    for other in (f"{pid} 1 {note.read_text().split()[2]}\n", note.read_text().replace("-", "x"), f"{pid}", ""):
        note.write_text(other)
        with pytest.raises(
            WorkError, match=f"port {target.port} says that it is process {pid}.*nothing was stopped.*`kill {pid}`"
        ):
            local_cloud.stop(target)
        assert psutil.pid_exists(pid)


def test_a_missing_image_environment_says_how_to_make_it(target, tmp_path):
    (tmp_path / ".venv-image" / "bin" / "python").unlink()
    with pytest.raises(WorkError, match="`make setup`"):
        local_cloud.start(target)


def test_a_home_that_cannot_be_made_is_named(target, tmp_path):
    (tmp_path / ".loadingbay").write_text("in the way")
    with pytest.raises(WorkError, match=r"cannot keep its state in .*\.loadingbay/cloud"):
        local_cloud.start(target)


def test_something_else_on_the_port_is_not_taken_for_the_cloud(target):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", target.port))
        listener.listen()
        assert local_cloud.health(target, timeout=0.2) is None


FOREIGN = {
    "another program": b'HTTP/1.0 200 OK\r\n\r\n{"status": "ok"}',
    "no HTTP": b"SSH-2.0-x\r\n",
    "a page": b"HTTP/1.0 404 Not Found\r\n\r\n",
    "nearly ours": b'HTTP/1.0 200 OK\r\n\r\n{"home": 5, "pid": "x"}',
    "nested too deeply": b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 60_000,
    "silence": b"",
    "elsewhere": b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
}


@pytest.mark.parametrize("answer", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_port_that_something_else_uses_is_said_to_be(target, monkeypatch, answer):
    monkeypatch.setattr(local_cloud, "_TIMEOUT", 0.2)
    monkeypatch.setattr(local_cloud, "_QUICK", 0.1)
    kept = []

    def serve(listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            kept.append(connection)
            if answer:
                connection.recv(65_536)
                connection.sendall(answer)
                connection.close()

    with socket.create_server(("127.0.0.1", target.port)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        for command in (local_cloud.running, local_cloud.start, local_cloud.stop):
            with pytest.raises(WorkError, match=f"port {target.port} is used by something else.*LOADINGBAY_PORT="):
                command(target)
        listener.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


def test_an_answer_that_trickles_in_is_given_up_in_time(target, monkeypatch):
    monkeypatch.setattr(local_cloud, "_TIMEOUT", 0.3)
    monkeypatch.setattr(local_cloud, "_QUICK", 0.1)
    gone = threading.Event()

    def trickle(listener):
        while not gone.is_set():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                for _ in range(1000):  # a byte each time, so that no single wait is ever too long
                    connection.sendall(b"H")
                    if gone.wait(0.05):
                        break

    with socket.create_server(("127.0.0.1", target.port)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,), daemon=True)
        thread.start()
        with pytest.raises(WorkError, match=f"port {target.port} is used by something else"):
            local_cloud.running(target)
        gone.set()
        listener.shutdown(socket.SHUT_RDWR)


def test_a_suspended_cloud_is_said_to_be_suspended(target, program, monkeypatch):
    program(HEALTHY)
    local_cloud.start(target)
    process = psutil.Process(local_cloud.running(target)["pid"])
    process.suspend()

    with monkeypatch.context() as hurried:
        hurried.setattr(local_cloud, "_TIMEOUT", 0.2)
        hurried.setattr(local_cloud, "_PATIENCE", 3600.0)  # nothing is waited for
        with pytest.raises(WorkError, match=f"is suspended: `kill -CONT {process.pid}` lets its process go on"):
            local_cloud.running(target)

    process.resume()
    assert local_cloud.running(target)["pid"] == process.pid


def test_a_cloud_that_runs_and_does_not_answer_is_named_with_its_log(target, monkeypatch):
    for name in ("_TIMEOUT", "_QUICK", "_PATIENCE"):
        monkeypatch.setattr(local_cloud, name, 0.1)
    monkeypatch.setattr(daemon, "START_SECONDS", 0.0)
    target.home.mkdir(parents=True)
    Identity.of(os.getpid()).write(target.home / "localcloud.pid")
    with socket.create_server(("127.0.0.1", target.port)):
        with pytest.raises(WorkError, match=rf"process {os.getpid()}\) does not answer .*localcloud.log: `kill -9 "):
            local_cloud.running(target)
        # Where it has said that it serves another address, what is silent here is something else.
        (target.home / "endpoint").write_text("http://127.0.0.1:1")
        with pytest.raises(WorkError, match="is used by something else"):
            local_cloud.running(target)


SLOW = HEALTHY.replace(
    'http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()',
    'server = http.server.HTTPServer(("127.0.0.1", port), Handler)\nimport time; time.sleep(float(SECONDS))\n'
    "server.serve_forever()",
)


def begin(target):
    """Start a cloud that listens, and answers only some seconds later, as an interrupted `up` leaves one."""
    process, _ = daemon.spawn(target.home, ["--port", str(target.port)])
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", target.port)):
            return process


def test_a_cloud_that_is_starting_is_not_to_be_killed(target, program, monkeypatch):
    monkeypatch.setattr(local_cloud, "_TIMEOUT", 0.2)
    monkeypatch.setattr(local_cloud, "_PATIENCE", 0.2)
    monkeypatch.setattr(local_cloud, "_QUICK", 0.1)
    program(SLOW.replace("SECONDS", "60"))
    process = begin(target)

    with pytest.raises(WorkError, match=rf"process {process.pid}\) was started \d+ s ago .* yet: wait a moment, "):
        local_cloud.running(target)
    assert local_cloud.stop(target)
    assert process.wait(60) == -signal.SIGTERM


def test_a_start_waits_for_the_one_that_an_interrupted_start_has_begun(target, program):
    program(SLOW.replace("SECONDS", "1.5"))
    process = begin(target)

    assert local_cloud.start(target) is False
    assert local_cloud.running(target)["pid"] == process.pid


def test_a_start_waits_for_one_that_is_stopping(target, program):
    """It has closed its port, and keeps its home until it has ended."""
    closed, _, _ = HEALTHY.partition("class Handler")
    program(f"{closed}\nimport time; time.sleep(1.5)")
    first, _ = daemon.spawn(target.home, ["--port", str(target.port)])
    while not (target.home / "endpoint").exists():
        time.sleep(0.01)
    program(HEALTHY)

    assert local_cloud.start(target) is True
    assert first.poll() == 0


def test_of_three_starts_at_once_one_starts_it_and_the_others_wait(target, program):
    program("import time; time.sleep(0.3)\n" + HEALTHY)
    with ThreadPoolExecutor(3) as pool:
        started = list(pool.map(local_cloud.start, [target] * 3))
    assert sorted(started) == [False, False, True]
